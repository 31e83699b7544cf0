"""Values that are written: a plain client in another process reads what the gateway says it wrote."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestApp

from tests.conftest import CPP_DEVICE, TYPES_DEVICE
from tests.live.conftest import wait_until
from tests.pytango_process import PyTango
from tests.tango_values import KINDS, Pair, many_examples


def put_json(client: TestApp, url: str, value: Any) -> Any:
    return client.put(url, orjson.dumps(value), content_type="application/json").json


def pairs(items: list[Any]) -> Pair:
    """A list of pairs as a pair of lists, at any depth."""
    if items and isinstance(items[0], list):
        rows = [pairs(item) for item in items]
        return [row[0] for row in rows], [row[1] for row in rows]
    return [item[0] for item in items], [item[1] for item in items]


# --- every type, and back ---


@pytest.fixture
def check_round_trip(client: TestApp, types_url: str, pytango: PyTango, fresh_types: str) -> Callable[..., None]:
    def check(attribute: str, pair: Pair) -> None:
        """What is written is what another client reads; what is read can be written back."""
        plain, shown = pair
        url = f"{types_url}/attributes/{attribute}/value"
        answer = put_json(client, url, shown)
        assert answer["value"] == shown
        assert (answer["name"], answer["quality"]) == (attribute, "ATTR_VALID")
        assert pytango.read(fresh_types, attribute) == plain
        assert put_json(client, url, client.get(url).json["value"])["value"] == shown
        assert pytango.read(fresh_types, attribute) == plain

    return check


@pytest.mark.parametrize("kind", KINDS)
@many_examples
@given(data=st.data())
def test_a_scalar_comes_back_as_it_was(kind: str, data: st.DataObject, check_round_trip: Callable[..., None]) -> None:
    check_round_trip(f"{kind}_scalar", data.draw(KINDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
@many_examples
@given(data=st.data())
def test_a_spectrum_comes_back_as_it_was(kind: str, data: st.DataObject, check_round_trip: Callable[..., None]) -> None:
    check_round_trip(f"{kind}_spectrum", pairs(data.draw(st.lists(KINDS[kind], max_size=20))))


@pytest.mark.parametrize("kind", KINDS)
@many_examples
@given(data=st.data())
def test_an_image_comes_back_as_it_was(kind: str, data: st.DataObject, check_round_trip: Callable[..., None]) -> None:
    height, width = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 4))
    row = st.lists(KINDS[kind], min_size=width, max_size=width)
    check_round_trip(f"{kind}_image", pairs(data.draw(st.lists(row, min_size=height, max_size=height))))


@many_examples
@given(content=st.binary(max_size=300), encoding=st.sampled_from(["", "GRAY8", "JSON"]))
def test_encoded_data_come_back_as_they_were(
    content: bytes, encoding: str, check_round_trip: Callable[..., None]
) -> None:
    shown = {"encoded_format": encoding, "encoded_data": base64.b64encode(content).decode()}
    check_round_trip("encoded_scalar", ([encoding, content], shown))


@pytest.mark.slow
def test_an_image_of_a_million_numbers_is_written(
    client: TestApp, types_url: str, pytango: PyTango, fresh_types: str
) -> None:
    rows = [[float(row * 1000 + column) for column in range(1000)] for row in range(1000)]
    answer = put_json(client, f"{types_url}/attributes/double_image/value", rows)
    assert answer["value"] == rows
    assert pytango.read(fresh_types, "double_image") == rows


# --- every way to say it ---


@pytest.mark.parametrize(
    ("attribute", "query", "plain"),
    [
        ("long_scalar", "v=5", 5),
        ("long_scalar", "v=%205%20", 5),
        ("double_scalar", "v=1e3", 1000.0),
        ("double_scalar", "v=-.5", -0.5),
        ("double_scalar", "v=1e+21", 1e21),
        ("boolean_scalar", "v=yes", True),
        ("boolean_scalar", "v=0", False),
        ("string_scalar", "v=", ""),
        ("string_scalar", 'v="quotes"', '"quotes"'),
        ("string_scalar", "v=a,b", "a,b"),
        ("string_scalar", "v=%5B1%5D", "[1]"),
        ("state_scalar", "v=moving", 6),
        ("enum_scalar", "v=VERY%20HIGH", 2),
        ("enum_scalar", "v=1", 1),
        ("long_spectrum", "v=1,2,3", [1, 2, 3]),
        ("long_spectrum", "v=1&v=2", [1, 2]),
        ("long_spectrum", "v=[1,2]", [1, 2]),
        ("long_spectrum", "v=7", [7]),
        ("long_spectrum", "v=", []),
        ("uchar_spectrum", "v=0,255", [0, 255]),
        ("string_spectrum", 'v=a,"b,c",%20d', ["a", "b,c", " d"]),
        ("string_spectrum", "v=a,b&v=%22c%22", ["a,b", '"c"']),
        ("enum_spectrum", "v=LOW,VERY%20HIGH,1", [0, 2, 1]),
        ("state_spectrum", "v=ON,OFF", [0, 1]),
        ("long_image", "v=1,2&v=3,4", [[1, 2], [3, 4]]),
        ("string_spectrum", 'v="a""b",c%0A', ['a"b', "c\n"]),
        ("string_spectrum", 'v=say "hi",c%0Ad%0A', ['say "hi"', "c\nd\n"]),
        ("string_spectrum", "v=a,", ["a", ""]),
        ("string_spectrum", "v=,", ["", ""]),
        ("long_image", "v=[[1,2],[3,4]]", [[1, 2], [3, 4]]),
        ("long_image", "v=", []),
    ],
)
def test_values_in_the_query(
    client: TestApp, types_url: str, pytango: PyTango, fresh_types: str, attribute: str, query: str, plain: Any
) -> None:
    client.put(f"{types_url}/attributes/{attribute}/value?{query}", status=200)
    assert pytango.read(fresh_types, attribute) == plain


@pytest.mark.parametrize(
    ("attribute", "body", "content_type", "plain"),
    [
        ("long_scalar", "5", "application/json", 5),
        ("long_scalar", "5", "text/plain", 5),
        ("long_scalar", "5", "application/x-www-form-urlencoded", 5),  # as curl -d sends it
        ("long_scalar", "v=6", "application/x-www-form-urlencoded", 6),
        ("long_scalar", "7.0", "application/json", 7),
        ("string_scalar", '"Hi!"', "application/json", "Hi!"),
        ("string_scalar", "Hi there", "application/json", "Hi there"),
        ("string_scalar", "5", "application/json", "5"),
        ("string_scalar", '{"a": [1, 2]}', "application/json", '{"a": [1, 2]}'),
        ("string_scalar", "été", "text/plain; charset=utf-8", "été"),
        ("string_spectrum", "a,b", "text/plain", ["a", "b"]),
        ("string_spectrum", '"a,b"', "text/plain", ["a,b"]),
        ("double_spectrum", "1.5,2", "text/plain", [1.5, 2.0]),
        ("double_spectrum", "[1, 2.5]", "text/plain", [1.0, 2.5]),
        ("long64_spectrum", "[9223372036854775807, -9223372036854775808]", "application/json", [2**63 - 1, -(2**63)]),
        ("ulong64_scalar", "18446744073709551615", "application/json", 2**64 - 1),
    ],
)
def test_values_in_the_body(
    client: TestApp,
    types_url: str,
    pytango: PyTango,
    fresh_types: str,
    attribute: str,
    body: str,
    content_type: str,
    plain: Any,
) -> None:
    url = f"{types_url}/attributes/{attribute}/value"
    client.put(url, body.encode(), content_type=content_type, status=200)
    assert pytango.read(fresh_types, attribute) == plain


def test_a_body_in_latin_1_is_read_as_it_says(
    client: TestApp, types_url: str, pytango: PyTango, fresh_types: str
) -> None:
    url = f"{types_url}/attributes/string_scalar/value"
    client.put(url, "5 µm".encode("latin-1"), content_type="text/plain; charset=iso-8859-1")
    assert pytango.read(fresh_types, "string_scalar") == "5 µm"


# --- what does not fit ---


@pytest.mark.parametrize(
    ("attribute", "body", "words"),
    [
        ("long_scalar", "abc", ["long_scalar", "DevLong", '"abc"', "whole number", "2147483647"]),
        ("long_scalar", "1.5", ["1.5", "whole number"]),
        ("long_scalar", "2147483648", ["2147483648"]),
        ("long_scalar", "true", ["true"]),
        ("long_scalar", "null", ["null"]),
        ("long_scalar", "[1]", ["[1]"]),
        ("long_scalar", "\N{ARABIC-INDIC DIGIT FIVE}", ["whole number"]),
        ("uchar_scalar", "256", ["0 to 255"]),
        ("ushort_scalar", "-1", ["0 to 65535"]),
        ("ulong64_scalar", "18446744073709551616", ["18446744073709551616", "18446744073709551615"]),
        ("long64_scalar", "-9223372036854775809", ["-9223372036854775809"]),
        ("long64_scalar", "9007199254740993.0", ["9007199254740993.0"]),
        ("float_scalar", "1e39", ["1e39", "DevFloat"]),
        ("double_scalar", "1e400", ["1e400"]),
        ("double_scalar", "1_000", ["1_000"]),
        ("double_scalar", "1e-400", ["1e-400", "become 0"]),
        ("double_scalar", '"1e-400"', ["become 0"]),
        ("float_scalar", "1e-46", ["1e-46", "become 0"]),
        ("float_spectrum", "[1, 1e-46]", ["1e-46 at index 1", "become 0"]),
        ("double_spectrum", "[1, 1e-400]", ["1e-400", "become 0"]),
        ("long_scalar", '"0.99999999999999999999"', ["whole number"]),
        ("long64_scalar", '"4503599627370497.3"', ["whole number"]),
        ("long64_scalar", '"9.223372036854775807e18"', ["whole number"]),
        ("double_scalar", "", ["got neither"]),
        ("boolean_scalar", "maybe", ["true or false"]),
        ("string_scalar", "€", ["Latin-1"]),
        ("string_scalar", "a\0b", ["NUL"]),
        ("state_scalar", "FLYING", ["state"]),
        ("enum_scalar", "high", ["VERY HIGH"]),
        ("enum_scalar", "3", ["0 to 2"]),
        ("limited_scalar", "abc", ["from -100", "to 100"]),
        ("long_spectrum", "[1, 2, 3.5]", ["SPECTRUM", "3.5 at index 2"]),
        ("long_spectrum", "5 6", ["5 6"]),
        ("long_spectrum", '{"a": 1}', ["whole number"]),
        ("double_spectrum", '[1, "two"]', ['"two" at index 1']),
        ("string_spectrum", '["a", 5]', ["5 at index 1"]),
        ("string_spectrum", '"a" b', ["comma list"]),
        ("string_spectrum", '["a", "b"', ["JSON list"]),
        ("string_spectrum", "null", ["expected a list", "null"]),
        ("long_image", "[1, 2]", ["IMAGE", "rows"]),
        ("long_image", "1,2,3,4", ["IMAGE", "rows"]),
        ("long_image", "[[1], [2, 3]]", ["different lengths"]),
        ("long_image", "[" * 600 + "]" * 600, ["long_image"]),
        ("long_spectrum", "[" * 1000 + "]" * 1000, ["long_spectrum"]),
        ("encoded_scalar", "abc", ["encoded_format"]),
        ("encoded_scalar", '{"encoded_format": "x", "encoded_data": "?"}', ["base64"]),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    client: TestApp, types_url: str, attribute: str, body: str, words: list[str]
) -> None:
    url = f"{types_url}/attributes/{attribute}/value"
    before = client.get(url).json["value"]
    refusal = client.put(url, body.encode(), content_type="application/json", status=400).json
    assert refusal["quality"] == "FAILURE"
    assert all(word in refusal["errors"][0]["description"] for word in words), refusal
    assert attribute == "limited_scalar" or client.get(url).json["value"] == before


def test_one_value_is_not_several(client: TestApp, types_url: str) -> None:
    refusal = client.put(f"{types_url}/attributes/long_scalar/value?v=1&v=2", status=400).json
    assert "expected one value, got 2" in refusal["errors"][0]["description"]


def test_a_body_that_cannot_be_decoded_is_refused(client: TestApp, types_url: str) -> None:
    url = f"{types_url}/attributes/string_scalar/value"
    assert "utf-8" in client.put(url, b"\xff", status=400).json["errors"][0]["description"]
    form = "application/x-www-form-urlencoded"
    assert "UTF-8" in client.put(url, b"v=%FF", content_type=form, status=400).json["errors"][0]["description"]


@pytest.mark.parametrize("charset", ["klingon", "undefined", "punycode", "utf-7", "unicode_escape", "%00"])
def test_a_charset_that_is_no_usual_one_is_refused(client: TestApp, types_url: str, charset: str) -> None:
    url = f"{types_url}/attributes/string_scalar/value"
    for content_type in (f"text/plain; charset={charset}", f"text/plain; charset*=utf-8''{charset}"):
        refusal = client.put(url, rb"\ud800", content_type=content_type, status=400).json
        assert "charset" in refusal["errors"][0]["description"]


def test_a_body_in_parts_is_refused(client: TestApp, types_url: str) -> None:
    url = f"{types_url}/attributes/string_scalar/value"
    refusal = client.put(url, {"v": "a"}, upload_files=[("w", "w.txt", b"a")], status=400).json
    assert "multipart/form-data" in refusal["errors"][0]["description"]


def test_a_body_that_is_too_large_is_refused(make_client: Callable[..., TestApp], types_url: str) -> None:
    client = make_client(body_limit=10)
    url = f"{types_url}/attributes/string_scalar/value"
    refusal = client.put(url, b"x" * 11, status=413).json
    assert "10 bytes" in refusal["errors"][0]["description"]
    assert client.put(url, b"x" * 10).json["value"] == "x" * 10


@pytest.mark.parametrize("body", ["1" * 200_000 + "e", "1" * 200_000 + "x", ".".join("1" * 100_000)])
@pytest.mark.parametrize("attribute", ["double_scalar", "long_scalar", "double_spectrum"])
def test_a_long_text_that_is_no_number_is_refused_soon(
    client: TestApp, types_url: str, attribute: str, body: str
) -> None:
    began = time.monotonic()
    client.put(f"{types_url}/attributes/{attribute}/value", body, status=400)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(("text", "value"), [("9007199254740993.0", 2**53 + 1), ("9e18", 9 * 10**18)])
def test_an_integer_is_exact_however_it_is_written(
    client: TestApp, types_url: str, fresh_types: str, text: str, value: int
) -> None:
    assert client.put(f"{types_url}/attributes/long64_scalar/value?v={text}").json["value"] == value


@pytest.mark.parametrize(
    ("attribute", "body", "reason"),
    [
        ("limited_scalar", "200", "API_WAttrOutsideLimit"),
        ("double_scalar", '"NaN"', "API_WAttrOutsideLimit"),
        ("nan_scalar", "1", "API_AttrNotWritable"),
    ],
)
def test_what_the_device_refuses_is_its_failure_with_what_was_sent(
    client: TestApp, types_url: str, attribute: str, body: str, reason: str
) -> None:
    failure = client.put(f"{types_url}/attributes/{attribute}/value", body, status=200).json
    assert failure["errors"][0]["reason"] == reason
    assert all(word in failure["errors"][0]["description"] for word in (attribute, "DevDouble", body.strip('"')))


def test_a_label_is_the_one_that_the_device_has_now(
    client: TestApp, types_url: str, fresh_types: str, pytango: PyTango
) -> None:
    """Another program has put them in another order, and the gateway still has the old one."""
    url = f"{types_url}/attributes/enum_scalar"
    before = client.get(f"{url}/info").json["enum_label"]
    pytango.configure(fresh_types, "enum_scalar", enum_labels=before[::-1])
    try:
        assert client.put(f"{url}/value", before[0]).json["value"] == before[0]
        assert pytango.read(fresh_types, "enum_scalar") == len(before) - 1
    finally:
        pytango.configure(fresh_types, "enum_scalar", enum_labels=before)


def test_an_unknown_attribute_is_a_tango_failure(client: TestApp, types_url: str) -> None:
    failure = client.put(f"{types_url}/attributes/nope/value?v=1", status=200).json
    assert failure["errors"][0]["reason"] == "API_AttrNotFound"


# --- kinds of attributes ---


def test_an_attribute_that_is_only_written_answers_what_was_written(
    client: TestApp, device_url: str, tangotest: str, pytango: PyTango
) -> None:
    assert client.put(f"{device_url}/attributes/AMPLI/value?v=2.5").json["value"] == 2.5
    assert pytango.read_set_point(tangotest, "ampli") == 2.5


@pytest.mark.parametrize("kind", ["double", "long", "short"])
def test_what_is_written_to_read_with_write_goes_to_its_other_half(
    client: TestApp, host_url: str, cpp_device: str, pytango: PyTango, kind: str
) -> None:
    answer = client.put(f"{host_url}/devices/{cpp_device}/attributes/{kind}_scalar_rww/value?v=42").json
    assert answer["name"] == f"{kind}_scalar_rww"
    assert isinstance(answer["value"], (int, float))
    assert pytango.read(cpp_device, f"{kind}_scalar_w") == 42


# Without long_image, a write of which ends the C++ server.
CPP_VALUES = {
    "boolean_scalar": True,
    "double_scalar": -1.5,
    "float_scalar": 0.25,
    "long_scalar": -5,
    "long64_scalar": -(2**63),
    "short_scalar": -32768,
    "string_scalar": 'Ångström, "quoted" & more',
    "uchar_scalar": 255,
    "ulong64_scalar": 2**64 - 1,
    "ulong_scalar": 2**32 - 1,
    "ushort_scalar": 65535,
    "boolean_spectrum": [True, False, True],
    "double_spectrum": [0.1, -1e300],
    "float_spectrum": [0.5, 2.0],
    "long_spectrum": [1, -2, 3],
    "short_spectrum": [1, -2],
    "string_spectrum": ["a", "é,\n", ""],
    "uchar_spectrum": [0, 255],
    "ushort_spectrum": [0, 65535],
    "boolean_image": [[True, False], [False, True]],
    "double_image": [[0.1, 0.2], [0.3, 0.4]],
    "float_image": [[0.5], [1.5]],
    "short_image": [[1, -2]],
    "string_image": [["a", "b"], ["c", "d"]],
    "uchar_image": [[0, 255]],
    "ushort_image": [[0, 65535]],
}


@pytest.mark.parametrize("attribute", CPP_VALUES)
def test_a_cpp_server_takes_every_type(
    client: TestApp, host_url: str, cpp_device: str, pytango: PyTango, attribute: str
) -> None:
    answer = put_json(client, f"{host_url}/devices/{cpp_device}/attributes/{attribute}/value", CPP_VALUES[attribute])
    assert answer["quality"] == "ATTR_VALID"
    assert pytango.read_set_point(CPP_DEVICE, attribute) == CPP_VALUES[attribute]


def test_what_is_read_back_is_not_what_polling_has_kept(client: TestApp, types_url: str, fresh_types: str) -> None:
    for number in range(3):
        assert client.put(f"{types_url}/attributes/limited_scalar/value?v={number}").json["value"] == number
        (item,) = client.put(f"{types_url}/attributes/value?limited_scalar={number + 50}").json
        assert item["value"] == number + 50


def test_the_time_of_the_value_is_the_last_modification(client: TestApp, types_url: str, fresh_types: str) -> None:
    answer = client.put(f"{types_url}/attributes/long_scalar/value?v=5")
    assert answer.last_modified.timestamp() == answer.json["timestamp"] // 1000
    assert abs(answer.json["timestamp"] / 1000 - time.time()) < 60


# --- several at a time ---


def test_each_of_several_succeeds_or_fails_for_itself(
    client: TestApp, types_url: str, pytango: PyTango, fresh_types: str
) -> None:
    query = (
        "double_spectrum=1,2&LONG_SCALAR=7&nope=1&uchar_scalar=256&limited_scalar=200&string_scalar=a,b&nan_scalar=1"
    )
    items = client.put(f"{types_url}/attributes/value?{query}", status=200).json
    assert [item["name"] for item in items] == [
        *("double_spectrum", "long_scalar", "nope", "uchar_scalar", "limited_scalar", "string_scalar", "nan_scalar")
    ]
    assert [item.get("value") for item in items] == [[1, 2], 7, None, None, None, "a,b", None]
    reasons = [item["errors"][0]["reason"] for item in items if item["quality"] == "FAILURE"]
    assert reasons == ["API_AttrNotFound", "MTANGO_BadRequest", "API_WAttrOutsideLimit", "API_AttrNotWritable"]
    assert all(item["errors"][0]["desc"] for item in items if item["quality"] == "FAILURE")
    assert pytango.read(fresh_types, "long_scalar") == 7
    assert pytango.read(fresh_types, "double_spectrum") == [1, 2]


def test_several_as_a_json_object(client: TestApp, types_url: str, pytango: PyTango, fresh_types: str) -> None:
    sent = {"double_image": [[1, 2]], "string_spectrum": ["a,b", "c"], "enum_scalar": "MIDDLE"}
    items = put_json(client, f"{types_url}/attributes/value", sent)
    assert [item["value"] for item in items] == list(sent.values())
    assert pytango.read(fresh_types, "string_spectrum") == ["a,b", "c"]


def test_a_repeated_name_is_a_list(client: TestApp, types_url: str, pytango: PyTango, fresh_types: str) -> None:
    client.put(f"{types_url}/attributes/value?long_spectrum=1&long_spectrum=2")
    assert pytango.read(fresh_types, "long_spectrum") == [1, 2]


def test_one_attribute_twice_in_two_spellings_is_written_twice(
    client: TestApp, types_url: str, pytango: PyTango, fresh_types: str
) -> None:
    items = client.put(f"{types_url}/attributes/value?long_scalar=1&LONG_scalar=2").json
    assert [item["value"] for item in items] == [2, 2]
    assert pytango.read(fresh_types, "long_scalar") == 2


@pytest.mark.parametrize("query", ["", "?async=false"])
def test_nothing_to_write_is_refused(client: TestApp, types_url: str, query: str) -> None:
    refusal = client.put(f"{types_url}/attributes/value{query}", status=400).json
    assert "got neither" in refusal["errors"][0]["description"]


def test_a_device_out_of_reach_fails_all(client: TestApp, host_url: str) -> None:
    items = client.put(f"{host_url}/devices/no/such/device/attributes/value?a=1&b=2").json
    assert [item["errors"][0]["reason"] for item in items] == ["DB_DeviceNotDefined"] * 2


# --- without waiting ---


def test_async_answers_at_once_and_writes(client: TestApp, types_url: str, pytango: PyTango, fresh_types: str) -> None:
    answer = client.put(f"{types_url}/attributes/long_scalar/value?v=11&async=true", status=204)
    assert (answer.body, answer.content_type) == (b"", None)
    wait_until(lambda: pytango.read(fresh_types, "long_scalar") == 11)
    client.put(f"{types_url}/attributes/value?long_scalar=12&long_spectrum=1,2&async", status=204)
    wait_until(lambda: pytango.read(fresh_types, "long_spectrum") == [1, 2])
    assert pytango.read(fresh_types, "long_scalar") == 12


@pytest.mark.parametrize("value", ["false", "0", "no", "No"])
def test_async_that_says_no_waits(client: TestApp, types_url: str, fresh_types: str, value: str) -> None:
    assert client.put(f"{types_url}/attributes/long_scalar/value?v=11&async={value}", status=200).json["value"] == 11


def test_async_writes_keep_their_order(client: TestApp, types_url: str, pytango: PyTango, fresh_types: str) -> None:
    for number in range(60):
        client.put(f"{types_url}/attributes/long_scalar/value?v={number}&async=1", status=204)
    wait_until(lambda: client.get("/tango/rest/sys/stats").json["async"]["waiting"] == 0)
    wait_until(lambda: pytango.read(fresh_types, "long_scalar") == 59)


def test_async_checks_the_argument_first(client: TestApp, types_url: str) -> None:
    for path in ("long_scalar/value?v=1.5&async=true", "value?long_scalar=1.5&async=true"):
        refusal = client.put(f"{types_url}/attributes/{path}", status=400).json
        assert "long_scalar" in refusal["errors"][0]["description"]


def test_an_async_failure_is_counted_and_logged(
    client: TestApp, types_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def failed() -> int:
        return client.get("/tango/rest/sys/stats").json["async"]["failed"]

    before = failed()
    client.put(f"{types_url}/attributes/limited_scalar/value?v=200&async=true", status=204)
    wait_until(lambda: failed() == before + 1)
    (line,) = [record.getMessage() for record in caplog.records if "async" in record.getMessage()]
    assert all(word in line for word in (TYPES_DEVICE, "limited_scalar", "API_WAttrOutsideLimit", "200"))


def test_async_writes_of_several_fail_for_themselves(
    client: TestApp, types_url: str, pytango: PyTango, fresh_types: str
) -> None:
    client.put(f"{types_url}/attributes/value?limited_scalar=200&long_scalar=13&async=true", status=204)
    wait_until(lambda: pytango.read(fresh_types, "long_scalar") == 13)


def test_only_so_many_wait_for_a_device(
    make_client: Callable[..., TestApp], host_url: str, slow_devices: list[str]
) -> None:
    client = make_client(async_limit=2)
    url = f"{host_url}/devices/{slow_devices[0]}/commands/Rest?async=true"
    answers = [client.put(url, "0.3") for _ in range(6)]
    refused = [answer.json["errors"][0]["reason"] for answer in answers if answer.status_int == 200]
    assert refused in (3 * ["MTANGO_DeviceBusy"], 4 * ["MTANGO_DeviceBusy"])  # one may have begun
    wait_until(lambda: client.get("/tango/rest/sys/stats").json["async"]["waiting"] == 0)
