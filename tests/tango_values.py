"""What Tango values can be, for property-based tests: pairs of the value to a plain client and the same in JSON."""

from __future__ import annotations

from typing import Any

import numpy
import tango
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LABELS = ["LOW", "MIDDLE", "VERY HIGH"]
STATES = [str(tango.DevState.values[number]) for number in sorted(tango.DevState.values)]
LATIN_1 = st.characters(min_codepoint=1, max_codepoint=255)
AWKWARD = st.sampled_from(['"', "'", ",", "&", "\n", "\r", "\\", "%41", "+", " ", "é", "µ", "[", "{", "#", "null", "1"])
TEXTS = st.lists(st.one_of(LATIN_1, AWKWARD), max_size=12).map("".join)

Pair = tuple[Any, Any]
"""A value as a plain client reads it, and the same in JSON."""


def whole(low: int, high: int) -> st.SearchStrategy[Pair]:
    return st.one_of(st.integers(low, high), st.sampled_from([low, high])).map(lambda number: (number, number))


def decimal(dtype: type[numpy.floating]) -> st.SearchStrategy[Pair]:
    """In JSON with no more digits than the type has."""
    width: Any = numpy.finfo(dtype).bits
    return st.floats(allow_nan=False, allow_infinity=False, width=width).map(
        lambda number: (number, float(str(dtype(number))))
    )


def named(names: list[str]) -> st.SearchStrategy[Pair]:
    return st.integers(0, len(names) - 1).map(lambda number: (number, names[number]))


INTEGERS = {
    "uchar": (0, 2**8 - 1),
    "short": (-(2**15), 2**15 - 1),
    "ushort": (0, 2**16 - 1),
    "long": (-(2**31), 2**31 - 1),
    "ulong": (0, 2**32 - 1),
    "long64": (-(2**63), 2**63 - 1),
    "ulong64": (0, 2**64 - 1),
}
NOT_FINITE: dict[str, float] = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

KINDS: dict[str, st.SearchStrategy[Pair]] = {
    "boolean": st.booleans().map(lambda value: (value, value)),
    **{name: whole(*bounds) for name, bounds in INTEGERS.items()},
    "float": decimal(numpy.float32),
    "double": decimal(numpy.float64),
    "string": TEXTS.map(lambda text: (text, text)),
    "state": named(STATES),
    "enum": named(LABELS),
}

many_examples = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
