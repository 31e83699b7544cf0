"""Encodings of texts. Tango's texts are bytes without an encoding; PyTango reads some as Latin-1, some as UTF-8."""

from __future__ import annotations

from typing import Any

# Values of the setting `text_encoding`: the encoding of values and arguments in Tango.
LATIN_1, UTF_8 = "latin-1", "utf-8"


def to_utf8(text: str) -> str:
    """Return the text whose Latin-1 bytes are the UTF-8 bytes of `text`."""
    return text.encode("utf-8").decode("latin-1")


def from_utf8(text: str) -> str:
    """Undo `to_utf8`; a text whose bytes are not UTF-8 is returned as it is."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def encode_text(text: str, encoding: str) -> str:
    """Return the text that PyTango, which writes Latin-1, has to write so that the device gets the given encoding."""
    return to_utf8(text) if encoding == UTF_8 else text


def raw_text(holder: Any, key: str) -> Any:
    """Return a text that PyTango reads as UTF-8, or its bytes if they are not UTF-8; PyTango takes both as a name."""
    try:
        return getattr(holder, key)
    except UnicodeDecodeError as error:
        return error.object


def read_text(holder: Any, key: str) -> str:
    """Return a text of a configuration or description: PyTango reads UTF-8, but many servers send Latin-1."""
    text = raw_text(holder, key)
    return text if isinstance(text, str) else text.decode("latin-1")


def read_texts(holder: Any, key: str) -> list[str]:
    """Return a list of such texts, each of which has its own encoding."""
    texts = getattr(holder, key)
    try:
        return list(texts)
    except UnicodeDecodeError:
        return [_read_item(texts, index) for index in range(len(texts))]


def _read_item(texts: Any, index: int) -> str:
    """Read by index, which in PyTango 10.0 gives Latin-1, while iterating decodes UTF-8."""
    try:
        return from_utf8(texts[index])
    except UnicodeDecodeError as error:
        return error.object.decode("latin-1")
