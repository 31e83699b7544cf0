"""One bad item among good ones: each collection answers item by item, whatever an item holds.

The items are real ones of the demo's devices; a bad one raises where it is looked at, or has what no server of PyTango
can be made to send.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import numpy
import orjson
import pytest
import tango
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestApp

from mtango_gevent.control.device import Device
from mtango_gevent.control.device_metadata import _configuration
from mtango_gevent.control.properties import Properties
from mtango_gevent.control.reads import Reading
from mtango_gevent.control.records import read_together
from mtango_gevent.errors import DevFailed, tango_failure
from mtango_gevent.names import as_pytango_takes_it
from tests.tango_values import many_examples

LATIN_1 = UnicodeDecodeError("utf-8", b"W\xe4rme", 1, 2, "invalid continuation byte")
BROKEN = RuntimeError("broken: läuft – Ω")  # noqa: RUF001
NO_SUCH_NUMBER = ValueError("99 is not a valid AttrWriteType")


class Altered:
    """A real item with other attributes: an exception is raised, anything else given."""

    def __init__(self, item: Any, **altered: Any) -> None:
        self._item, self._altered = item, altered

    def __getattr__(self, name: str) -> Any:
        if name not in self._altered:
            return getattr(self._item, name)
        found = self._altered[name]
        if isinstance(found, Exception):
            raise found
        return found


def is_failure(item: dict[str, Any]) -> bool:
    return item["quality"] == "FAILURE" and all("desc" in error for error in item["errors"])


@contextmanager
def device_that(**gives: Any) -> Iterator[None]:
    """The methods of all devices give that."""
    with mock.patch.multiple(Device, **{name: mock.Mock(return_value=found) for name, found in gives.items()}):
        yield


def among(kinds: dict[str, Any]) -> st.SearchStrategy[list[str | None]]:
    """Places in a collection: the name of a bad kind, or None for a good item."""
    return st.lists(st.sampled_from([None, *kinds]), min_size=1, max_size=8)


# --- configurations ---

TEXT_KEYS = ["description", "label", "unit", "format", "min_value", "max_alarm", "writable_attr_name", "root_attr_name"]
INFOS = {
    **{f"latin-1 {key}": {key: LATIN_1} for key in ("name", *TEXT_KEYS)},
    **{f"broken {key}": {key: BROKEN} for key in ("label", "alarms", "events", "extensions", "max_dim_x")},
    "unknown type": {"data_type": 100},
    "type that no version has": {"data_type": 4711},
    **{f"unknown {key}": {key: NO_SUCH_NUMBER} for key in ("writable", "data_format", "disp_level", "memorized")},
}


@pytest.fixture(scope="module")
def good_info(tango_system: object) -> tango.AttributeInfoEx:
    return tango.DeviceProxy("sys/tg_test/1").get_attribute_config_ex("ampli")[0]


@many_examples
@given(kinds=among(INFOS))
def test_infos(client: TestApp, demo_url: str, good_info: Any, kinds: list[str | None]) -> None:
    infos, names = [], []
    for number, kind in enumerate(kinds):
        info = Altered(good_info, **{"name": f"a{number}", **(INFOS[kind] if kind else {})})
        infos.append(info)
        names.append("Wärme" if kind == "latin-1 name" else f"a{number}")
    good = client.get(f"{demo_url}/attributes/ampli/info").json
    with device_that(list_attributes=infos):
        listed = client.get(f"{demo_url}/attributes").json
        shown = client.get(f"{demo_url}/attributes/info?" + urlencode([("attr", n) for n in dict.fromkeys(names)])).json
    assert [item["name"] for item in listed] == names
    by_name = {item["name"]: item for item in shown}
    for name, kind in zip(names, kinds, strict=True):
        item = by_name[name]
        if kind is None:
            assert {**item, "name": "ampli"} == good
        elif kind.startswith("broken"):
            assert is_failure(item)
        else:
            different = {key for key in good if item[key] != good[key]} - {"name"}
            assert different <= {kind.split()[-1], "data_type", "level", "memorized", "isMemorized", "isSetAtInit"}
            wanted = "Wärme" if kind.startswith("latin-1") else "nknown"
            assert wanted in str(item) or "UNKNOWN" in str(item)


# --- values ---


class Far(tango.TimeVal):
    """A time in a year that HTTP cannot write."""

    tv_sec, tv_usec = 1 << 50, 0


STACK = tango_failure("Broken", "läuft").args
VALUES = {
    "failed": {"has_failed": True, "get_err_stack": lambda: STACK},
    "latin-1 name": {"name": LATIN_1},
    "broken value": {"value": BROKEN},
    "unknown type": {"type": 100},
    "unknown format": {"data_format": NO_SUCH_NUMBER},
    "unknown quality": {"quality": NO_SUCH_NUMBER},
    "far time": {"time": Far()},
    "broken time": {"time": BROKEN},
    "no json": {"value": numpy.array([object()]), "data_format": tango.AttrDataFormat.SPECTRUM},
    "number without a label": {"type": tango.CmdArgType.DevEnum, "value": 99, "name": "enum_scalar"},
}
SHOWN = (None, "latin-1 name", "unknown quality", "far time", "number without a label")


@pytest.fixture(scope="module")
def good_value(tango_system: object) -> tango.DeviceAttribute:
    return tango.DeviceProxy("sys/tg_test/1").read_attribute("ampli")


def check_values(items: Sequence[dict[str, Any]], kinds: list[str | None], good: dict[str, Any]) -> None:
    for item, kind in zip(items, kinds, strict=True):
        if kind is None:
            assert item == good
        elif kind == "unknown quality":
            assert item == {**good, "quality": "Unknown"}
        elif kind == "latin-1 name":
            assert item == {**good, "name": "Wärme"}
        elif kind == "far time":
            assert item["value"] == good["value"]
        elif kind == "number without a label":
            assert (item["name"], item["value"]) == ("enum_scalar", 99)
        else:
            assert is_failure(item), kind


def altered_values(good: Any, kinds: list[str | None]) -> list[Any]:
    return [Altered(good, **(VALUES[kind] if kind else {})) for kind in kinds]


@many_examples
@given(kinds=among(VALUES))
def test_values(client: TestApp, demo_url: str, good_value: Any, kinds: list[str | None]) -> None:
    with device_that(read_values=Reading([good_value], 0.0)):
        (good,) = client.get(f"{demo_url}/attributes/value?attr=ampli").json
    items = altered_values(good_value, kinds)
    with device_that(read_values=Reading(items, 0.0)):
        for _ in range(2):  # the second time without Flask
            check_values(client.get(f"{demo_url}/attributes/value?attr=ampli").json, kinds, good)


@many_examples
@given(kinds=among(VALUES))
def test_histories(client: TestApp, demo_url: str, good_value: Any, kinds: list[str | None]) -> None:
    with device_that(read_attribute_history=[good_value]):
        (good,) = client.get(f"{demo_url}/attributes/ampli/history").json
    with device_that(read_attribute_history=altered_values(good_value, kinds)):
        check_values(client.get(f"{demo_url}/attributes/ampli/history").json, kinds, good)


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_alone(client: TestApp, demo_url: str, good_value: Any, kind: str) -> None:
    with device_that(read_value=Reading(Altered(good_value, **VALUES[kind]), 0.0)):
        for _ in range(2):  # the second time without Flask
            item = client.get(f"{demo_url}/attributes/ampli/value", status=200).json
            assert "value" in item if kind in SHOWN else item["quality"] == "FAILURE"


WRITES = {
    "unknown type": {"data_type": 100},
    "unknown format": {"data_format": NO_SUCH_NUMBER},
    "broken": {"data_type": BROKEN},
    "fails": {},
    "cannot be converted": {},
}


@many_examples
@given(kinds=among(WRITES))
def test_writes(client: TestApp, demo_url: str, good_info: Any, good_value: Any, kinds: list[str | None]) -> None:
    """Whatever a bad one is, the others are written and read back."""
    names = [f"a{number}" for number in range(len(kinds))]
    infos = {
        name: Altered(good_info, **{"name": name, **(WRITES[kind] if kind else {})})
        for name, kind in zip(names, kinds, strict=True)
    }
    written = []

    def write(_device: Device, info: Any, value: float, _about: str) -> None:
        kind = kinds[names.index(info.name)]
        if kind == "fails":
            raise tango_failure("Broken", "läuft")
        if kind == "cannot be converted":
            raise TypeError("unsupported data_format.")
        written.append((info.name, value))

    with (
        device_that(list_attributes=list(infos.values())),
        mock.patch.object(Device, "describe_written", lambda _, name: infos[name]),
        mock.patch.object(Device, "ask_attribute", lambda _, name: infos[name]),
        mock.patch.object(Device, "write_attribute", write),
        mock.patch.object(Device, "read_back", lambda _, them: [Altered(good_value, name=name) for name in them]),
    ):
        items = client.put(f"{demo_url}/attributes/value", orjson.dumps(dict.fromkeys(names, 2))).json
    assert written == [(name, 2.0) for name, kind in zip(names, kinds, strict=True) if kind is None]
    assert [item["name"] for item in items] == names
    assert [is_failure(item) for item in items] == [kind is not None for kind in kinds]


@many_examples
@given(kinds=among(VALUES))
def test_what_was_written_is_never_hidden(
    client: TestApp, demo_url: str, good_value: Any, good_info: Any, kinds: list[str | None]
) -> None:
    names = [f"a{number}" for number in range(len(kinds))]
    infos = {name: Altered(good_info, name=name) for name in names}
    items = altered_values(good_value, kinds)
    with (
        device_that(list_attributes=list(infos.values()), write_attribute=None),
        mock.patch.object(Device, "describe_written", lambda _, name: infos[name]),
    ):
        with device_that(read_back=items):
            answered = client.put(f"{demo_url}/attributes/value", orjson.dumps(dict.fromkeys(names, 2))).json
        with mock.patch.object(Device, "read_back", side_effect=BROKEN):
            unread = client.put(f"{demo_url}/attributes/value", orjson.dumps(dict.fromkeys(names, 2))).json
    for item, kind in zip(answered, kinds, strict=True):
        assert "value" in item if kind in SHOWN else is_failure(item)
    assert all("it was written" in item["errors"][0]["description"] for item in unread)


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind != "failed"])
def test_a_single_write_is_never_hidden(client: TestApp, demo_url: str, good_value: Any, kind: str) -> None:
    with device_that(write_attribute=None, read_attribute=Altered(good_value, **VALUES[kind])):
        answer = client.put(f"{demo_url}/attributes/ampli/value?v=1", status=200).json
    assert "value" in answer or answer["quality"] == "FAILURE"
    with device_that(write_attribute=None), mock.patch.object(Device, "read_attribute", side_effect=BROKEN):
        answer = client.put(f"{demo_url}/attributes/ampli/value?v=1", status=200).json
    assert "it was written" in answer["errors"][0]["description"]


def test_what_pytango_cannot_convert_is_read_apart() -> None:
    class Proxy:
        """As PyTango does where it cannot convert one of several."""

        def read_attributes(self, names: list[str]) -> None:
            raise LATIN_1

        def read_attribute(self, name: str) -> str:
            if name == "bad":
                raise LATIN_1
            if name == "failed":
                raise tango_failure("Broken", "läuft")
            return f"value of {name}"

    names = ["one", "bad", "failed", "two"]
    one, bad, failed, two = read_together(Proxy(), names, names)
    assert (one, two) == ("value of one", "value of two")
    assert [error.reason for error in bad.get_err_stack()] == ["MTANGO_NotConverted"]
    assert [error.reason for error in failed.get_err_stack()] == ["Broken"]


@pytest.mark.parametrize("altered", [{"data_type": 100}, {"data_format": NO_SUCH_NUMBER}])
def test_what_has_no_known_type_cannot_be_written(
    client: TestApp, demo_url: str, good_info: Any, altered: dict[str, Any]
) -> None:
    with mock.patch.object(Device, "describe_written", return_value=Altered(good_info, **altered)):
        failure = client.put(f"{demo_url}/attributes/ampli/value?v=1", status=200).json
    assert failure["errors"][0]["reason"] == "MTANGO_UnknownType"


def test_a_name_in_latin_1_is_given_to_pytango_as_its_bytes(good_info: Any) -> None:
    """PyTango sends any text as UTF-8, which would be another name."""
    infos = [good_info, Altered(good_info, name=LATIN_1)]
    for name in ("Wärme", "wärme"):
        assert as_pytango_takes_it(name, infos, "name") == b"W\xe4rme"
    assert as_pytango_takes_it("Kälte", infos, "name") == "Kälte"

    class Proxy:
        def attribute_list_query_ex(self) -> list[Any]:
            return infos

    assert _configuration(Proxy(), b"W\xe4rme") is infos[1]
    with pytest.raises(DevFailed, match="API_AttrNotFound"):
        _configuration(Proxy(), b"K\xe4lte")


# --- commands ---

COMMANDS = {
    "latin-1 name": {"cmd_name": LATIN_1},
    "latin-1 description": {"in_type_desc": LATIN_1},
    "unknown type": {"in_type": 100, "out_type": 4711},
    "unknown level": {"disp_level": NO_SUCH_NUMBER},
    "broken": {"cmd_tag": BROKEN},
}


@many_examples
@given(kinds=among(COMMANDS))
def test_commands(client: TestApp, demo_url: str, kinds: list[str | None]) -> None:
    info = tango.DeviceProxy("sys/tg_test/1").command_query("DevDouble")
    good = client.get(f"{demo_url}/commands/DevDouble").json
    with device_that(list_commands=[Altered(info, **(COMMANDS[kind] if kind else {})) for kind in kinds]):
        items = client.get(f"{demo_url}/commands").json
    for item, kind in zip(items, kinds, strict=True):
        if kind is None:
            assert item == good
        elif kind == "broken":
            assert is_failure(item)
        else:
            assert ("Wärme" if "latin-1" in kind else "Unknown") in item["info"].values()


RECORDS = {
    "failed": {"has_failed": lambda: True, "get_err_stack": lambda: STACK},
    "broken": {"extract": mock.Mock(side_effect=BROKEN)},
    "no json": {"extract": lambda: object()},
}


class Record:
    """As a history of a command has them."""

    def has_failed(self) -> bool:
        return False

    def extract(self) -> float:
        return 1.5

    def get_date(self) -> tango.TimeVal:
        return tango.TimeVal(5)


@many_examples
@given(kinds=among(RECORDS))
def test_histories_of_commands(client: TestApp, demo_url: str, kinds: list[str | None]) -> None:
    records = [Altered(Record(), **(RECORDS[kind] if kind else {})) for kind in kinds]
    with device_that(read_command_history=records):
        items = client.get(f"{demo_url}/commands/DevDouble/history").json
    for item, kind in zip(items, kinds, strict=True):
        assert is_failure(item) if kind else item == {"name": "DevDouble", "output": 1.5, "timestamp": 5000}


@pytest.mark.parametrize("output", [object(), numpy.array([object()])])
def test_an_output_that_cannot_be_shown_does_not_hide_that_the_command_ran(
    client: TestApp, demo_url: str, output: object
) -> None:
    with device_that(run_command=(tango.CmdArgType.DevDouble, output)):
        failure = client.put(f"{demo_url}/commands/DevDouble", "1", status=200).json
    assert "the command has run" in failure["errors"][0]["description"]


# --- properties and pipes ---


@many_examples
@given(bad=st.lists(st.booleans(), min_size=1, max_size=8))
def test_properties(client: TestApp, demo_url: str, bad: list[bool]) -> None:
    failure = tango_failure("Broken", "läuft")
    found = {f"p{number}": failure if is_bad else ["x"] for number, is_bad in enumerate(bad)}
    with mock.patch.object(Properties, "read", return_value=found):
        items = client.get(f"{demo_url}/properties").json
        of_attribute = client.get(f"{demo_url}/attributes/ampli/properties").json
    assert [is_failure(item) if is_bad else item["values"] == ["x"] for item, is_bad in zip(items, bad, strict=True)]
    assert ["errors" in item for item in items] == bad
    assert ["errors" in item for item in of_attribute.values()] == bad


ELEMENTS = {
    "unknown type": {"name": "e", "dtype": 100, "value": 1},
    "wrong value": {"name": "e", "dtype": tango.CmdArgType.DevDouble, "value": "x"},
    "no json": {"name": "e", "dtype": tango.CmdArgType.DevLong, "value": object()},
}


@many_examples
@given(kinds=among(ELEMENTS))
def test_elements_of_pipes(client: TestApp, demo_url: str, kinds: list[str | None]) -> None:
    good = {"name": "e", "dtype": tango.CmdArgType.DevLong, "value": 5}
    elements = [ELEMENTS[kind] if kind else good for kind in kinds]
    with device_that(read_pipe=("p", elements, 5.0)):
        data = client.get(f"{demo_url}/pipes/p").json["data"]
    for item, kind in zip(data, kinds, strict=True):
        assert is_failure(item) if kind else item == {"name": "e", "type": "DevLong", "value": [5]}


def test_a_good_item_is_no_failure(app: Flask, client: TestApp, demo_url: str) -> None:
    """The checks above would pass where everything failed."""
    assert "errors" not in client.get(f"{demo_url}/attributes/value?attr=ampli").json[0]
