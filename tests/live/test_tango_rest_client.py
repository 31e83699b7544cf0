"""tango-rest-client 1.5.1 and Waltz 1.0.10, the v11 clients: their requests, and what they read of the answers.

The client is on no registry that a test can install it from. tango_rest_client.mjs makes its requests with its headers
and bodies and treats statuses as it does; Node sends them, and the npm package `eventsource` receives the streams.
Each test names the row of the contract's list of calls (v11, 7).
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from mtango_gevent.demo.embedded import DEMO_SERVER, EmbeddedTango
from tests.conftest import DEMO_DEVICE, HAS_PIPES, TYPES_DEVICE
from tests.pytango_process import PyTango

from .conftest import COMMAND, Gateway, served, wait_until

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "tango_rest_client.mjs"
PACKAGES = Path(__file__).parent / "node" / "package.json"
API = "/tango/rest/v11"
ORIGIN = "http://waltz.example:8080"
DATABASE = "sys/database/2"
NO_FOLDER = Path("nowhere")


class Failure(Exception):
    """The failure that the client gets instead of an answer."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(body)
        self.reasons = [error["reason"] for error in body["errors"]]


class TangoRestClient:
    """A process of node that makes the client's requests. tango_host: `host:port`."""

    def __init__(self, process: subprocess.Popen[str], tango_host: str) -> None:
        self._process = process
        self.tango_host = tango_host
        self.host = f"{API}/hosts/{tango_host.replace(':', ';port=')}"

    def call(self, call: str, **given: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(orjson.dumps({"call": call, **given}).decode() + "\n")
        self._process.stdin.flush()
        answer = orjson.loads(self._process.stdout.readline())
        if "failure" in answer:
            assert "errors" in answer["failure"], answer["failure"]
            raise Failure(answer["failure"])
        return answer.get("result")

    def ask(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        return self.call("ask", method=method, path=path, headers=headers, **({} if data is None else {"data": data}))

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, **headers)

    def device(self, name: str = DEMO_DEVICE) -> str:
        """Return the path of a device."""
        return f"{self.host}/devices/{name}"

    def execute(self, device: str, command: str, argument: Any = None) -> Any:
        """Return the `output`; None if there is none. Row 25."""
        body = {"host": self.tango_host, "device": device, "name": command}
        given = body if argument is None else {**body, "input": argument}
        answer = self.ask("put", f"{self.device(device)}/commands/{command}?filter=!input", given)
        assert "input" not in answer
        assert {key: answer[key] for key in body} == body
        return answer.get("output")

    def target(self, device: str, attribute: str, kind: str = "change") -> dict[str, str]:
        return {"host": self.tango_host, "device": device, "attribute": attribute, "type": kind}


@contextmanager
def running_client(origin: str, tango_host: str, folder: Path = NO_FOLDER) -> Iterator[TangoRestClient]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed (Debian: nodejs)")
    process = subprocess.Popen(
        [node, str(SCRIPT), origin, ORIGIN, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield TangoRestClient(process, tango_host)
    finally:
        process.kill()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def waltz_gateway(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that lists the origin of the client's page, which may therefore write."""
    with served(COMMAND, tmp_path_factory.mktemp("gunicorn") / "log", MTANGO_CORS_ORIGINS=ORIGIN) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def rest(waltz_gateway: Gateway, tango_system: EmbeddedTango) -> Iterator[TangoRestClient]:
    with running_client(waltz_gateway.base.removesuffix("/tango/rest"), tango_system.tango_host) as client:
        yield client


def has(found: dict[str, Any], **wanted: type) -> bool:
    """Tell whether all wanted keys are there, with values of their type. JavaScript writes 5.0 as 5."""
    return all(
        type(found.get(key)) is kind or (kind is float and type(found.get(key)) is int) for key, kind in wanted.items()
    )


# --- hosts and devices ---


def test_ping(rest: TangoRestClient) -> None:
    """Row 1."""
    assert "hosts" in rest.get(API)


def test_host_has_an_id_and_info(rest: TangoRestClient) -> None:
    """Row 2."""
    host = rest.get(rest.host)
    assert host["id"] == rest.tango_host
    assert all(isinstance(line, str) for line in host["info"])


def test_name_of_the_database_is_found_before_its_commands(rest: TangoRestClient) -> None:
    """Row 3."""
    name = rest.get(f"{rest.host}?filter=name")["name"]
    assert rest.execute(name, "DbGetDeviceMemberList", "sys/tg_test/*") == ["1"]


@pytest.mark.parametrize("query", ["wildcard=sys/tg_test/*", "wildcard=sys/tg_test/*&wildcard=nothing/*"])
def test_devices_are_listed_by_wildcards(rest: TangoRestClient, query: str) -> None:
    """Row 4."""
    (device,) = rest.get(f"{rest.host}/devices?{query}")
    assert device["name"] == DEMO_DEVICE
    assert device["href"].endswith(rest.device())


@pytest.mark.parametrize(
    "query", ["host={}&wildcard=*/*/*", "&wildcard=sys/*/*&host={}", "host={}&host=unserved:10000"]
)
def test_tree_has_aliases_domains_families_and_members(rest: TangoRestClient, query: str) -> None:
    """Row 5."""
    (host,) = rest.get(f"{API}/devices/tree?{query.format(rest.tango_host)}")
    assert (host["id"], host["value"], host["$css"], host["isAlive"]) == (rest.tango_host,) * 2 + ("tango_host", True)
    aliases, *domains = host["data"]
    assert (aliases["value"], aliases["$css"]) == ("aliases", "aliases")
    assert isinstance(aliases["data"], list)
    domain = next(item for item in domains if item["value"] == "sys")
    family = next(item for item in domain["data"] if item["value"] == "tg_test")
    assert (domain["$css"], family["$css"]) == ("tango_domain", "tango_family")
    assert family["data"] == [
        {
            "id": f"{rest.tango_host}/{DEMO_DEVICE}",
            "value": "1",
            "$css": "member",
            "isMember": True,
            "device_name": DEMO_DEVICE,
        }
    ]


def test_tree_without_hosts_is_empty(rest: TangoRestClient) -> None:
    """Row 5."""
    assert rest.get(f"{API}/devices/tree?&wildcard=*/*/*") == []


def test_device_has_info(rest: TangoRestClient) -> None:
    """Row 6."""
    device = rest.get(rest.device())
    assert (device["id"], device["host"]) == (f"{rest.tango_host}/{DEMO_DEVICE}", rest.tango_host)
    texts = ("name", "classname", "server", "version", "hostname", "last_exported", "last_unexported")
    assert has(device["info"], pid=int, exported=bool, **dict.fromkeys(texts, str))


def test_device_by_the_default_port_of_the_url(rest: TangoRestClient) -> None:
    """The client leaves the number 10000 out, which is not the port here: refused as a failure that it can read."""
    with pytest.raises(Failure):
        rest.get(f"{API}/hosts/{rest.tango_host.split(':')[0]}/devices/{DEMO_DEVICE}")


def test_device_that_is_not_defined_is_a_failure(rest: TangoRestClient) -> None:
    with pytest.raises(Failure) as failed:
        rest.get(rest.device("sys/tg_test/99"))
    assert "DB_DeviceNotDefined" in failed.value.reasons


def test_filters_of_a_device(rest: TangoRestClient) -> None:
    """Rows 7 to 10."""
    device = rest.device()
    assert rest.get(f"{device}?filter=server") == {"info": {"server": DEMO_SERVER}}
    exported = rest.get(f"{device}?filter=name&filter=alias&filter=exported")
    assert exported["name"] == DEMO_DEVICE
    assert exported["info"]["exported"] is True
    assert rest.get(f"{device}?filter=name&filter=alias")["name"] == DEMO_DEVICE
    table = rest.get(f"{device}?filter=!info")
    assert "info" not in table
    assert has(table, id=str, name=str, host=str)


def test_alias_is_shown(rest: TangoRestClient) -> None:
    """Rows 6 and 8 to 10, and the aliases of the tree."""
    rest.execute(DATABASE, "DbPutDeviceAlias", [TYPES_DEVICE, "waltz-alias"])
    try:
        assert rest.execute(DATABASE, "DbGetDeviceAlias", TYPES_DEVICE) == "waltz-alias"
        assert rest.execute(DATABASE, "DbGetAliasDevice", "waltz-alias") == TYPES_DEVICE
        assert "waltz-alias" in rest.execute(DATABASE, "DbGetDeviceAliasList", "*")
        wait_until(lambda: rest.get(rest.device(TYPES_DEVICE) + "?filter=!info").get("alias") == "waltz-alias")
        (host,) = rest.get(f"{API}/devices/tree?host={rest.tango_host}")
        alias = {"value": "waltz-alias", "$css": "member", "isAlias": True, "device_name": TYPES_DEVICE}
        assert alias in host["data"][0]["data"]
    finally:
        rest.execute(DATABASE, "DbDeleteDeviceAlias", "waltz-alias")


# --- attributes ---


def test_attributes_commands_and_pipes_are_listed(rest: TangoRestClient) -> None:
    """Rows 11 to 13."""
    wanted = {
        "attributes": {"data_format": str, "writable": str, "data_type": str},
        "commands": {"in_type": str, "in_type_desc": str, "out_type": str},
        "pipes": {"writable": bool},
    }
    for noun, info in wanted.items():
        items = rest.get(f"{rest.device(TYPES_DEVICE)}/{noun}")
        assert items or (noun == "pipes" and not HAS_PIPES)
        for item in items:
            assert (item["host"], item["device"]) == (rest.tango_host, TYPES_DEVICE)
            assert item["id"] == f"{rest.tango_host}/{TYPES_DEVICE}/{item['name']}"
            assert has(item["info"], **info), item


@pytest.mark.parametrize("noun", ["attributes", "commands", "pipes"])
def test_lists_that_fail_are_not_requested_again(rest: TangoRestClient, noun: str) -> None:
    """Waltz repeats these requests every 10 ms until a reason contains one of the two texts."""
    with pytest.raises(Failure) as failed:
        rest.get(f"{rest.device('sys/tg_test/99')}/{noun}")
    reasons = " ".join(failed.value.reasons)
    assert "DEVICE_NOT_EXPORTED" in reasons or "Api_NOT_SUPPORTED" in reasons


def test_attribute_has_every_item_of_the_panel(rest: TangoRestClient) -> None:
    """Row 14."""
    info = rest.get(f"{rest.device(TYPES_DEVICE)}/attributes/limited_scalar")["info"]
    texts = ("name", "label", "description", "unit", "format", "min_value", "max_value", "level", "writable")
    assert has(info, max_dim_x=int, max_dim_y=int, alarms=dict, events=dict, **dict.fromkeys(texts, str))
    assert has(info["alarms"], min_alarm=str, max_alarm=str, min_warning=str, max_warning=str)
    assert has(info["events"]["ch_event"], abs_change=str, rel_change=str)
    assert has(info["events"]["per_event"], period=str)
    assert has(info["events"]["arch_event"], abs_change=str, rel_change=str, period=str)
    assert "WRITE" in info["writable"]


def test_attribute_of_a_plot(rest: TangoRestClient) -> None:
    """Row 15. Waltz shows a State as text."""
    query = "filter=id&filter=name&filter=data_type&filter=data_format"
    double = rest.get(f"{rest.device()}/attributes/double_scalar?{query}")
    assert (double["name"], double["info"]["data_type"], double["info"]["data_format"]) == (
        *("double_scalar", "DevDouble"),
        "SCALAR",
    )
    assert double["id"] == f"{rest.tango_host}/{DEMO_DEVICE}/double_scalar"
    assert rest.get(f"{rest.device()}/attributes/State?{query}")["info"]["data_type"] == "State"


READ = {
    "State": "ON",
    "double_scalar": 0.1,
    "uchar_spectrum": [0, 1, 255],
    "long_image": {"data": [-(2**31), -1, 0, 2**31 - 1] * 2, "width": 4, "height": 2},
    "enum_scalar": "MIDDLE",
    "state_scalar": "MOVING",
    "nan_scalar": "NaN",
    "nonfinite_spectrum": ["NaN", "Infinity", "-Infinity", 1.5],
}


@pytest.fixture
def initial_types(fresh_types: str, pytango: PyTango) -> None:
    pytango.run(fresh_types, "Init")


@pytest.mark.usefixtures("initial_types")
@pytest.mark.parametrize("attribute", READ)
def test_value_is_read(rest: TangoRestClient, attribute: str) -> None:
    """Rows 16 and 17."""
    url = f"{rest.device(TYPES_DEVICE)}/attributes/{attribute}/value"
    found = rest.get(url)
    assert (found["value"], found["quality"]) == (READ[attribute], "ATTR_VALID")
    assert abs(found["timestamp"] / 1000 - time.time()) < 3600
    assert rest.get(url, Accept="text/plain") == READ[attribute]


def test_value_that_cannot_be_read_is_a_failure(rest: TangoRestClient) -> None:
    """Row 16: pages use quality and timestamp of the failure."""
    for headers in ({}, {"Accept": "text/plain"}):
        with pytest.raises(Failure) as failed:
            rest.get(f"{rest.device()}/attributes/throw_exception/value", **headers)
        (body,) = failed.value.args
        assert body["quality"] == "FAILURE"
        assert type(body["timestamp"]) is int


def test_values_are_polled_together(rest: TangoRestClient) -> None:
    """Row 18."""
    query = "attr=double_scalar&attr=nope&attr=State"
    double, missing, state = rest.get(f"{rest.device()}/attributes/value?{query}")
    assert [item["name"] for item in (double, missing, state)] == ["double_scalar", "nope", "State"]
    assert has(double, value=float, quality=str, timestamp=int)
    assert state["value"] == "RUNNING"
    assert (missing["quality"], "value" in missing) == ("FAILURE", False)
    assert missing["errors"]


WRITTEN = [
    ("double_scalar", "3.14", 3.14),
    ("long_spectrum", "1,2,3", [1, 2, 3]),
    ("boolean_scalar", "true", True),
    ("enum_scalar", "VERY HIGH", "VERY HIGH"),
    ("string_scalar", "two words", "two words"),
    ("string_spectrum", "a,b", ["a", "b"]),
]


@pytest.mark.usefixtures("fresh_types")
@pytest.mark.parametrize(("attribute", "text", "value"), WRITTEN)
def test_value_is_written(rest: TangoRestClient, pytango: PyTango, attribute: str, text: str, value: Any) -> None:
    """Row 19: the query has the value, the body is `{}`."""
    answer = rest.ask("put", f"{rest.device(TYPES_DEVICE)}/attributes/{attribute}/value?v={text}")
    assert (answer["name"], answer["value"]) == (attribute, value)


def test_value_that_does_not_fit_is_a_failure(rest: TangoRestClient) -> None:
    """Row 19."""
    with pytest.raises(Failure):
        rest.ask("put", f"{rest.device(TYPES_DEVICE)}/attributes/long_scalar/value?v=text")


def test_history_has_values_with_times(rest: TangoRestClient) -> None:
    """Row 20."""
    url = f"{rest.device()}/attributes/double_scalar/history"
    items = wait_until(lambda: rest.get(url))
    assert all(has(item, value=float, timestamp=int) for item in items)


def test_properties_of_an_attribute(rest: TangoRestClient) -> None:
    """Row 21."""
    found = rest.get(f"{rest.device()}/attributes/double_scalar/properties")
    assert {"name": "abs_change", "values": ["1"]} in found


def test_configuration_is_changed_without_waiting(rest: TangoRestClient, pytango: PyTango) -> None:
    """Row 22: Waltz sends the whole info back."""
    url = f"{rest.device(TYPES_DEVICE)}/attributes/double_scalar"
    info = rest.get(url)["info"]
    try:
        assert rest.ask("put", f"{url}/info?async=true", {**info, "label": "Waltz"}) is None
        wait_until(lambda: rest.get(url)["info"]["label"] == "Waltz")
    finally:
        pytango.configure(TYPES_DEVICE, "double_scalar", label=info["label"])


def test_url_of_the_client_without_its_slash_is_a_failure(rest: TangoRestClient) -> None:
    """Row 23."""
    with pytest.raises(Failure):
        rest.get(f"{rest.device()}/attributes/double_scalarinfo")


# --- commands, pipes, properties ---


def test_command_is_described(rest: TangoRestClient) -> None:
    """Row 24."""
    command = rest.get(f"{rest.device()}/commands/DevDouble")
    assert (command["name"], command["info"]["in_type"]) == ("DevDouble", "DevDouble")
    assert has(command, id=str, host=str, device=str)


@pytest.mark.parametrize(
    ("command", "argument", "output"),
    [
        ("DevVoid", None, None),
        ("DevDouble", 3.14, 3.14),
        ("DevString", "Hello World!!!", "Hello World!!!"),
        ("DevVarLongArray", [1, 2], [1, 2]),
        ("DevVarLongStringArray", {"lvalue": [1], "svalue": ["a"]}, {"lvalue": [1], "svalue": ["a"]}),
        ("State", None, "RUNNING"),
    ],
)
def test_command_is_executed(rest: TangoRestClient, command: str, argument: Any, output: Any) -> None:
    """Row 25."""
    assert rest.execute(DEMO_DEVICE, command, argument) == output


def test_command_that_fails_is_a_failure(rest: TangoRestClient) -> None:
    """Row 25."""
    with pytest.raises(Failure):
        rest.execute(DATABASE, "DbGetDeviceAlias", DEMO_DEVICE)


def test_devices_are_added_and_deleted(rest: TangoRestClient) -> None:
    """Row 25: the database's wizard."""
    rest.execute(DATABASE, "DbAddDevice", ["Waltz/test", "test/waltz/1", "TangoTest"])
    assert "test" in rest.execute(DATABASE, "DbGetDeviceDomainList", "*")
    assert "waltz" in rest.execute(DATABASE, "DbGetDeviceFamilyList", "test/*")
    assert rest.execute(DATABASE, "DbGetDeviceMemberList", "test/waltz/*") == ["1"]
    rest.execute(DATABASE, "DbDeleteDevice", "test/waltz/1")
    assert rest.execute(DATABASE, "DbGetDeviceMemberList", "test/waltz/*") == []


def test_polling_is_set_by_the_server_of_a_device(rest: TangoRestClient) -> None:
    """Row 25: the period of a grid may be text."""
    server = "dserver/" + rest.get(f"{rest.device(TYPES_DEVICE)}?filter=server")["info"]["server"]
    rest.execute(server, "AddObjPolling", {"lvalue": ["3000"], "svalue": [TYPES_DEVICE, "attribute", "double_scalar"]})
    try:
        rest.execute(
            server, "UpdObjPollingPeriod", {"lvalue": [2000], "svalue": [TYPES_DEVICE, "attribute", "double_scalar"]}
        )
        status = "\n".join(rest.execute(server, "DevPollStatus", TYPES_DEVICE))
        assert "Polled attribute name = double_scalar" in status
        assert "2000" in status
    finally:
        rest.execute(server, "RemObjPolling", [TYPES_DEVICE, "attribute", "double_scalar"])
    assert "double_scalar" not in "\n".join(rest.execute(server, "DevPollStatus", TYPES_DEVICE))


def test_server_of_a_device_is_asked(rest: TangoRestClient) -> None:
    """Row 25."""
    server = f"dserver/{DEMO_SERVER}"
    assert f"Types::{TYPES_DEVICE}" in rest.execute(server, "QueryDevice")
    levels = rest.execute(server, "GetLoggingLevel", [TYPES_DEVICE])
    assert levels["svalue"] == [TYPES_DEVICE]
    assert isinstance(rest.execute(server, "GetLoggingTarget", TYPES_DEVICE), list)
    assert rest.execute(server, "DevRestart", TYPES_DEVICE) is None


@pytest.mark.skipif(not HAS_PIPES, reason="this PyTango has no pipes")
def test_pipe_is_read_and_written(rest: TangoRestClient) -> None:
    """Row 26."""
    pipe = f"{rest.device(TYPES_DEVICE)}/pipes/blob"
    assert has(rest.get(pipe), id=str, host=str, device=str, name=str)
    assert rest.get(pipe)["info"]["writable"] is True
    before = rest.get(f"{pipe}/value")
    assert has(before, name=str, timestamp=int, data=list)
    data = [{"name": "long", "type": "DevLong", "value": [5]}]
    written = rest.ask("put", f"{pipe}/value", data)
    assert [(item["name"], item["value"]) for item in written["data"]] == [("long", [5])]


def test_properties_are_saved_in_one_request(rest: TangoRestClient, pytango: PyTango) -> None:
    """Rows 27 to 29: commas split the values."""
    properties = f"{rest.device(TYPES_DEVICE)}/properties"
    rest.ask("put", f"{properties}?waltz_one=1,2&waltz_two=text")
    found = {item["name"]: item["values"] for item in rest.get(properties)}
    assert (found["waltz_one"], found["waltz_two"]) == (["1", "2"], ["text"])
    for name in ("waltz_one", "waltz_two"):
        assert rest.ask("DELETE", f"{properties}/{name}") is None
        assert pytango.get_property(TYPES_DEVICE, name) == []


# --- streams ---


@pytest.fixture(scope="session")
def node_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the npm packages."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed (Debian: npm)")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(PACKAGES, folder)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if ended.returncode:
        pytest.skip(f"npm cannot install the package eventsource: {ended.stderr[-200:]}")
    return folder


@pytest.fixture
def streams(waltz_gateway: Gateway, tango_system: EmbeddedTango, node_packages: Path) -> Iterator[TangoRestClient]:
    origin = waltz_gateway.base.removesuffix("/tango/rest")
    with running_client(origin, tango_system.tango_host, node_packages) as client:
        yield client


def last_record(client: TangoRestClient, target: dict[str, str], wanted: Callable[[Any], bool]) -> Any:
    """Wait until the last record of the target is as wanted, and return it."""

    def find() -> Any:
        records = client.call("records", target=target)
        return records[-1] if records and wanted(records[-1]) else None

    return wait_until(find)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["change", "periodic", "archive"])
def test_stream_begins_with_the_value(streams: TangoRestClient, kind: str) -> None:
    target = streams.target(DEMO_DEVICE, "double_scalar", kind)
    streams.call("observe", target=target)
    record = last_record(streams, target, lambda record: "data" in record)
    assert isinstance(record["data"], (int, float))  # JavaScript writes 1.0 as 1
    assert abs(record["timestamp"] / 1000 - time.time()) < 3600


@pytest.mark.slow
@pytest.mark.usefixtures("initial_types")
def test_targets_are_added_while_the_stream_runs(streams: TangoRestClient, pytango: PyTango) -> None:
    """Row 30. The attributes come in any case, and the answers repeat them."""
    targets = {
        name: streams.target(TYPES_DEVICE, name) for name in ("STATE", "status", "Long_Scalar", "string_spectrum")
    }
    for target in targets.values():
        streams.call("observe", target=target)
    assert last_record(streams, targets["STATE"], bool)["data"] == "ON"
    assert last_record(streams, targets["status"], bool)["data"] == "The device is in ON state."
    pytango.write(TYPES_DEVICE, "long_scalar", 77)
    last_record(streams, targets["Long_Scalar"], lambda record: record.get("data") == 77)
    pytango.write(TYPES_DEVICE, "string_spectrum", ["a\tb", "error\n\nevent: 1"])
    last_record(streams, targets["string_spectrum"], lambda record: record.get("data") == ["a\tb", "error\n\nevent: 1"])
    assert len(streams.call("ids")) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("initial_types")
def test_values_of_a_stream_are_json(streams: TangoRestClient) -> None:
    for attribute in ("nan_scalar", "nonfinite_spectrum", "long_image", "enum_scalar"):
        target = streams.target(TYPES_DEVICE, attribute)
        streams.call("observe", target=target)
        assert last_record(streams, target, bool)["data"] == READ[attribute]


@pytest.mark.slow
def test_attribute_that_fails_is_an_error_record(streams: TangoRestClient) -> None:
    target = streams.target(DEMO_DEVICE, "throw_exception")
    streams.call("observe", target=target)
    assert last_record(streams, target, lambda record: "error" in record)["error"]


@pytest.mark.slow
def test_lost_device_is_an_error_record_and_values_come_again(
    streams: TangoRestClient, sender: str, tango_system: EmbeddedTango, sender_server: Any
) -> None:
    target = streams.target(sender, "State")
    streams.call("observe", target=target)
    last_record(streams, target, lambda record: "data" in record)
    sender_server.kill()
    try:
        last_record(streams, target, lambda record: "error" in record)
    finally:
        sender_server.restart()
    last_record(streams, target, lambda record: "data" in record)
    assert len(streams.call("ids")) == 1


@pytest.mark.slow
def test_client_reconnects_with_a_new_subscription(streams: TangoRestClient) -> None:
    """The client closes a stream that ended, and creates a subscription with all its targets three seconds later."""
    target = streams.target(DEMO_DEVICE, "double_scalar")
    streams.call("observe", target=target)
    last_record(streams, target, bool)
    seen = len(streams.call("records", target=target))
    (first,) = streams.call("ids")
    streams.ask("DELETE", f"/tango/subscriptions/{first}")
    wait_until(lambda: len(streams.call("ids")) == 2)
    wait_until(lambda: len(streams.call("records", target=target)) > seen)
    with pytest.raises(Failure):
        streams.get(f"/tango/subscriptions/{first}")
