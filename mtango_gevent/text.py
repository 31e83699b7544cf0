"""Texts of Tango are bytes, of no encoding that it would name. PyTango reads some as Latin-1, others as UTF-8."""

from __future__ import annotations

from typing import Any

# Values of the setting `text_encoding`: how values and arguments are encoded in Tango.
LATIN_1, UTF_8 = "latin-1", "utf-8"


def to_utf8(text: str) -> str:
    """`text` for a way that carries Latin-1, so that UTF-8 arrives."""
    return text.encode("utf-8").decode("latin-1")


def from_utf8(text: str) -> str:
    """The reverse; what is not UTF-8 was Latin-1 from the beginning."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def encode_text(text: str, encoding: str) -> str:
    """Return the text that PyTango has to write as Latin-1, so that it is in the given encoding of Tango's values."""
    return to_utf8(text) if encoding == UTF_8 else text


def raw_text(holder: Any, key: str) -> Any:
    """Return a text that PyTango reads as UTF-8, or its bytes where they are none; PyTango takes both for a name."""
    try:
        return getattr(holder, key)
    except UnicodeDecodeError as error:
        return error.object


def read_text(holder: Any, key: str) -> str:
    """A text of a configuration or description: all are UTF-8 to PyTango, Latin-1 to many a server."""
    text = raw_text(holder, key)
    return text if isinstance(text, str) else text.decode("latin-1")


def read_texts(holder: Any, key: str) -> list[str]:
    """The same for a list of texts, of which each is decoded by itself."""
    texts = getattr(holder, key)
    try:
        return list(texts)
    except UnicodeDecodeError:
        return [_read_item(texts, index) for index in range(len(texts))]


def _read_item(texts: Any, index: int) -> str:
    """PyTango 10.0 iterates over UTF-8, and finds Latin-1 by an index."""
    try:
        return from_utf8(texts[index])
    except UnicodeDecodeError as error:
        return error.object.decode("latin-1")
