"""Conversions that no device is needed for; those of real values are in tests/api/rc3/test_values.py."""

from __future__ import annotations

import math

import numpy
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tango import CmdArgType, DevState, TimeVal

from mtango_gevent import values
from mtango_gevent.values.types import ARRAYS, TYPES


def as_json(value: object) -> object:
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def same(sent: object, got: object) -> bool:
    """Whether `got`, from JSON, means the number `sent`."""
    number = SPECIAL.get(got, got) if isinstance(got, str) else got
    return number == sent or (math.isnan(number) and math.isnan(sent))


@given(st.floats())
def test_doubles_survive(number: float) -> None:
    assert same(number, as_json(values.command_value(number, CmdArgType.DevDouble)))


@given(st.floats(width=32))
def test_floats_have_the_digits_of_their_type(number: float) -> None:
    got = as_json(values.command_value(number, CmdArgType.DevFloat))
    back = SPECIAL.get(got, got) if isinstance(got, str) else got
    assert same(number, float(numpy.float32(back)))
    assert str(numpy.float32(back)) == str(numpy.float32(number))
    assert same(back, float(str(numpy.float32(number))))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_arrays_of_numbers_survive(dtype: str) -> None:
    @given(arrays(dtype, array_shapes(max_dims=2, max_side=5)))
    def check(array: numpy.ndarray) -> None:
        got = as_json(TYPES[CmdArgType.DevDouble].array(array))
        flat = numpy.array(got, dtype=object).ravel()
        assert all(
            same(float(sent), float(numpy.dtype(dtype).type(SPECIAL.get(back, back))))
            for sent, back in zip(array.ravel(), flat, strict=True)
        )

    check()


@pytest.mark.parametrize("name", [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)])
def test_integers_are_exact_at_both_ends(name: str) -> None:
    limits = numpy.iinfo(name)
    array = numpy.array([limits.min, limits.max], dtype=name)
    assert as_json(TYPES[CmdArgType.DevLong].array(array)) == [limits.min, limits.max]


def test_finite_arrays_are_not_copied() -> None:
    image = numpy.random.default_rng(1).random((251, 251))
    assert TYPES[CmdArgType.DevDouble].array(image) is image


def test_arrays_whose_sum_overflows_are_still_numbers() -> None:
    assert as_json(TYPES[CmdArgType.DevDouble].array(numpy.array([1e308, 1e308]))) == [1e308, 1e308]


def test_encoded_takes_bytes_of_any_kind() -> None:
    wanted = {"encoded_format": "GRAY8", "encoded_data": "AP+A"}
    for data in (b"\x00\xff\x80", "\x00\xff\x80", numpy.array([0, 255, 128], dtype="u1")):
        assert values.command_value(("GRAY8", data), CmdArgType.DevEncoded) == wanted


def test_states_are_names() -> None:
    assert values.command_value(DevState.MOVING, CmdArgType.DevState) == "MOVING"
    assert TYPES[CmdArgType.DevState].array((DevState.ON, 1)) == ["ON", "OFF"]


def test_time_is_cut_to_milliseconds() -> None:
    stamp = TimeVal()
    stamp.tv_sec, stamp.tv_usec, stamp.tv_nsec = 1_700_000_000, 123_999, 0
    assert values.milliseconds(stamp) == 1_700_000_000_123


def test_every_tango_type_of_values_has_a_row() -> None:
    without = {"DevPipeBlob", "DevInt", "Unknown"}
    with_row = {str(kind) for kind in (*TYPES, *ARRAYS)}
    missing = {str(kind) for kind in CmdArgType.values.values()} - with_row - without
    assert not missing
