"""From what a client sends to what Tango keeps and back, exactly, for values that hypothesis makes up."""

from __future__ import annotations

from typing import Any

import numpy
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webtest import TestApp

from tests.conftest import EXAMPLES

WHOLE = {"uchar": (0, 8), "short": (1, 16), "ushort": (0, 16), "long": (1, 32), "ulong": (0, 32), "long64": (1, 64)}


def whole(signed: int, bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


# Of TangoTest: what its attributes are called after, and what they take.
ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    **{name: whole(*size) for name, size in WHOLE.items()},
    "ulong64": whole(0, 64),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),  # which the device refuses
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "string": st.text(st.characters(max_codepoint=255, exclude_characters="\0"), max_size=50),
}
ATTRIBUTES = [
    (kind, form)
    for kind in ELEMENTS
    for form in ("scalar", "spectrum", "image")
    if form == "scalar" or kind not in ("ulong", "long64", "ulong64")
]


@pytest.mark.parametrize(("kind", "form"), ATTRIBUTES)
def test_what_is_written_is_read(client: TestApp, demo_url: str, kind: str, form: str) -> None:
    url = f"{demo_url}/attributes/{kind}_{form}/value"
    rows = st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(ELEMENTS[kind], min_size=width, max_size=width), min_size=1, max_size=4)
    )
    shapes = {"scalar": ELEMENTS[kind], "spectrum": st.lists(ELEMENTS[kind], min_size=1, max_size=20), "image": rows}

    @settings(max_examples=EXAMPLES or 25)
    @given(shapes[form])
    def check(value: Any) -> None:
        got = client.put(url, orjson.dumps(value)).json["value"]
        assert repr(singles(got) if kind == "float" else got) == repr(value)  # with the sign of 0

    check()


def singles(value: Any) -> Any:
    """Out of the digits that a single has."""
    return [singles(item) for item in value] if isinstance(value, list) else float(numpy.float32(value))
