"""Attributes: lists, configurations, values of many, histories, properties; against both TangoTests."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import tango
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE
from tests.pytango_process import PyTango

INFO_KEYS = {
    *("name", "writable", "data_format", "data_type", "max_dim_x", "max_dim_y", "description", "label", "unit"),
    *("standard_unit", "display_unit", "format", "min_value", "max_value", "min_alarm", "max_alarm"),
    *("writable_attr_name", "level", "extensions", "sys_extensions", "alarms", "events", "isMemorized"),
    *("isSetAtInit", "memorized", "root_attr_name", "enum_label"),
}


def test_the_list_has_every_attribute_with_links_that_work(client: TestApp, device_url: str, tangotest: str) -> None:
    attributes = client.get(f"{device_url}/attributes").json
    assert [a["name"] for a in attributes] == list(tango.DeviceProxy(tangotest).get_attribute_list())
    (ampli,) = [a for a in attributes if a["name"] == "ampli"]
    url = f"http://localhost{device_url}/attributes/ampli"
    assert ampli == {
        "name": "ampli",
        "value": f"{url}/value",
        "info": f"{url}/info",
        "properties": f"{url}/properties",
        "history": f"{url}/history",
        "_links": {
            "_self": url,
            "_parent": f"http://localhost{device_url}/attributes",
            "_device": f"http://localhost{device_url}",
        },
    }
    assert client.get(ampli["_links"]["_self"]).json == ampli
    assert client.get(ampli["value"]).json["name"] == "ampli"
    assert client.get(ampli["info"]).json["name"] == "ampli"


def test_infos_have_all_27_keys(client: TestApp, device_url: str) -> None:
    assert len(INFO_KEYS) == 27
    infos = client.get(f"{device_url}/attributes/info?attr=double_scalar&attr=State&attr=DOUBLE_IMAGE_RO").json
    assert [set(info) for info in infos] == [INFO_KEYS] * 3
    double, state, image = infos
    assert (double["writable"], double["data_format"], double["data_type"]) == ("READ_WRITE", "SCALAR", "DevDouble")
    assert (state["data_type"], state["max_dim_x"], state["max_dim_y"]) == ("DevState", 1, 0)
    assert (image["name"], image["data_format"], image["max_dim_y"]) == ("double_image_ro", "IMAGE", 251)
    assert double["level"] == "OPERATOR"
    assert double["memorized"] == "NOT_MEMORIZED"
    assert double["isMemorized"] is False
    assert double["min_value"] == "Not specified"
    assert set(double["events"]) == {"ch_event", "per_event", "arch_event"}
    assert set(double["events"]["arch_event"]) == {"rel_change", "abs_change", "period", "extensions"}
    assert set(double["alarms"]) == {
        *("min_alarm", "max_alarm", "min_warning", "max_warning", "delta_t", "delta_val", "extensions")
    }


def test_an_info_that_fails_says_so_in_its_place(client: TestApp, device_url: str) -> None:
    first, second = client.get(f"{device_url}/attributes/info?attr=nope&attr=ampli").json
    assert (first["name"], first["quality"]) == ("nope", "FAILURE")
    assert first["errors"][0]["desc"] == first["errors"][0]["description"]
    assert second["name"] == "ampli"


def test_limits_alarms_and_memory_are_told(client: TestApp, types_url: str) -> None:
    limited = client.get(f"{types_url}/attributes/limited_scalar/info").json
    assert float(limited["min_value"]) < float(limited["max_value"])
    assert limited["alarms"]["max_alarm"] == limited["max_alarm"] != "Not specified"
    assert limited["events"]["ch_event"]["abs_change"] != "Not specified"
    memorized = client.get(f"{types_url}/attributes/memorized_scalar/info").json
    assert (memorized["isMemorized"], memorized["isSetAtInit"]) == (True, True)
    assert memorized["memorized"] == "MEMORIZED_WRITE_INIT"
    enum = client.get(f"{types_url}/attributes/enum_scalar/info").json
    assert len(enum["enum_label"]) > 1


def test_implementation_mode_calls_states_state(make_client: Callable[..., TestApp], demo_url: str) -> None:
    client = make_client(rc3_mode="implementation")
    assert client.get(f"{demo_url}/attributes/State/info").json["data_type"] == "State"


def test_an_unknown_attribute_is_a_tango_failure(client: TestApp, device_url: str) -> None:
    for path in ("", "/value", "/info", "/history", "/properties", "/properties/x"):
        failure = client.get(f"{device_url}/attributes/nope{path}", status=200).json
        assert failure["errors"][0]["reason"] == "API_AttrNotFound", path
        assert "nope" in failure["errors"][0]["description"]


# --- values ---


def test_a_value_has_name_value_quality_and_milliseconds(client: TestApp, device_url: str) -> None:
    before = int(time.time() * 1000)
    reply = client.get(f"{device_url}/attributes/LONG_scalar_rww/value")
    assert list(reply.json) == ["name", "value", "quality", "timestamp"]
    assert reply.json["name"] == "long_scalar_rww"
    assert isinstance(reply.json["value"], int)
    assert reply.json["quality"] == "ATTR_VALID"
    assert before - 60_000 < reply.json["timestamp"] < before + 60_000
    assert "GMT" in reply.headers["Last-Modified"]


def test_timestamps_in_seconds_where_they_are_asked_for(make_client: Callable[..., TestApp], demo_url: str) -> None:
    client = make_client(rc3_timestamps="s")
    assert abs(client.get(f"{demo_url}/attributes/ampli/value").json["timestamp"] - time.time()) < 60
    assert abs(client.get(f"{demo_url}/attributes/nope/value").json["timestamp"] - time.time()) < 60


def test_values_of_many_in_the_order_asked_each_failing_for_itself(client: TestApp, device_url: str) -> None:
    asked = ["wave", "throw_exception", "short_scalar", "nope", "no_value", "State"]
    query = "&attr=".join(asked).replace("throw", "THROW")
    items = client.get(f"{device_url}/attributes/value?attr={query}").json
    assert [item["name"] for item in items] == asked
    wave, thrown, short, unknown, no_value, state = items
    assert len(wave["value"]) == 256
    assert thrown["errors"][0]["reason"] == "exception test"
    assert isinstance(short["value"], int)
    assert unknown["errors"][0]["reason"] == "API_AttrNotFound"
    assert no_value["errors"][0]["reason"] == "API_AttrValueNotSet"
    assert state["value"] == "RUNNING"
    for failed in (thrown, unknown, no_value):
        assert set(failed) == {"name", "errors", "quality", "timestamp"}
        assert failed["quality"] == "FAILURE"
        assert set(failed["errors"][0]) == {"reason", "description", "desc", "severity", "origin"}


def test_an_attribute_may_be_asked_for_twice(client: TestApp, device_url: str) -> None:
    items = client.get(f"{device_url}/attributes/value?attr=ampli&attr=wave&attr=AMPLI&attr=ampli").json
    assert [item["name"] for item in items] == ["ampli", "wave", "ampli", "ampli"]


def test_values_of_none_are_none(client: TestApp, demo_url: str) -> None:
    assert client.get(f"{demo_url}/attributes/value").json == []
    assert client.get(f"{demo_url}/attributes/info").json == []


def test_both_tangotests_answer_in_the_same_shapes(
    client: TestApp, host_url: str, cpp_device: str, pytango: PyTango
) -> None:
    """Every attribute of the C++ device, value by value: same keys, same JSON types, same lengths."""
    for name in (cpp_device, DEMO_DEVICE):
        pytango.run(name, "Init")  # other tests have written lists of other lengths

    def shape(value: object) -> object:
        if isinstance(value, list):
            return len(value), {str(shape(item)) for item in value}
        return type(value).__name__

    listed = client.get(f"{host_url}/devices/{cpp_device}/attributes?filter=name").json
    query = "&".join(f"attr={each['name']}" for each in listed)
    cpp, demo = (
        client.get(f"{host_url}/devices/{name}/attributes/value?{query}").json for name in (cpp_device, DEMO_DEVICE)
    )
    assert len(cpp) > 60
    for theirs, ours in zip(cpp, demo, strict=True):
        assert list(theirs) == list(ours)
        assert shape(theirs.get("value")) == shape(ours.get("value")), theirs["name"]
        assert theirs["quality"] == ours["quality"]


# --- histories ---


def test_a_history_is_a_list_of_values(client: TestApp, demo_url: str) -> None:
    items = client.get(f"{demo_url}/attributes/Double_scalar/history").json
    assert items
    assert all(list(item) == ["name", "value", "quality", "timestamp"] for item in items)
    assert {item["name"] for item in items} == {"double_scalar"}
    assert [item["timestamp"] for item in items] == sorted(item["timestamp"] for item in items)


def test_the_state_has_a_history_too(client: TestApp, demo_url: str) -> None:
    items = client.get(f"{demo_url}/attributes/state/history").json
    assert {(item["name"], item["value"], item["quality"]) for item in items} == {("State", "RUNNING", "ATTR_VALID")}


def test_what_is_not_polled_has_no_history(client: TestApp, device_url: str) -> None:
    failure = client.get(f"{device_url}/attributes/wave/history").json
    assert failure["errors"][0]["reason"] == "API_AttrNotPolled"


@pytest.fixture
def polled_exception(tangotest: str) -> tango.DeviceProxy:
    proxy = tango.DeviceProxy(tangotest)
    proxy.poll_attribute("throw_exception", 50)
    yield proxy
    proxy.stop_poll_attribute("throw_exception")


def test_a_history_of_failures_is_a_list_of_failures(
    client: TestApp, device_url: str, polled_exception: tango.DeviceProxy
) -> None:
    until = time.monotonic() + 10
    url = f"{device_url}/attributes/throw_exception/history"
    while not (isinstance(items := client.get(url).json, list) and len(items) > 1):
        assert time.monotonic() < until
    assert items[0]["errors"][0]["reason"] == "exception test"
    assert items[0]["quality"] == "FAILURE"
    assert items[0]["timestamp"] < items[-1]["timestamp"]


# --- properties ---


@pytest.fixture
def with_properties(tango_system: EmbeddedTango, tangotest: str) -> None:
    database = tango.Database(*tango_system.tango_host.split(":"))
    database.put_device_attribute_property(tangotest, {"ampli": {"Colour": ["red", "blue"], "note": ["a b, c"]}})


def test_properties_are_an_object(client: TestApp, device_url: str, with_properties: None) -> None:
    found = client.get(f"{device_url}/attributes/AMPLI/properties").json
    assert found["Colour"] == ["red", "blue"]
    assert found["note"] == ["a b, c"]
    assert client.get(f"{device_url}/attributes/ampli/properties/colour").json == {"Colour": ["red", "blue"]}


def test_a_property_that_is_not_there_is_404(client: TestApp, device_url: str, with_properties: None) -> None:
    refusal = client.get(f"{device_url}/attributes/ampli/properties/nope", status=404).json
    assert "nope" in refusal["errors"][0]["description"]
    assert refusal["http_status"] == 404


def test_implementation_mode_lists_properties_without_values(
    make_client: Callable[..., TestApp], device_url: str, with_properties: None
) -> None:
    found = make_client(rc3_mode="implementation").get(f"{device_url}/attributes/ampli/properties").json
    assert {"name": "Colour", "_empty": False} in found
