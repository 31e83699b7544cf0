"""Log lines: one for each request, as a text or as JSON, with nothing in it that a client could have broken it with."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from typing import Any


@dataclasses.dataclass(slots=True)
class AccessLine:
    """What there is to say of one request. Times in milliseconds; outcome: `ok`, or why not."""

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


_LINE = dict(logging.LogRecord("", logging.INFO, "", 0, None, (), None).__dict__)
os.register_at_fork(after_in_child=lambda: _LINE.update(process=os.getpid()))


def log(logger: logging.Logger, line: AccessLine) -> None:
    """`logger.info(line)`, for half its price: nobody wants to know where in the code and in which thread it was."""
    if logger.isEnabledFor(logging.INFO):
        now = time.time()
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__.update(_LINE, name=logger.name, msg=line, created=now, msecs=int(now % 1 * 1000))
        logger.handle(record)


class TextFormatter(logging.Formatter):
    """As many lines have the same second, its text is made once."""

    _second, _text = 0, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        second = int(record.created)
        if second != self._second:
            self._second, self._text = second, super().formatTime(record, datefmt)
        return self._text


class JsonFormatter(logging.Formatter):
    """A JSON object in each line."""

    def format(self, record: logging.LogRecord) -> str:
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
        return json.dumps(line, default=str)  # in ASCII: terminals know control characters beyond it too


def in_json(level: str) -> dict[str, Any]:
    """For gunicorn's setting `logconfig_dict`: all lines, its own too."""
    logger = {"level": level, "handlers": ["stderr"], "propagate": False}
    silent = {"level": "CRITICAL", "handlers": [], "propagate": False}  # gunicorn's line for each request, beside ours
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {"gunicorn.error": logger, "gunicorn.access": silent, "mtango_gevent": logger},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "formatters": {"json": {"()": JsonFormatter}},
    }
