"""Elements of Tango values as JSON values. Contract: rc3, section 6.

Arrays of numbers stay NumPy arrays, which the JSON encoder reads in place.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import numpy
import tango

# JSON has no such numbers, and a bare NaN is a syntax error in every browser.
NOT_A_NUMBER, INFINITY, MINUS_INFINITY = "NaN", "Infinity", "-Infinity"


def unchanged(value: Any) -> Any:
    return value


def nothing(_: Any) -> None:
    return None


def each(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the conversion of arrays of any depth whose elements are converted one by one."""

    def convert_array(values: Any) -> Any:
        if isinstance(values, (tuple, list, numpy.ndarray)):
            return [convert_array(value) for value in values]
        return convert(values)

    return convert_array


def double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return NOT_A_NUMBER
    return INFINITY if value > 0 else MINUS_INFINITY


def single(value: float) -> Any:
    """Convert a DevFloat with the digits of its type, as in arrays: 0.1 instead of 0.10000000149011612."""
    return numpy.float32(value) if math.isfinite(value) else double(value)


def integers(values: Any) -> Any:
    return numpy.ascontiguousarray(values)


def floats(values: Any) -> Any:
    """Return the array itself if all numbers are finite, else lists of the rows that have others."""
    values = numpy.ascontiguousarray(values)
    with numpy.errstate(all="ignore"):
        if math.isfinite(values.sum()):  # makes no copy; where the sum of finite numbers overflows, each is checked
            return values
    if values.ndim > 1:
        return [floats(row) for row in values]
    numbers = list(values)  # NumPy's own numbers, which keep the digits of their type
    for index in numpy.flatnonzero(~numpy.isfinite(values)):
        numbers[index] = double(numbers[index])
    return numbers


def state(value: Any) -> str:
    return str(tango.DevState.values[int(value)])


def encoded(text: Callable[[Any], Any]) -> Callable[[Any], dict[str, str]]:
    """Return the conversion of a DevEncoded. text: the conversion of its format."""

    def convert(value: tuple[str, Any]) -> dict[str, str]:
        encoding, data = value
        raw = data.encode("latin-1") if isinstance(data, str) else bytes(data)
        return {"encoded_format": text(encoding), "encoded_data": base64.b64encode(raw).decode("ascii")}

    return convert


def numbers_and_texts(
    key: str, numbers: Callable[[Any], Any], texts: Callable[[Any], Any]
) -> Callable[[Any], dict[str, Any]]:
    """Return the conversion of a DevVarLongStringArray or DevVarDoubleStringArray. key: of the numbers."""
    return lambda value: {key: numbers(value[0]), "svalue": texts(value[1])}
