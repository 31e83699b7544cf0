"""What clients send, as the values that Tango gets: never anything but a value or a refusal. Without any device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tango import CmdArgType, DevState

from mtango_gevent import limits, values
from mtango_gevent.errors import BadRequest
from mtango_gevent.values import RawInput, converters, shown
from mtango_gevent.values.types import ARRAYS, TYPES

# Whatever JSON can say, with many a number at an end of its type.
NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [sign * 2**bits + off for bits in (7, 8, 15, 16, 31, 32, 63, 64) for sign in (1, -1) for off in (-1, 0)]
    ),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(), inner, max_size=5)),
    max_leaves=20,
)

# Texts that look like numbers, lists and JSON, and are often none.
LOOKALIKES = st.one_of(
    st.text(),
    st.text(alphabet='0123456789+-.eE ,"[]{}:_naifty\u0661\x00', max_size=30),
    st.from_regex(r"[+-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,25})?", fullmatch=True),
    JSON.map(
        lambda value: orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode() if fits(value) else ""
    ),
)
SENT = st.one_of(
    st.lists(LOOKALIKES, min_size=1, max_size=4).map(RawInput.in_query),
    LOOKALIKES.map(RawInput.in_body),
    JSON.map(RawInput.in_json),
)

ALL_TYPES = sorted({*TYPES, *ARRAYS}, key=int)


def fits(value: Any) -> bool:
    """Whether the encoder of the tests has it: integers of more than 64 bits it has not."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def outcome(refusal: type[Exception], make: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """(what is made, why not)."""
    try:
        return make(*arguments), ""
    except refusal as error:
        return None, str(error)


@given(SENT)
def test_all_readings_give_a_value_or_a_reason(sent: RawInput) -> None:
    for read in (sent.text, sent.element, sent.elements, sent.rows):
        found, reason = outcome(ValueError, read)
        assert reason or isinstance(found, str) or read != sent.text
        assert reason or isinstance(found, list) or read not in (sent.elements, sent.rows)


@given(SENT)
def test_a_message_shows_one_line_of_what_was_sent(sent: RawInput) -> None:
    for text in (sent.shown(), shown(sent.parsed) if sent.parsed.__class__ is not object else ""):
        assert len(text) <= 83
        assert "\n" not in text


@given(st.lists(st.text()))
def test_a_comma_list_gives_back_what_was_put_into_quotes(fields: list[str]) -> None:
    text = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    assert RawInput.in_query([text]).elements() == fields


@given(st.lists(st.text().filter(lambda field: not {",", '"', "[", "{"} & set(field)), min_size=2))
def test_a_comma_list_leaves_plain_fields_as_they_are(fields: list[str]) -> None:
    assert RawInput.in_query([",".join(fields)]).elements() == fields


@pytest.mark.parametrize("data_type", ALL_TYPES, ids=str)
def test_an_argument_is_made_or_refused(data_type: CmdArgType) -> None:
    @given(SENT)
    def check(sent: RawInput) -> None:
        _, reason = outcome(BadRequest, values.command_argument, data_type, sent)
        assert not reason or (values.type_name(data_type) in reason and len(reason) < 1000)

    check()


@given(JSON)
def test_a_blob_is_made_or_refused(sent: Any) -> None:
    _, reason = outcome(BadRequest, values.blob_argument, {"name": "a", "data": sent})
    assert len(reason) < 1000


@given(
    st.dictionaries(st.sampled_from(["name", "type", "value", "data"]), JSON),
    st.sampled_from(["DevLong", "DevPipeBlob"]),
)
def test_an_element_of_a_blob_is_made_or_refused(element: dict[str, Any], data_type: str) -> None:
    try:
        name, (made,) = values.blob_argument({"name": "a", "data": [{"name": "x", "type": data_type, **element}]})
    except BadRequest:
        return
    assert (name, set(made)) == ("a", {"name", "dtype", "value"})


# --- there and back ---


def through(data_type: CmdArgType, value: Any) -> list[Any]:
    """What Tango gets when a client sends a value as it has read it: as JSON, and as a text."""
    text = orjson.dumps(values.command_value(value, data_type), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    sent = [RawInput.in_body(text), RawInput.in_json(orjson.loads(text))]
    if text[:1] not in '{"':
        sent.append(RawInput.in_query([text]))
    return [values.command_argument(data_type, each) for each in sent]


WHOLE = {
    CmdArgType.DevUChar: "u1",
    CmdArgType.DevShort: "i2",
    CmdArgType.DevUShort: "u2",
    CmdArgType.DevLong: "i4",
    CmdArgType.DevULong: "u4",
    CmdArgType.DevLong64: "i8",
    CmdArgType.DevULong64: "u8",
}


@pytest.mark.parametrize("data_type", WHOLE, ids=str)
def test_integers_come_back_exactly_and_no_others_are_taken(data_type: CmdArgType) -> None:
    bounds = numpy.iinfo(WHOLE[data_type])

    @given(st.integers(2 * int(bounds.min) - 2, 2 * int(bounds.max) + 2))
    def check(number: int) -> None:
        sent = [
            RawInput.in_query([str(number)]),
            RawInput.in_body(str(number)),
            RawInput.in_json(number),
            RawInput.in_json(str(number)),
        ]
        for each in sent:
            if bounds.min <= number <= bounds.max:
                assert values.command_argument(data_type, each) == number
            else:
                with pytest.raises(BadRequest):
                    values.command_argument(data_type, each)

    check()


@given(st.floats())
def test_doubles_come_back_exactly(number: float) -> None:
    for back in through(CmdArgType.DevDouble, number):
        assert (math.isnan(back) and math.isnan(number)) or (
            back == number and math.copysign(1, back) == math.copysign(1, number)
        )


@given(st.lists(st.floats(width=32)))
def test_arrays_of_floats_come_back_exactly(numbers: list[float]) -> None:
    for back in through(CmdArgType.DevVarFloatArray, numpy.array(numbers, "f4")):
        assert numpy.array_equal(back, numpy.array(numbers, "f4"), equal_nan=True)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_arrays_of_integers_come_back_exactly(numbers: list[int]) -> None:
    for back in through(CmdArgType.DevVarLong64Array, numpy.array(numbers, "i8")):
        assert back.tolist() == numbers


LATIN1 = st.text(st.characters(max_codepoint=255, exclude_characters="\0"))


@given(LATIN1)
def test_texts_come_back_as_they_were(text: str) -> None:
    assert through(CmdArgType.DevString, text) == [text, text]
    assert values.command_argument(CmdArgType.DevString, RawInput.in_query([text])) == text


@given(st.lists(LATIN1))
def test_lists_of_texts_come_back_as_they_were(texts: list[str]) -> None:
    assert all(back == texts for back in through(CmdArgType.DevVarStringArray, texts))


@given(st.text(st.characters(codec="ascii", exclude_characters="\0")), st.binary())
def test_encoded_data_comes_back_as_it_was(encoding: str, data: bytes) -> None:
    assert all(back == (encoding, data) for back in through(CmdArgType.DevEncoded, (encoding, data)))


@given(st.sampled_from(sorted(DevState.values.values(), key=int)), st.booleans())
def test_states_and_booleans_come_back_as_they_were(state: DevState, truth: bool) -> None:
    assert set(through(CmdArgType.DevState, state)) == {state}
    assert set(through(CmdArgType.DevBoolean, truth)) == {truth}


@given(st.text(alphabet="0123456789+-.eE", max_size=40))
def test_a_number_is_read_as_python_reads_it_or_refused(text: str) -> None:
    """Exactly, and never as 0 what is none."""
    try:
        number = converters.Float(numpy.float64).convert(text)
    except ValueError:
        return
    assert number == float(text)
    assert number or not set(text.lower().partition("e")[0]) & set("123456789")


def test_as_many_as_the_limit_says_are_taken() -> None:
    sent = RawInput.in_query([",".join(["1"] * limits.ONE_BY_ONE)])
    assert values.command_argument(CmdArgType.DevVarDoubleArray, sent).sum() == limits.ONE_BY_ONE


def test_zero_beside_a_tiny_number_stays_a_number() -> None:
    assert RawInput.in_body("[1e-200, 0.0, -0.0e5, 0, 1.5]").elements() == [1e-200, 0.0, 0.0, 0, 1.5]
    assert RawInput.in_body("[1e-999, 0.0]").elements() == ["1e-999", 0.0]
