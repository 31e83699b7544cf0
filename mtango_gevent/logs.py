"""Log lines: the one for each request, and their format as JSON. A client cannot break a line or forge a part of it."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from typing import Any

from mtango_gevent.redaction import redact


@dataclasses.dataclass(slots=True)
class AccessLine:
    """The log line of a request: a message for `logging`. Times in milliseconds; outcome: `ok`, or the failure."""

    id: str
    client: str
    method: str
    url: str
    status: int
    bytes: int
    duration: float
    tango: float
    device: str
    outcome: str

    def __str__(self) -> str:
        text = (
            f'{self.client} "{self.method} {self.url}" {self.status} {self.bytes}B {self.duration:.1f}ms'
            f" tango={self.tango:.1f}ms device={self.device} id={self.id} {self.outcome}"
        )
        return text.encode("unicode_escape").decode("ascii")


class Redaction(logging.Filter):
    """Takes secrets out of gunicorn's lines, which show parts of requests that it refuses."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


class TextFormatter(logging.Formatter):
    """Formats the time of a second once: that takes a sixth of a line's time, and there are thousands in a second."""

    _second, _text = 0, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        second = int(record.created)
        if second != self._second:
            self._second, self._text = second, super().formatTime(record, datefmt)
        return self._text


class JsonFormatter(logging.Formatter):
    """A JSON object for each line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self._line(record), default=str)  # in ASCII, as terminals obey control characters beyond it

    def _line(self, record: logging.LogRecord) -> dict[str, Any]:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
        }
        if isinstance(record.msg, AccessLine):
            line |= dataclasses.asdict(record.msg)
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return line


class TracedJsonFormatter(JsonFormatter):
    """The same with the ids of the trace and the span that a line belongs to."""

    def _line(self, record: logging.LogRecord) -> dict[str, Any]:
        from opentelemetry import trace  # which need not be installed where requests are not traced

        line, span = super()._line(record), trace.get_current_span().get_span_context()
        if span.is_valid:
            line |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        return line


def in_json(level: str, traced: bool = False) -> dict[str, Any]:
    """Return gunicorn's setting `logconfig_dict` for a log in JSON, gunicorn's own lines included."""
    formatter = TracedJsonFormatter if traced else JsonFormatter
    logger = {"level": level, "handlers": ["stderr"], "propagate": False}
    silent = {"level": "CRITICAL", "handlers": [], "propagate": False}  # gunicorn's own access log
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {"gunicorn.error": logger, "gunicorn.access": silent, "mtango_gevent": logger},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "formatters": {"json": {"()": formatter}},
    }
