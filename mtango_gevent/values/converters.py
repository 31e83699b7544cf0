"""Elements of values as Tango takes them, out of what JSON and texts have. Contract: rc3, section 6.

What does not fit raises ValueError, whose text says what is wanted; nothing is rounded, cut or guessed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import decimal
import re
from collections.abc import Sequence
from typing import Any

import numpy
import tango

from mtango_gevent import limits
from mtango_gevent.text import LATIN_1, encode_text
from mtango_gevent.values.raw_input import shown
from mtango_gevent.versions import BEFORE_10_1

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+ -]?[0-9]+)?", re.ASCII | re.IGNORECASE)
_NO_NUMBER = re.compile(r"[+-]?inf(inity)?|nan", re.ASCII | re.IGNORECASE)
_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "no", "n", "off", "0"), False),
}

# No float is larger, and Python refuses to make one of an integer that is.
_HUGE = 10**309

# More digits than any number has that is not an attack.
_LONGEST = 1000

# Before 10.1 PyTango writes the format of a DevEncoded as UTF-8, and all other texts as Latin-1.
FORMAT_IS_UTF8 = BEFORE_10_1

# Below it a float stands for one whole number only.
_EXACT = 2**53


class Element:
    """How one element is made, and many of them: by default one by one."""

    wanted: str

    def one(self, value: Any) -> Any:
        """The element out of a JSON value or text. Raises ValueError."""
        raise NotImplementedError

    def many(self, values: Sequence[Any]) -> Any:
        """The same for a list. Raises ValueError, which names the first that does not fit, and for too many."""
        if len(values) > limits.ONE_BY_ONE:
            raise ValueError(f"has {len(values)} elements, more than the {limits.ONE_BY_ONE} that are not just numbers")
        return [self._numbered(index, value) for index, value in enumerate(values)]

    def refusal(self, problem: str = "") -> ValueError:
        return ValueError(f"is not {self.wanted}{problem}")

    def _numbered(self, index: int, value: Any) -> Any:
        try:
            return self.one(value)
        except ValueError as error:
            raise ValueError(f"has {shown(value)} at {index}, which {error}") from None


class Nothing(Element):
    """DevVoid: whatever is sent is left alone."""

    wanted = "nothing"

    def one(self, value: Any) -> None:
        return None


class Boolean(Element):
    wanted = "true or false"

    def one(self, value: Any) -> bool:
        word = str(value).strip().lower()  # of JSON's values, true and false, 1 and 0
        if isinstance(value, (float, list, dict)) or word not in _WORDS:
            raise self.refusal()
        return _WORDS[word]

    def many(self, values: Sequence[Any]) -> Any:
        plain = set(map(type, values)) == {bool}
        return numpy.array(values if plain else super().many(values), numpy.bool_)


class Whole(Element):
    """Integers of a NumPy type. Exact also where a float is not."""

    def __init__(self, dtype: type[numpy.integer], low: int | None = None, high: int | None = None) -> None:
        bounds = numpy.iinfo(dtype)
        self._dtype = dtype
        self._low = int(bounds.min) if low is None else low
        self._high = int(bounds.max) if high is None else high
        self.wanted = f"a whole number from {self._low} to {self._high}"

    def one(self, value: Any) -> int:
        number = _number(value)
        if number is None or not self._low <= number <= self._high:
            raise self.refusal()
        if int(number) != number or (isinstance(number, float) and abs(number) >= _EXACT):
            raise self.refusal()
        return int(number)

    def check_setting(self, text: str) -> None:
        """Raises ValueError for the text of a number that cannot be kept as a limit; Tango has it as a float."""
        if _number(text) is not None and abs(self.one(text)) > _EXACT:
            raise ValueError(f"is beyond {_EXACT}, from where on Tango keeps no limit exactly")

    def many(self, values: Sequence[Any]) -> Any:
        fit = set(map(type, values)) == {int} and self._low <= min(values) and max(values) <= self._high
        return numpy.array(values if fit else super().many(values), self._dtype)


class Decimal(Element):
    """Floating point numbers of a NumPy type, with NaN and the infinities, which only a text can say."""

    def __init__(self, dtype: type[numpy.floating]) -> None:
        self._dtype = dtype
        self._high = float(numpy.finfo(dtype).max)
        self.wanted = f"a number from {-self._high:.5g} to {self._high:.5g}, NaN, Infinity or -Infinity"

    def one(self, value: Any) -> float:
        if isinstance(value, str) and _NO_NUMBER.fullmatch(value.strip()):
            return float(value)
        number = _number(value)
        if number is None or abs(number) > _HUGE:
            raise self.refusal()
        with numpy.errstate(over="ignore", under="ignore"):
            made = self._dtype(float(number))
        if not numpy.isfinite(made):
            raise self.refusal()
        if number and not made:
            raise self.refusal(": it is so small that it would become 0")
        return float(number)

    def check_setting(self, text: str) -> None:
        """Raises ValueError for the text of a number that this type has not."""
        if _number(text) is not None:
            self.one(text)

    def many(self, values: Sequence[Any]) -> Any:
        """In one go where all are numbers that fit; JSON has no others than finite ones."""
        if set(map(type, values)) <= {float, int}:
            numbers = numpy.array(values, numpy.float64)
            with numpy.errstate(over="ignore", under="ignore"):
                made = numbers.astype(self._dtype)
            if numpy.isfinite(made).all() and numpy.array_equal(made == 0, numbers == 0):
                return made
        return numpy.array(super().many(values), self._dtype)


def _number(value: Any) -> int | float | decimal.Decimal | None:
    """A number, or the text of one, exactly. None for anything else.

    The `+` of JavaScript's `1e+21` is a blank in a query where nobody has escaped it.
    """
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            return int(text)
        if len(text) <= _LONGEST and _DECIMAL.fullmatch(text):
            with contextlib.suppress(decimal.InvalidOperation):  # an exponent beyond all measure
                return _within_measure(decimal.Decimal(text.replace(" ", "+")))
        return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _within_measure(number: decimal.Decimal) -> decimal.Decimal:
    """`number`, or another one as much too large or small, where its exponent would take forever to calculate with."""
    if abs(number.adjusted()) <= _LONGEST:
        return number
    if not number:
        return decimal.Decimal(0).copy_sign(number)
    return decimal.Decimal(1).scaleb(_LONGEST if number.adjusted() > 0 else -_LONGEST).copy_sign(number)


class Text(Element):
    """Strings as Tango can carry them, in the encoding of the setting; PyTango writes all of them as Latin-1."""

    def __init__(self, encoding: str = LATIN_1) -> None:
        self._encoding = encoding
        self.wanted = "a text of Latin-1 characters" if encoding == LATIN_1 else "a text"

    def one(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self.refusal()
        try:
            value.encode(self._encoding)
        except UnicodeEncodeError as error:
            raise self.refusal(f": {value[error.start]!r} is none") from None
        if "\0" in value:  # where Tango would cut it
            raise self.refusal(": it has a NUL in it")
        return encode_text(value, self._encoding)


class State(Element):
    """Names of states."""

    wanted = "the name of a Tango state"

    def one(self, value: Any) -> tango.DevState:
        name = value.strip().upper() if isinstance(value, str) else ""
        if name not in tango.DevState.names:
            raise self.refusal()
        return tango.DevState.names[name]


class Enumerated(Whole):
    """A label, or the number of one."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(numpy.int16, 0, len(labels) - 1)
        self._numbers = {label: number for number, label in enumerate(labels)}
        self.wanted = f"one of {', '.join(map(repr, labels))} or a number from 0 to {len(labels) - 1}"

    def one(self, value: Any) -> int:
        return self._numbers[value] if isinstance(value, str) and value in self._numbers else super().one(value)


