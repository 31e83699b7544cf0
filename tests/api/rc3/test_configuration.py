"""Configurations of attributes that clients change: a plain client in another process finds what the answer says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
import tango
from webtest import TestApp

from tests.live.conftest import wait_until
from tests.pytango_process import PyTango

ATTRIBUTE = "double_scalar"


@pytest.fixture
def info_url(client: TestApp, device_url: str, tangotest: str) -> Iterator[str]:
    """Of an attribute that afterwards is configured as it was."""
    proxy = tango.DeviceProxy(tangotest)
    before = proxy.get_attribute_config_ex(ATTRIBUTE)[0]
    client.get("/tango/rest/sys/clean/attributes", status=204)
    yield f"{device_url}/attributes/{ATTRIBUTE}/info"
    proxy.set_attribute_config([before])


def put(client: TestApp, url: str, document: Any, **options: Any) -> Any:
    return client.put(url, orjson.dumps(document), content_type="application/json", **options).json


@pytest.mark.parametrize(
    ("keys", "path", "text"),
    [
        (["label"], ["label"], "Ångström"),
        (["description"], ["description"], "Two\nlines, 5 €"),
        (["unit"], ["unit"], "mA"),
        (["standard_unit"], ["standard_unit"], "0.001"),
        (["display_unit"], ["display_unit"], "A"),
        (["format"], ["format"], "%8.3f"),
        (["min_value"], ["min_value"], "-5"),
        (["max_value"], ["max_value"], "500"),
        (["min_alarm"], ["alarms", "min_alarm"], "-400"),
        (["alarms", "max_alarm"], ["alarms", "max_alarm"], "400"),
        (["alarms", "min_warning"], ["alarms", "min_warning"], "-300"),
        (["alarms", "max_warning"], ["alarms", "max_warning"], "300"),
        (["events", "ch_event", "abs_change"], ["events", "ch_event", "abs_change"], "0.25"),
        (["events", "ch_event", "rel_change"], ["events", "ch_event", "rel_change"], "10"),
        (["events", "per_event", "period"], ["events", "per_event", "period"], "500"),
        (["events", "arch_event", "abs_change"], ["events", "arch_event", "archive_abs_change"], "1"),
        (["events", "arch_event", "rel_change"], ["events", "arch_event", "archive_rel_change"], "20"),
        (["events", "arch_event", "period"], ["events", "arch_event", "archive_period"], "9000"),
    ],
)
def test_what_is_there_is_changed_and_the_rest_stays(
    client: TestApp, info_url: str, tangotest: str, pytango: PyTango, keys: list[str], path: list[str], text: str
) -> None:
    before = client.get(info_url).json
    document: Any = text
    for key in reversed(keys):
        document = {key: document}
    answer = put(client, info_url, document)
    assert pytango.get_configuration(tangotest, ATTRIBUTE, *path) == text
    assert client.get(info_url).json == answer
    changed = {key for key in before if answer[key] != before[key]}
    assert keys[0] in changed
    assert changed <= {keys[0], "alarms", "min_alarm", "max_alarm"}


def test_numbers_are_texts(client: TestApp, info_url: str, tangotest: str, pytango: PyTango) -> None:
    answer = put(client, info_url, {"min_value": -5, "alarms": {"max_alarm": 99.5}})
    assert (answer["min_value"], answer["max_alarm"], answer["alarms"]["max_alarm"]) == ("-5", "99.5", "99.5")
    assert pytango.get_configuration(tangotest, ATTRIBUTE, "alarms", "max_alarm") == "99.5"


def test_a_whole_answer_can_be_put_back_with_one_thing_changed(
    client: TestApp, info_url: str, tangotest: str, pytango: PyTango
) -> None:
    """`max_alarm` is in it twice: the one that differs is meant."""
    info = client.get(info_url).json
    assert put(client, info_url, info) == info
    info["max_alarm"] = "90"
    answer = put(client, info_url, info)
    assert answer["alarms"]["max_alarm"] == answer["max_alarm"] == "90"
    answer["alarms"]["max_alarm"] = "80"
    assert put(client, info_url, answer)["max_alarm"] == "80"
    assert pytango.get_configuration(tangotest, ATTRIBUTE, "alarms", "max_alarm") == "80"


def test_a_number_that_is_set_already_is_no_change(client: TestApp, info_url: str) -> None:
    """`max_alarm` as a number is what the text in `alarms` differs from."""
    put(client, info_url, {"max_alarm": "90"})
    info = client.get(info_url).json
    info["max_alarm"], info["alarms"]["max_alarm"] = 90, "80"
    assert put(client, info_url, info)["max_alarm"] == "80"
    info = client.get(info_url).json
    info["max_alarm"], info["alarms"]["max_alarm"] = "70", 80
    assert put(client, info_url, info)["alarms"]["max_alarm"] == "70"


def test_a_limit_is_taken_away(client: TestApp, info_url: str, tangotest: str, pytango: PyTango) -> None:
    put(client, info_url, {"min_value": "-5"})
    assert put(client, info_url, {"min_value": "Not specified"})["min_value"] == "Not specified"
    assert pytango.get_configuration(tangotest, ATTRIBUTE, "min_value") == "Not specified"


def test_labels_of_an_enumeration(client: TestApp, types_url: str, fresh_types: str, pytango: PyTango) -> None:
    url = f"{types_url}/attributes/enum_scalar"
    before = client.get(f"{url}/info").json["enum_label"]
    try:
        assert put(client, f"{url}/info", {"enum_label": ["OPEN", "SHUT", "5 µm"]})["enum_label"][2] == "5 µm"
        assert pytango.get_configuration(fresh_types, "enum_scalar", "enum_labels") == ["OPEN", "SHUT", "5 µm"]
        assert client.put(f"{url}/value?v=SHUT").json["value"] == "SHUT"
    finally:
        put(client, f"{url}/info", {"enum_label": before})


def test_a_label_that_another_program_has_just_made_can_be_written(
    client: TestApp, types_url: str, fresh_types: str, pytango: PyTango
) -> None:
    """Nothing is refused by a configuration that is kept from before."""
    url = f"{types_url}/attributes/enum_scalar"
    before = client.get(f"{url}/info").json["enum_label"]
    try:
        pytango.configure(fresh_types, "enum_scalar", enum_labels=["OPEN", "SHUT", "MOVING"])
        assert client.put(f"{url}/value?v=SHUT", status=200).json["quality"] == "ATTR_VALID"
    finally:
        put(client, f"{url}/info", {"enum_label": before})


def test_a_limit_that_is_set_holds_for_the_next_write(client: TestApp, info_url: str) -> None:
    put(client, info_url, {"max_value": "10"})
    failure = client.put(info_url.replace("/info", "/value?v=11")).json
    assert failure["errors"][0]["reason"] == "API_WAttrOutsideLimit"
    assert "to 10" in failure["errors"][0]["description"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"nonsense": "1"}, ["nonsense"]),
        ({"alarms": {"nonsense": "1"}}, ["alarms.nonsense"]),
        ({"alarms": 5}, ["alarms", "5"]),
        ({"name": "other"}, ["name", "cannot be changed"]),
        ({"writable": "READ"}, ["writable"]),
        ({"data_type": "DevLong"}, ["data_type"]),
        ({"max_dim_x": 5}, ["max_dim_x"]),
        ({"level": "EXPERT"}, ["level"]),
        ({"isMemorized": True}, ["isMemorized"]),
        ({"label": None}, ["label", "null"]),
        ({"label": ["a"]}, ["label", "text"]),
        ({"min_value": True}, ["min_value", "true"]),
        ({"unit": "a\0b"}, ["unit"]),
        ({"enum_label": "a,b"}, ["enum_label", "list"]),
        ({"enum_label": ["a,b", "c"]}, ["enum_label", "commas"]),
        ({"events": {"per_event": {"period": 1e30}}}, ["period", "2147483647"]),
        ({"events": {"arch_event": {"period": "0.5"}}}, ["period", "0.5"]),
        ({"alarms": {"delta_t": "4294967296"}}, ["delta_t"]),
        ({"max_value": "1e400"}, ["max_value", "1e400"]),
        ({"min_alarm": "1", "alarms": {"min_alarm": "2"}}, ["min_alarm", "twice"]),
        ([], ["object"]),
        ("text", ["object"]),
    ],
)
def test_what_cannot_be_changed_is_refused_and_nothing_is(
    client: TestApp, info_url: str, document: Any, words: list[str]
) -> None:
    before = client.get(info_url).json
    refusal = put(client, info_url, document, status=400)
    assert all(word in refusal["errors"][0]["description"] for word in words), refusal
    assert client.get(info_url).json == before


@pytest.mark.parametrize(
    ("attribute", "limit"),
    [
        ("uchar_scalar", 300),
        ("short_scalar", "70000"),
        ("ulong_scalar", -1),
        ("long_scalar", "100.7"),
        ("float_scalar", "1e39"),
        ("ulong64_scalar", 2**64 - 1),
        ("long64_scalar", -(2**53) - 1),
    ],
)
@pytest.mark.parametrize("key", ["min_value", "max_value", "min_alarm", "max_alarm"])
def test_a_limit_that_tango_would_cut_is_refused(
    client: TestApp, types_url: str, attribute: str, limit: Any, key: str
) -> None:
    url = f"{types_url}/attributes/{attribute}/info"
    before = client.get(url).json
    refusal = put(client, url, {key: limit}, status=400)
    assert all(word in refusal["errors"][0]["description"] for word in (key, attribute, str(limit)))
    assert client.get(url).json == before


def test_two_who_change_different_things_both_do(client: TestApp, info_url: str) -> None:
    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            wanted = {"label": f"label {number}", "unit": f"unit {number}"}
            list(threads.map(lambda item: put(client, info_url, dict([item])), wanted.items()))
            found = client.get(info_url).json
            assert {key: found[key] for key in wanted} == wanted


def test_async_changes_of_different_things_are_all_done(
    client: TestApp, info_url: str, tangotest: str, pytango: PyTango
) -> None:
    client.put(f"{info_url}?async=true", b'{"label": "first"}', status=204)
    client.put(f"{info_url}?async=true", b'{"unit": "second"}', status=204)
    wait_until(lambda: pytango.get_configuration(tangotest, ATTRIBUTE, "unit") == "second")
    assert pytango.get_configuration(tangotest, ATTRIBUTE, "label") == "first"


def test_a_body_that_is_not_json_is_refused(client: TestApp, info_url: str) -> None:
    for body in (b"", b"label=x", b"{", b"\xff"):
        client.put(info_url, body, status=400)


def test_what_the_device_refuses_is_its_failure(client: TestApp, info_url: str) -> None:
    failure = put(client, info_url, {"min_value": "abc"}, status=200)
    assert failure["errors"][0]["reason"] == "API_AttrOptProp"


def test_async_changes_later(client: TestApp, info_url: str, tangotest: str, pytango: PyTango) -> None:
    client.put(f"{info_url}?async=true", b'{"unit": "km"}', status=204)
    wait_until(lambda: pytango.get_configuration(tangotest, ATTRIBUTE, "unit") == "km")
    client.put(f"{info_url}?async=true", b'{"name": "other"}', status=400)


def test_the_list_shows_the_change(client: TestApp, info_url: str) -> None:
    list_url = info_url.replace(f"/{ATTRIBUTE}/info", f"/info?attr={ATTRIBUTE}")
    assert client.get(list_url, status=200).json
    put(client, info_url, {"unit": "km"})
    assert client.get(list_url).json[0]["unit"] == "km"


@pytest.mark.slow
def test_texts_in_latin_1_are_read(
    client: TestApp, host_url: str, cpp_device: str, restart: Callable[[], None]
) -> None:
    """Units such as °C and µm that other programs have stored; PyTango takes them for UTF-8."""
    stored = ["unit", "1", "°C", "description", "1", "Wärme"]
    tango.DeviceProxy("sys/database/2").DbPutDeviceAttributeProperty2([cpp_device, "1", "short_scalar", "2", *stored])
    restart()
    url = f"{host_url}/devices/{cpp_device}/attributes/short_scalar/info"
    info = client.get(url).json
    assert (info["unit"], info["description"]) == ("°C", "Wärme")
    assert put(client, url, {"label": "Temperature"})["unit"] == "°C"
    assert client.get(f"{host_url}/devices/{cpp_device}/attributes", status=200).json


@pytest.fixture
def restart(client: TestApp, host_url: str, cpp_device: str) -> Iterator[Callable[[], None]]:
    """Makes the C++ server read its configuration again; in the end without what the test has stored."""

    def begin_anew() -> None:
        tango.DeviceProxy("dserver/TangoTest/cpp").command_inout("DevRestart", cpp_device)
        wait_until(lambda: "state" in client.get(f"{host_url}/devices/{cpp_device}/state").json)
        client.get("/tango/rest/sys/clean/devices", status=204)

    yield begin_anew
    database = tango.DeviceProxy("sys/database/2")
    database.DbDeleteDeviceAttributeProperty([cpp_device, "short_scalar", "unit", "description", "label"])
    begin_anew()
