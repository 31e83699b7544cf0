"""What a client sent for one value: texts of a query or form, a body, or JSON. No types of Tango yet.

Contract: rc3, Decisions "Writes" and "Command argument".
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any

import orjson

from mtango_gevent import limits

_NOT_JSON = object()

# Encodes piece by piece, so that one may stop.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SHOWN = 80

# A field of a comma list; the csv of the standard library would see lines.
_FIELD = re.compile(r'(?:"(?P<quoted>[^"]*(?:""[^"]*)*)"|(?P<plain>(?!")[^,]*))(?P<comma>,|\Z)')

# The sign of a number so small that it may become 0 as it is parsed.
_TINY = re.compile(r"[0-9][eE]-0*[0-9]{3}|0\.0{300}")

# The beginning of a number that is 0, whatever its exponent.
_ZERO = re.compile(r"-?[0.]+(?:[eE]|\Z)")


def _parsed(text: str) -> Any:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _NOT_JSON
    if _TINY.search(text):
        with contextlib.suppress(RecursionError):  # nested more deeply than any value
            return json.loads(text, parse_float=_small_number)
    return found


def _small_number(text: str) -> float | str:
    """A number that a float cannot tell from 0 stays a text, for its type to refuse."""
    number = float(text)
    return number if number or _ZERO.match(text) else text


def _split(text: str) -> list[str]:
    """A comma list; `"` at both ends of a field groups what has commas in it, and `""` therein is one of them."""
    fields: list[str] = []
    rest: re.Match[str] | None = None
    while text and (rest is None or rest["comma"]):
        rest = _FIELD.match(text, rest.end() if rest else 0)
        if rest is None:
            raise ValueError(f"is no comma list: the quotes of field {len(fields)} do not end where it does")
        fields.append(rest["plain"] if rest["quoted"] is None else rest["quoted"].replace('""', '"'))
    return fields


def shown(value: Any) -> str:
    """A JSON value for a message: no more of it than a line has room for, and no more is made of it."""
    text = ""
    try:
        for part in _ENCODER.iterencode(value):
            text += part[:_SHOWN]
            if len(text) > _SHOWN:
                return text[:_SHOWN] + "..."
    except RecursionError:
        return "something nested too deeply"
    return text


def _check_number(texts: Sequence[str]) -> None:
    """Before they are taken apart."""
    number = sum(text.count(",") + 1 for text in texts)
    if number > limits.ONE_BY_ONE:
        raise ValueError(f"has {number} elements, more than the {limits.ONE_BY_ONE} that texts may have: send JSON")


@dataclasses.dataclass(frozen=True)
class RawInput:
    """One value as it came, and how it reads where one text, one element, a list, or a list of rows is due.

    texts: as they were sent; several are the elements of a list, or its rows. parsed: the JSON there is, if any.
    Whatever cannot be read as what is due raises ValueError, in words that follow on from the value.
    """

    texts: Sequence[str] = ()
    parsed: Any = _NOT_JSON

    @classmethod
    def in_query(cls, texts: list[str]) -> RawInput:
        """Of a query or form: a single text may be a JSON list or object, but quotes belong to it."""
        parsed = _parsed(texts[0]) if len(texts) == 1 and texts[0].lstrip()[:1] in ("[", "{") else _NOT_JSON
        return cls(texts, parsed)

    @classmethod
    def in_body(cls, text: str) -> RawInput:
        """A body: JSON if it is any, else a text, whatever its Content-Type says."""
        return cls([text], _parsed(text))

    @classmethod
    def in_json(cls, value: Any) -> RawInput:
        """Part of a larger JSON document."""
        return cls((), value)

    def text(self) -> str:
        """A text: without the quotes of JSON, else as it was sent."""
        if isinstance(self.parsed, str):
            return self.parsed
        if not self.texts:
            raise ValueError("is not a text")
        return self._single()

    def element(self) -> Any:
        """A JSON value; what is no JSON is a text."""
        return self._single() if self.parsed is _NOT_JSON else self.parsed

    def elements(self) -> list[Any]:
        """A JSON list, a repeated parameter, a comma list; a text in quotes is the one element."""
        if isinstance(self.parsed, list):
            return self.parsed
        if isinstance(self.parsed, str):
            return [self.parsed]
        if not self.texts or self.parsed is None:
            raise ValueError("is not a list")
        _check_number(self.texts)
        if len(self.texts) > 1:
            return list(self.texts)
        if self.texts[0].lstrip().startswith("["):  # rather than write its brackets into a text
            raise ValueError("begins as a JSON list does, and is none")
        return _split(self.texts[0])

    def rows(self) -> list[list[Any]]:
        """A JSON list of lists, or a list for each time the parameter is there; all of one length.

        A single comma list may be an image whose rows JavaScript has joined.
        """
        rows: Any = self.parsed
        if not isinstance(rows, list):
            _check_number(self.texts)
            several = len(self.texts) > 1 or self.texts == [""]
            rows = [RawInput.in_query([text]).elements() for text in self.texts] if several else [None]
        if not all(isinstance(row, list) for row in rows):
            raise ValueError("is not a list of rows")
        if len({len(row) for row in rows}) > 1:
            raise ValueError("has rows of different lengths")
        return rows

    def shown(self) -> str:
        """For messages."""
        if not self.texts:
            return shown(self.parsed)
        return shown(self.texts[0] if len(self.texts) == 1 else list(self.texts))

    def _single(self) -> str:
        if len(self.texts) > 1:
            raise ValueError(f"are {len(self.texts)} values where one is due")
        return self.texts[0]
