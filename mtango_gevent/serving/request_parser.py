"""The parsers of HTTP requests: gunicorn's own, in Python, and the C parser of the extra `fast`.

The C parser takes 55 us of CPU for a head of eleven headers where the one in Python takes 95. gunicorn reads this
module before the fork: it does not import PyTango.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from gunicorn.http.errors import InvalidRequestLine, ParseException
from gunicorn.http.message import Request

from mtango_gevent.config import ConfigError

# The first version of gunicorn_h1c that the tests have run with. Older ones accept more than the parser in Python.
_LOWEST = (0, 6, 10)

# One blank between the parts of a request line: the C parser accepts several.
_SINGLE_BLANKS = re.compile(rb"(?:\r\n)?[^ \r]+ [^ \r]+ [^ \r]+\r\n")


class GatewayRequest(Request):
    """gunicorn's request, with the same outcome for both parsers.

    A request that the C parser refuses is parsed again in Python, so that its failure is the same.
    """

    def _parse_fast(self, unreader: Any, buf: bytearray) -> bytes:
        try:
            rest = super()._parse_fast(unreader, buf)  # pyright: ignore[reportAttributeAccessIssue]
        except ParseException:
            return self._parse_python(unreader, buf)  # pyright: ignore[reportAttributeAccessIssue]
        if not _SINGLE_BLANKS.match(buf):
            raise InvalidRequestLine(buf[:100].decode("latin-1"))
        return rest


def chosen(setting: str) -> str:
    """Return gunicorn's name of the parser to use, `fast` or `python`. setting: MTANGO_HTTP_PARSER.

    Raises ConfigError where the setting asks for a parser that is not there.
    """
    reason = _unusable()
    if setting == "fast" and reason:
        raise ConfigError(f"MTANGO_HTTP_PARSER = 'fast': {reason}")
    return "python" if setting == "python" or reason else "fast"


def description(setting: str) -> str:
    """Return a line about the parser in use. Raises ConfigError as `chosen` does."""
    if chosen(setting) == "fast":
        return f"in C, gunicorn_h1c {_version()}"
    return f"in Python ({'MTANGO_HTTP_PARSER = python' if setting == 'python' else _unusable()})"


def _unusable() -> str:
    """Return why the C parser cannot be used; empty if it can."""
    version = _version()
    if not version:
        return "gunicorn_h1c is not installed (extra fast)"
    lowest = ".".join(map(str, _LOWEST))
    return "" if _numbers(version) >= _LOWEST else f"expected gunicorn_h1c {lowest} or later, got {version}"


def _version() -> str:
    """Return the version of the C parser; empty without it."""
    try:
        return importlib.import_module("gunicorn_h1c").__version__
    except ImportError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", version)[:3])