class Encoded(Element):
    """DevEncoded: the object that a read gives."""

    wanted = 'an object {"encoded_format": text, "encoded_data": base64}'

    def __init__(self, encoding: str = LATIN_1) -> None:
        self._encoding = encoding

    def one(self, value: Any) -> tuple[str, bytes]:
        if not isinstance(value, dict) or set(value) != {"encoded_format", "encoded_data"}:
            raise self.refusal()
        encoding, data = value["encoded_format"], value["encoded_data"]
        if not (isinstance(encoding, str) and isinstance(data, str)):
            raise self.refusal()
        if "\0" in encoding:
            raise self.refusal(": the format has a NUL in it")
        if self._encoding == LATIN_1 and not encoding.isascii():  # PyTango 10.0 would make UTF-8 of anything else
            raise self.refusal(": the format is not ASCII")
        try:
            encoding = encoding if FORMAT_IS_UTF8 else encode_text(encoding, self._encoding)
            return encoding, base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise self.refusal(f": {error}") from None


@dataclasses.dataclass(frozen=True)
class WithTexts(Element):
    """DevVarLongStringArray and DevVarDoubleStringArray: a list of numbers, a list of texts."""

    key: str
    numbers: Element
    texts: Element

    @property
    def wanted(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return f'an object {{"{self.key}": [numbers], "svalue": [texts]}}'

    def one(self, value: Any) -> tuple[Any, list[str]]:
        if isinstance(value, dict) and set(value) == {self.key, "svalue"}:
            value = [value[self.key], value["svalue"]]
        if not (isinstance(value, list) and len(value) == 2 and all(isinstance(part, list) for part in value)):
            raise self.refusal()
        return self.numbers.many(value[0]), self.texts.many(value[1])
