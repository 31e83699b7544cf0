"""Converters from JSON values and texts to elements of Tango values. Contract: rc3, section 6.

Input that does not fit raises ValueError, "expected ...". Nothing is rounded, cut or guessed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy
import tango

from mtango_gevent import limits
from mtango_gevent.text import LATIN_1, encode_text
from mtango_gevent.values.raw_input import shown
from mtango_gevent.versions import BEFORE_10_1

# The `+` of JavaScript's `1e+21` is a blank in a query in which it was not escaped.
_INTEGER = re.compile(r"([+-]?[0-9]{1,40})(?:\.0*)?(?:e[+ ]?([0-9]{1,2}))?", re.ASCII | re.IGNORECASE)
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+ -]?[0-9]+)?", re.ASCII | re.IGNORECASE)
_NOT_FINITE = re.compile(r"[+-]?inf(inity)?|nan", re.ASCII | re.IGNORECASE)
_NOT_ZERO = re.compile(r"[+-]?[0.]*[1-9]")
_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "no", "n", "off", "0"), False),
}

# Before 10.1 PyTango writes the format of a DevEncoded as UTF-8, and all other texts as Latin-1.
FORMAT_IS_UTF8 = BEFORE_10_1

# A double below it stands for one integer only.
_EXACT = 2**53


class Converter:
    """Converts one element, and lists of them: by default one by one."""

    expected: str

    def convert(self, value: Any) -> Any:
        """Return the element for a JSON value or text. Raises ValueError."""
        raise NotImplementedError

    def convert_list(self, values: Sequence[Any]) -> Any:
        """Convert a list. Raises ValueError, which names the first element that does not fit, or for too many."""
        if len(values) > limits.ONE_BY_ONE:
            raise ValueError(f"expected at most {limits.ONE_BY_ONE} elements, if not JSON numbers, got {len(values)}")
        return [self._convert_item(index, value) for index, value in enumerate(values)]

    def refusal(self, problem: str = "") -> ValueError:
        return ValueError(f"expected {self.expected} ({problem})" if problem else f"expected {self.expected}")

    def _convert_item(self, index: int, value: Any) -> Any:
        try:
            return self.convert(value)
        except ValueError as error:
            raise ValueError(f"{error}, got {shown(value)} at index {index}") from None


class Void(Converter):
    """DevVoid: ignores all input."""

    expected = "nothing"

    def convert(self, value: Any) -> None:
        return None


class Boolean(Converter):
    expected = "true or false"

    def convert(self, value: Any) -> bool:
        word = str(value).strip().lower()  # also of JSON's true and false, 1 and 0
        if isinstance(value, (float, list, dict)) or word not in _WORDS:
            raise self.refusal()
        return _WORDS[word]

    def convert_list(self, values: Sequence[Any]) -> Any:
        plain = set(map(type, values)) == {bool}
        return numpy.array(values if plain else super().convert_list(values), numpy.bool_)


class Integer(Converter):
    """Integers of a NumPy type. A float is taken only where it stands for one integer."""

    def __init__(self, dtype: type[numpy.integer], low: int | None = None, high: int | None = None) -> None:
        bounds = numpy.iinfo(dtype)
        self._dtype = dtype
        self._low = int(bounds.min) if low is None else low
        self._high = int(bounds.max) if high is None else high
        self.expected = f"a whole number from {self._low} to {self._high}"

    def convert(self, value: Any) -> int:
        number = _parse_integer(value) if isinstance(value, str) else value
        if not _is_number(number) or not self._low <= number <= self._high:
            raise self.refusal()
        if isinstance(number, float) and (not number.is_integer() or abs(number) >= _EXACT):
            raise self.refusal()
        return int(number)

    def check_setting(self, text: str) -> None:
        """Raise ValueError for a number that cannot be a limit: Tango keeps limits as doubles."""
        if _parse_float(text) is not None and abs(self.convert(text)) > _EXACT:
            raise ValueError(f"expected a number of at most {_EXACT}, up to which Tango keeps limits exactly")

    def convert_list(self, values: Sequence[Any]) -> Any:
        fit = set(map(type, values)) == {int} and self._low <= min(values) and max(values) <= self._high
        return numpy.array(values if fit else super().convert_list(values), self._dtype)


class Float(Converter):
    """Floating point numbers of a NumPy type; NaN and the infinities come as texts."""

    def __init__(self, dtype: type[numpy.floating]) -> None:
        self._dtype = dtype
        high = float(numpy.finfo(dtype).max)
        self.expected = f"a number from {-high:.5g} to {high:.5g}, NaN, Infinity or -Infinity"

    def convert(self, value: Any) -> float:
        if isinstance(value, str) and _NOT_FINITE.fullmatch(value.strip()):
            return float(value)
        number = _to_float(value)
        if number is None:
            raise self.refusal()
        with numpy.errstate(over="ignore", under="ignore"):
            made = self._dtype(number)
        if not numpy.isfinite(made):
            raise self.refusal()
        if not made and (number or _NOT_ZERO.match(str(value).strip())):
            raise self.refusal("it is so small that it would become 0")
        return number

    def check_setting(self, text: str) -> None:
        """Raise ValueError for the text of a number that does not fit the type."""
        if _parse_float(text) is not None:
            self.convert(text)

    def convert_list(self, values: Sequence[Any]) -> Any:
        """Convert all at once if they are numbers that fit; numbers of JSON are finite."""
        if set(map(type, values)) <= {float, int}:
            with numpy.errstate(over="ignore", under="ignore"), contextlib.suppress(OverflowError):  # a huge int
                numbers = numpy.array(values, numpy.float64)
                made = numbers.astype(self._dtype)
                if numpy.isfinite(made).all() and numpy.array_equal(made == 0, numbers == 0):
                    return made
        return numpy.array(super().convert_list(values), self._dtype)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _parse_integer(text: str) -> int | None:
    """Return the integer of a text such as 5, 5.0 or 5e3, exactly; None for any other."""
    found = _INTEGER.fullmatch(text.strip())
    return int(found[1]) * 10 ** int(found[2] or 0) if found else None


def _to_float(value: Any) -> float | None:
    """Return a number or the text of one as a float, infinite if it is too large; None for anything else."""
    if isinstance(value, str):
        return _parse_float(value)
    try:
        return float(value) if _is_number(value) else None
    except OverflowError:
        return math.inf


def _parse_float(text: str) -> float | None:
    """Return the number of a text, which may be infinite; None for a text that is no number."""
    text = text.strip()
    return float(text.replace(" ", "+")) if _FLOAT.fullmatch(text) else None


class Text(Converter):
    """Strings in the given encoding of Tango's texts. PyTango writes all of them as Latin-1."""

    def __init__(self, encoding: str = LATIN_1) -> None:
        self._encoding = encoding
        self.expected = "a text of Latin-1 characters" if encoding == LATIN_1 else "a text"

    def convert(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self.refusal()
        try:
            value.encode(self._encoding)
        except UnicodeEncodeError as error:
            raise self.refusal(f"{value[error.start]!r} is none") from None
        if "\0" in value:
            raise self.refusal("Tango would cut it at its NUL")
        return encode_text(value, self._encoding)


class State(Converter):
    """Names of states."""

    expected = "the name of a Tango state"

    def convert(self, value: Any) -> tango.DevState:
        name = value.strip().upper() if isinstance(value, str) else ""
        if name not in tango.DevState.names:
            raise self.refusal()
        return tango.DevState.names[name]


class Label(Integer):
    """A label of an enumeration, or its number."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(numpy.int16, 0, len(labels) - 1)
        self._numbers = {label: number for number, label in enumerate(labels)}
        self.expected = f"one of {', '.join(map(repr, labels))} or a number from 0 to {len(labels) - 1}"

    def convert(self, value: Any) -> int:
        if isinstance(value, str) and value in self._numbers:
            return self._numbers[value]
        return super().convert(value)


class Encoded(Converter):
    """DevEncoded: the object that a read answers."""

    expected = 'an object {"encoded_format": text, "encoded_data": base64}'

    def __init__(self, encoding: str = LATIN_1) -> None:
        self._encoding = encoding

    def convert(self, value: Any) -> tuple[str, bytes]:
        if not isinstance(value, dict) or set(value) != {"encoded_format", "encoded_data"}:
            raise self.refusal()
        encoded_format, data = value["encoded_format"], value["encoded_data"]
        if not (isinstance(encoded_format, str) and isinstance(data, str)):
            raise self.refusal()
        if "\0" in encoded_format:
            raise self.refusal("the format has a NUL in it")
        if self._encoding == LATIN_1 and not encoded_format.isascii():  # PyTango 10.0 would write it as UTF-8
            raise self.refusal("the format is not ASCII")
        try:
            encoded_format = encoded_format if FORMAT_IS_UTF8 else encode_text(encoded_format, self._encoding)
            return encoded_format, base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise self.refusal(str(error)) from None


@dataclasses.dataclass(frozen=True)
class NumbersAndTexts(Converter):
    """DevVarLongStringArray and DevVarDoubleStringArray: a list of numbers and a list of texts."""

    key: str
    numbers: Converter
    texts: Converter

    @property
    def expected(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return f'an object {{"{self.key}": [numbers], "svalue": [texts]}}'

    def convert(self, value: Any) -> tuple[Any, list[str]]:
        if isinstance(value, dict) and set(value) == {self.key, "svalue"}:
            value = [value[self.key], value["svalue"]]
        if not (isinstance(value, list) and len(value) == 2 and all(isinstance(part, list) for part in value)):
            raise self.refusal()
        try:
            return self.numbers.convert_list(value[0]), self.texts.convert_list(value[1])
        except ValueError as error:
            raise self.refusal(str(error)) from None
