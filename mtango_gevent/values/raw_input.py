"""A client's raw input for one value: texts of a query or form, a body, or JSON; independent of Tango's types.

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

# Encodes piece by piece, so that a message can stop early.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SHOWN = 80

# A field of a comma list. The standard library's csv would take line ends for the end of a record.
_FIELD = re.compile(r'(?:"(?P<quoted>[^"]*(?:""[^"]*)*)"|(?P<plain>(?!")[^,]*))(?P<comma>,|\Z)')

# A number that a parser may turn into 0, as no float is so small.
_TINY = re.compile(r"[0-9][eE]-0*[0-9]{3}|0\.0{300}")


# The text of a number that is 0.
_ZERO = re.compile(r"-?[0.]+(?:[eE].*)?")


def _float_or_text(text: str) -> float | str:
    """Return a float, but the text of a number that is too small for one and is not 0."""
    number = float(text)
    return number if number or _ZERO.fullmatch(text) else text


def _parse(text: str) -> Any:
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _NOT_JSON
    if _TINY.search(text):
        with contextlib.suppress(RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
            return json.loads(text, parse_float=_float_or_text)
    return parsed


def _split(text: str) -> list[str]:
    """Split a comma list. A field in `"` may have commas in it, and `""` for a quote."""
    fields: list[str] = []
    rest: re.Match[str] | None = None
    while text and (rest is None or rest["comma"]):
        rest = _FIELD.match(text, rest.end() if rest else 0)
        if rest is None:
            raise ValueError(f"expected a comma list, got a field {len(fields)} that goes on after its quotes")
        fields.append(rest["plain"] if rest["quoted"] is None else rest["quoted"].replace('""', '"'))
    return fields


def shown(value: object, most: int = _SHOWN) -> str:
    """Return a JSON value for a message, cut after `most` characters."""
    text = ""
    try:
        for part in _ENCODER.iterencode(value):
            text += part[: most + 1]
            if len(text) > most:
                return text[:most] + "..."
    except RecursionError:
        return "something nested too deeply"
    return text


def _check_length(texts: Sequence[str]) -> None:
    """Raise ValueError for texts of too many elements, before they are split."""
    number = sum(text.count(",") + 1 for text in texts)
    if number > limits.ONE_BY_ONE:
        raise ValueError(f"expected at most {limits.ONE_BY_ONE} elements in texts, got {number}: send JSON")


@dataclasses.dataclass(frozen=True)
class RawInput:
    """The input for one value; read as a text, an element, a list or a list of rows, as its type needs.

    texts: as the client sent them; several are the elements of a list, or its rows. parsed: the JSON value, if any.
    Input that cannot be read in the form asked for raises ValueError: "expected ..., got ...".
    """

    texts: Sequence[str] = ()
    parsed: Any = _NOT_JSON

    @classmethod
    def in_query(cls, texts: list[str]) -> RawInput:
        """Take parameters of a query or form. A single text may be a JSON list or object; quotes are part of it."""
        parsed = _parse(texts[0]) if len(texts) == 1 and texts[0].lstrip()[:1] in ("[", "{") else _NOT_JSON
        return cls(texts, parsed)

    @classmethod
    def in_body(cls, text: str) -> RawInput:
        """Take a body: JSON if it parses, else a text, whatever its Content-Type."""
        return cls([text], _parse(text))

    @classmethod
    def in_json(cls, value: Any) -> RawInput:
        """Take a part of a larger JSON document."""
        return cls((), value)

    def text(self) -> str:
        """Return a text: a JSON string without its quotes, or any text as it was sent."""
        if isinstance(self.parsed, str):
            return self.parsed
        if not self.texts:
            raise ValueError(f"expected a text, got {self.shown()}")
        return self._single()

    def element(self) -> Any:
        """Return a JSON value, or the text if it is not JSON."""
        return self._single() if self.parsed is _NOT_JSON else self.parsed

    def elements(self) -> list[Any]:
        """Return a list from JSON, a repeated parameter or a comma list; a JSON string is its one element."""
        if isinstance(self.parsed, list):
            return self.parsed
        if isinstance(self.parsed, str):
            return [self.parsed]
        if not self.texts or self.parsed is None:
            raise ValueError(f"expected a list, got {self.shown()}")
        _check_length(self.texts)
        if len(self.texts) > 1:
            return list(self.texts)
        if self.texts[0].lstrip().startswith("["):  # no comma list, or its brackets would be part of the texts
            raise ValueError(f"expected a JSON list, got {self.shown()}")
        return _split(self.texts[0])

    def rows(self) -> list[list[Any]]:
        """Return rows of one length, from a JSON list of lists or a parameter that is repeated for each row.

        A single comma list is refused: JavaScript makes one of all rows of an image.
        """
        rows: Any = self.parsed
        if not isinstance(rows, list):
            _check_length(self.texts)
            several = len(self.texts) > 1 or self.texts == [""]
            rows = [RawInput.in_query([text]).elements() for text in self.texts] if several else [None]
        if not all(isinstance(row, list) for row in rows):
            raise ValueError(f"expected a list of rows, got {self.shown()}")
        if len({len(row) for row in rows}) > 1:
            raise ValueError("expected rows of one length, got different lengths")
        return rows

    def shown(self) -> str:
        """Return the input for a message."""
        if not self.texts:
            return shown(self.parsed)
        return shown(self.texts[0] if len(self.texts) == 1 else list(self.texts))

    def brief(self, most: int) -> str:
        """Return the input as the client sent it, texts with commas between, cut after about `most` characters."""
        if not self.texts:
            return shown(self.parsed, most)
        return ",".join(text[: most + 1] for text in self.texts[: most + 1])

    def _single(self) -> str:
        if len(self.texts) > 1:
            raise ValueError(f"expected one value, got {len(self.texts)}")
        return self.texts[0]
