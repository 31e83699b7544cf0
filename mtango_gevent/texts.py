"""Texts of Tango are bytes, of no encoding that it would name. PyTango reads some as Latin-1, others as UTF-8."""

from __future__ import annotations

from typing import Any


def to_utf8(text: str) -> str:
    """`text` for a way that carries Latin-1, so that UTF-8 arrives."""
    return text.encode("utf-8").decode("latin-1")


def from_utf8(text: str) -> str:
    """The reverse; what is not UTF-8 was Latin-1 from the beginning."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text


def read_text(holder: Any, key: str) -> str:
    """A text of a configuration or description: all are UTF-8 to PyTango, Latin-1 to many a server."""
    try:
        return getattr(holder, key)
    except UnicodeDecodeError as error:
        return error.object.decode("latin-1")
