"""TangoHost: one Tango database, asked through the commands of its database device.

PyTango's `Database` methods hold the GIL while they wait, and with it the whole worker; commands do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tango

from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import tango_failure
from mtango_gevent.names import spelled

_STRING = tango.CmdArgType.DevString
_STRINGS = tango.CmdArgType.DevVarStringArray


def ready_argument(data_type: tango.CmdArgType, argument: Any) -> tango.DeviceData:
    """The argument of a command as it is sent: PyTango then does not ask for its type, which would hold the GIL."""
    data = tango.DeviceData()
    data.insert(data_type, argument)
    return data


@dataclasses.dataclass(frozen=True)
class DeviceInfo:
    """What the database knows of a device (DbGetDeviceInfo)."""

    name: str
    ior: str
    version: str
    server: str
    hostname: str
    last_exported: str
    last_unexported: str
    classname: str
    exported: bool
    pid: int


@dataclasses.dataclass(frozen=True)
class TangoHost:
    """A Tango host as the URL names it. prefix: what leads to it in device names; empty is TANGO_HOST."""

    client: TangoClient = dataclasses.field(repr=False, compare=False)
    host: str
    port: int
    prefix: str = ""

    def command(self, name: str, argument: str | Sequence[str] | None = None) -> Any:
        """Run a command of the database device. Raises DevFailed."""
        url = self.prefix + self.client.config.database_device.lower()
        database = self.client.device_proxy(url, lambda: "")
        if argument is None:
            return database.command_inout(name)
        return database.command_inout(
            name, ready_argument(_STRING if isinstance(argument, str) else _STRINGS, argument)
        )

    def info(self) -> list[str]:
        """Lines of text about the database."""
        return list(self.command("DbInfo"))

    def device_names(self, wildcards: Sequence[str]) -> list[str]:
        """Names of the devices that match one of `wildcards` (`*` stands for any characters), sorted."""
        names = {name for wildcard in wildcards for name in self.command("DbGetDeviceWideList", wildcard)}
        return sorted(names, key=str.lower)

    def device_name(self, name: str) -> str:
        """`name` in the database's spelling. Raises DevFailed, DB_DeviceNotDefined."""
        return self.client.names.get(self.prefix + name.lower(), "name", lambda: self.find_device(name))

    def device_info(self, name: str) -> DeviceInfo:
        """What the database knows of a device. Raises DevFailed, DB_DeviceNotDefined."""
        numbers, texts = self.command("DbGetDeviceInfo", name)
        _, ior, version, server, hostname, started, stopped, classname = [*texts, "unknown"][
            :8
        ]  # old ones know no class
        exported, pid = (int(number) for number in numbers)
        return DeviceInfo(
            self.device_name(name), ior, version, server, hostname, started, stopped, classname, bool(exported), pid
        )

    def find_server(self, name: str) -> str:
        """The name of the device server that a device belongs to. Raises DevFailed, DB_DeviceNotDefined."""
        return self.client.descriptions.get(
            self.prefix + name.lower(), "server", lambda: self.command("DbGetDeviceInfo", name)[1][3]
        )

    def find_device(self, name: str) -> str:
        """The same, asked of the database now."""
        found = spelled(name, self.command("DbGetDeviceWideList", name))
        if found is None:
            raise tango_failure("DB_DeviceNotDefined", f"device {name} not defined in the database")
        return found


# --- which hosts there are ---


def list_hosts(client: TangoClient) -> list[TangoHost]:
    """The Tango hosts that are served, TANGO_HOST first. Raises DevFailed when TANGO_HOST is not set."""
    own = TangoHost(client, *_own_hosts()[0])
    listed = (find_host(client, *_parse(text)) for text in client.config.tango_hosts)
    return list(dict.fromkeys([own, *(host for host in listed if host)]))


def find_host(client: TangoClient, host: str, port: int) -> TangoHost | None:
    """The Tango host of that name, or None where it is not served.

    With no list in the settings every name means TANGO_HOST (contract: rc3, "Host and port in the URL").
    """
    if not client.config.tango_hosts or (host.lower(), port) in {(own.lower(), port) for own, port in _own_hosts()}:
        return TangoHost(client, host, port)
    if f"{host.lower()}:{port}" in client.config.tango_hosts:
        return TangoHost(client, host, port, prefix=f"tango://{host.lower()}:{port}/")
    return None


def tango_host_variable() -> str:
    """TANGO_HOST as Tango sees it: from the environment, else from the files tangorc; empty where it is not set."""
    return tango.ApiUtil.get_env_var("TANGO_HOST") or ""


def _own_hosts() -> list[tuple[str, int]]:
    """(host, port) of TANGO_HOST, several when it lists replicas of one database. Raises DevFailed without it."""
    text = tango_host_variable()
    if not text:
        raise tango_failure("API_TangoHostNotSet", "TANGO_HOST is not set where the gateway runs")
    return [_parse(part) for part in text.split(",")]


def _parse(text: str) -> tuple[str, int]:
    host, _, port = text.strip().rpartition(":")
    if not host or not port.isdecimal():
        raise tango_failure("API_TangoHostNotSet", f"TANGO_HOST: {text!r} is not host:port")
    return host, int(port)
