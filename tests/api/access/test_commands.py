"""Classes of commands: those that read, those that change the control system, and all others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from webtest import TestApp

from mtango_gevent.api.access.commands import CommandClasses
from mtango_gevent.config import Config
from tests.api.access.conftest import Gateway
from tests.conftest import DEMO_DEVICE

DATABASE = "sys/database/2"
SERVER = "dserver/MtangoDemo/demo"

# Commands of libtango's admin device that change nothing; each server has them, and more with each version.
HARMLESS_OF_SERVERS = {
    "DevLockStatus",
    "DevPollStatus",
    "GetLoggingLevel",
    "GetLoggingTarget",
    "PolledDevice",
    "QueryClass",
    "QueryDevice",
    "QueryEventChannelIOR",
    "QueryEventSystem",
    "QuerySubDevice",
    "QueryWizardClassProperty",
    "QueryWizardDevProperty",
    "State",
    "Status",
}
# Those of Debian's C++ database, 9.3.4, that pytango-db does not have, and of other servers of the control system.
OTHERS = [
    (DATABASE, "DbGetClassPipeList", "read"),
    (DATABASE, "DbGetForwardedAttributeListForDevice", "read"),
    (DATABASE, "DbMySqlSelect", "configure"),
    (DATABASE, "DbDeleteAllDevicePipeProperty", "configure"),
    (DATABASE, "DbPutClassPipeProperty", "configure"),
    (DATABASE, "ResetTimingValues", "configure"),
    (DATABASE, "DbExportDevice", "configure"),
    ("sys/database/dbds1", "DbPutDeviceProperty", "configure"),
    ("SYS/Database/2", "DBPUTDEVICEPROPERTY", "configure"),
    ("tango/admin/host1", "DevGetRunningServers", "read"),
    ("tango/admin/host1", "DevStart", "configure"),
    ("tango/admin/host1", "HardKillServer", "configure"),
    ("tango/admin/host1", "UpdateServersInfo", "configure"),
    ("sys/access_control/1", "GetAccess", "read"),
    ("sys/access_control/1", "AddDeviceForUser", "configure"),
    ("sys/access_control/1", "RegisterService", "configure"),
    ("dserver/databaseds/2", "Kill", "configure"),
    ("a/b/c", "DbGetDeviceInfo", "execute"),
    ("a/b/c", "GetMotorGoing", "execute"),
    ("a/b/c", "QueryClass", "execute"),
    ("a/b/c", "GetAccess", "execute"),
    ("a/b/c", "State", "read"),
    ("a/b/c", "status", "read"),
    ("a/b/c", "On", "execute"),
    ("a/b/c", "StatusReset", "execute"),
]


@pytest.mark.parametrize(("device", "command", "expected"), OTHERS)
def test_a_command_has_the_class_of_what_it_does(device: str, command: str, expected: str) -> None:
    assert CommandClasses(Config()).action(device, command) == expected


def test_settings_name_the_database_and_harmless_commands() -> None:
    classes = CommandClasses(Config(database_device="my/own/db", harmless_commands=("Get*", "Ping")))
    assert classes.action("MY/own/db", "DbPutProperty") == "configure"
    assert classes.action("my/own/db", "DbGetProperty") == "read"
    assert classes.action("a/b/c", "getposition") == "read"
    assert classes.action("a/b/c", "ping") == "read"
    assert classes.action("a/b/c", "pingpong") == "execute"


def names_of_commands(client: TestApp, host_url: str, device: str) -> set[str]:
    return {item["name"] for item in client.get(f"{host_url}/devices/{device}/commands").json}


def test_every_command_of_the_real_devices_has_a_class(client: TestApp, host_url: str) -> None:
    classes = CommandClasses(Config())
    database = names_of_commands(client, host_url, DATABASE)
    reading = {name for name in database if classes.action(DATABASE, name) == "read"}
    assert len(database) > 80
    changing = database - reading
    assert all(name.startswith(("DbGet", "DbInfo", "DbImport", "State", "Status")) for name in reading)
    assert not any(name.startswith(("DbGet", "DbInfo", "DbImport")) for name in changing)
    server = names_of_commands(client, host_url, SERVER)
    assert {name for name in server if classes.action(SERVER, name) == "read"} - HARMLESS_OF_SERVERS <= {
        name for name in server if name.startswith("GetTelemetry")
    }
    assert {"Kill", "RestartServer", "AddObjPolling", "ZmqEventSubscriptionChange"} <= {
        name for name in server if classes.action(SERVER, name) == "configure"
    }


RULES = """
[[rule]]
users = ["anna"]
may = ["write", "execute"]

[[rule]]
users = ["admin"]
may = ["write", "execute", "configure", "administer"]
"""


def test_commands_of_the_control_system_take_configure(make_gateway: Callable[..., Gateway], host_url: str) -> None:
    gateway = make_gateway(RULES)
    devices = f"{host_url}/devices"
    change = (f"{devices}/{DATABASE}/commands/DbPutProperty", '["access_test", "1", "x", "1", "y"]')
    polling = (f"{devices}/{SERVER}/commands/PolledDevice", "")
    assert gateway.ask("PUT", change[0], "anna", change[1]).status_int == 403
    answer = gateway.ask("PUT", change[0], "admin", change[1])
    assert answer.status_int == 200, answer.text
    assert gateway.ask("PUT", polling[0], "anna").status_int == 200
    assert gateway.ask("PUT", polling[0], "").status_int == 200
    info = gateway.ask("PUT", f"{devices}/{DATABASE}/commands/dbinfo")
    assert info.status_int == 200


@pytest.mark.parametrize("rules", [RULES, ""])
def test_read_only_beats_the_rules(make_gateway: Callable[..., Gateway], host_url: str, rules: str) -> None:
    gateway = make_gateway(rules, read_only=True)
    device = f"{host_url}/devices/{DEMO_DEVICE}"
    for method, url, body in (
        ("PUT", f"{device}/attributes/double_scalar/value", "1"),
        ("PUT", f"{device}/attributes/value", '{"double_scalar": 1}'),
        ("PUT", f"{device}/attributes/double_scalar/info", "{}"),
        ("PUT", f"{device}/commands/DevDouble", "1"),
        ("PUT", f"{device}/properties/x", "1"),
        ("DELETE", f"{device}/properties/x", ""),
        ("POST", f"{device}/properties", '{"x": ["1"]}'),
        ("PUT", f"{host_url}/devices/{DATABASE}/commands/DbPutProperty", "[]"),
        ("PUT", f"{host_url}/devices/{SERVER}/commands/Kill", ""),
    ):
        answer = gateway.ask(method, url, "admin", body)
        assert (answer.status_int, answer.json["errors"][0]["reason"]) == (403, "MTANGO_ReadOnly"), url
    assert gateway.calls == 0
    assert gateway.ask("PUT", f"{device}/commands/State", "admin").status_int == 200
    assert gateway.ask("PUT", f"{host_url}/devices/{DATABASE}/commands/DbGetHostList", "admin", '"*"').status_int == 200
    assert gateway.ask("GET", f"{device}/attributes/double_scalar/value", "admin").status_int == 200
    assert gateway.ask("GET", "/tango/rest/sys/clean/devices", "admin").status_int == 204
