"""TangoHost: one Tango database, asked through the commands of its database device.

See database.py for how it is reached.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tango

from mtango_gevent.control.addresses import plain
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.database import Address, Database
from mtango_gevent.control.derived_cache import size_of_texts
from mtango_gevent.errors import status_of, tango_failure
from mtango_gevent.names import canonical_name, folded

_STRING = tango.CmdArgType.DevString
_STRINGS = tango.CmdArgType.DevVarStringArray

# The text of a query is the same for all databases.
_ALIASES = "SELECT alias, name FROM device WHERE alias IS NOT NULL ORDER BY alias"


def ready_argument(data_type: tango.CmdArgType, argument: Any) -> tango.DeviceData:
    """The argument of a command as it is sent: PyTango then does not ask for its type, which would hold the GIL."""
    data = tango.DeviceData()
    data.insert(data_type, argument)
    return data


def ready_texts(argument: str | Sequence[str]) -> tango.DeviceData:
    """A text or a list of texts as the argument of a command."""
    return ready_argument(_STRING if isinstance(argument, str) else _STRINGS, argument)


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
        if argument is None:
            return self.database.run(name)
        return self.database.run(name, ready_texts(argument))

    @property
    def database(self) -> Database:
        """The database of this host. Raises DevFailed where TANGO_HOST is needed and not set."""
        return self.client.database(self.prefix, self._addresses)

    def names(self) -> tuple[str, ...]:
        """Return the names of this host as `host:port`, in lower case, whatever the URL calls it."""
        return self.database.names

    def _addresses(self) -> list[Address]:
        return [_parse(self.prefix.removeprefix("tango://").removesuffix("/"))] if self.prefix else _own_hosts()

    def info(self) -> list[str]:
        """Lines of text about the database."""
        return list(self.command("DbInfo"))

    def _query(self, name: str, argument: str) -> Any:
        """Run a command that only reads, in one call for concurrent callers. Raises DevFailed.

        A caller joins no call from before a command of the database device, which may have changed the database.
        """
        generation = self.client.reads.generation(self.prefix + self.client.config.database_device.lower())
        key = (self.prefix, generation, name, argument)
        return self.client.database_queries.do(key, lambda: self.command(name, argument))

    def device_names(self, wildcards: Sequence[str]) -> list[str]:
        """Names of the devices that match one of `wildcards` (`*` stands for any characters), sorted.

        The same list each time, until the database answers otherwise.
        """
        found = tuple(self._query("DbGetDeviceWideList", wildcard) for wildcard in wildcards)

        def in_order() -> list[str]:
            concurrency = self.client.concurrency
            names = dict.fromkeys(concurrency.in_turns(itertools.chain(*found)))
            return concurrency.sorted_in_turns(names, str.lower)

        return self.client.derived.get(("names", self.prefix, *wildcards), found, in_order, size_of_texts)

    def domains(self, wildcard: str) -> list[str]:
        """Return the domains of the devices that match a wildcard."""
        return list(self.command("DbGetDeviceDomainList", wildcard))

    def families(self, wildcard: str) -> list[str]:
        """Return the families of the devices that match a wildcard."""
        return list(self.command("DbGetDeviceFamilyList", wildcard))

    def members(self, wildcard: str) -> list[str]:
        """Return the members of the devices that match a wildcard."""
        return list(self.command("DbGetDeviceMemberList", wildcard))

    def aliases(self) -> dict[str, str]:
        """Return all aliases by the name of the device in lower case, in one query: there is no command for it.

        The same object each time, until the database answers otherwise.
        """
        _, texts = self._query("DbMySqlSelect", _ALIASES)

        def by_name() -> dict[str, str]:
            pairs = self.client.concurrency.in_turns(zip(texts[::2], texts[1::2], strict=True))
            return {folded(name): alias for alias, name in pairs if alias}

        return self.client.derived.get(("aliases", self.prefix), (texts,), by_name, size_of_texts)

    def device_alias(self, name: str) -> str | None:
        """Return the alias of a device, or None: the database fails for a device without one."""
        try:
            return self.command("DbGetDeviceAlias", name) or None
        except tango.DevFailed as failure:
            if status_of(failure) == 503:
                raise
            return None

    def device_name(self, name: str) -> str:
        """`name` in the database's spelling. Raises DevFailed, DB_DeviceNotDefined."""
        return self.client.names.get(self.prefix + folded(name), "name", lambda: self.find_device(name))

    def device_info(self, name: str) -> DeviceInfo:
        """What the database knows of a device. Raises DevFailed, DB_DeviceNotDefined."""
        numbers, texts = self.command("DbGetDeviceInfo", name)
        known = [*texts, "unknown"][:8]  # old ones know no class
        _, ior, version, server, hostname, started, stopped, classname = known
        exported, pid = (int(number) for number in numbers)
        return DeviceInfo(
            self.device_name(name), ior, version, server, hostname, started, stopped, classname, bool(exported), pid
        )

    def find_server(self, name: str, anew: bool = False) -> str:
        """The name of the device server that a device belongs to, with the prefix of its Tango host: another host may
        have a server of the same name. Raises DevFailed, DB_DeviceNotDefined.

        anew: asked of the database now.
        """
        known = self.client.descriptions
        return (known.ask if anew else known.get)(
            self.prefix + folded(name), "server", lambda: self.prefix + self.command("DbGetDeviceInfo", name)[1][3]
        )

    def find_device(self, name: str) -> str:
        """The same, asked of the database now."""
        found = canonical_name(name, self.command("DbGetDeviceWideList", name))
        if found is None:
            raise tango_failure("DB_DeviceNotDefined", f"device {name} not defined in the database")
        return found


# --- which hosts there are ---


def list_hosts(client: TangoClient) -> list[TangoHost]:
    """The Tango hosts that are served, TANGO_HOST first. Raises DevFailed when there are none."""
    own = [TangoHost(client, *address) for address in _served_own_hosts(client)[:1]]
    listed = (find_host(client, *_parse(text)) for text in client.config.tango_hosts)
    return list(dict.fromkeys([*own, *(host for host in listed if host)]))


def find_host(
    client: TangoClient, host: str, port: int, writing: bool = False, before_lookup: Callable[[], None] | None = None
) -> TangoHost | None:
    """The Tango host of that name, or None where it is not served.

    With no list in the settings every name means TANGO_HOST to a request that reads; a request that writes has to name
    TANGO_HOST (contract: rc3, "Host and port in the URL"). Raises DevFailed when TANGO_HOST is needed and not set.
    before_lookup: called before the name is looked up, which the client may have to authenticate for.
    """
    listed = client.config.tango_hosts
    if not (listed or writing):
        return TangoHost(client, host, port)
    own = _served_own_hosts(client)
    if (plain(host), port) in {(plain(name), number) for name, number in own}:
        return TangoHost(client, host, port)
    for text in listed:
        name, number = _parse(text)
        if (plain(name), number) == (plain(host), port):
            return TangoHost(client, host, port, prefix=f"tango://{text}/")
    if before_lookup:
        before_lookup()
    if any(number == port and client.addresses.are_same(name, host) for name, number in own):
        return TangoHost(client, host, port)
    return None


def is_name_of_served_host(client: TangoClient, host: str, before_lookup: Callable[[], None]) -> bool:
    """Return whether a Tango host that is served has that name, whatever its port. before_lookup: as in find_host."""
    own = [name for name, _ in _served_own_hosts(client)]
    if plain(host) in {plain(name) for name in [*own, *(_parse(text)[0] for text in client.config.tango_hosts)]}:
        return True
    before_lookup()
    return any(client.addresses.are_same(name, host) for name in own)


def tango_host_variable() -> str:
    """TANGO_HOST as Tango sees it: from the environment, else from the files tangorc; empty where it is not set."""
    return tango.ApiUtil.get_env_var("TANGO_HOST") or ""


def _served_own_hosts(client: TangoClient) -> list[Address]:
    """The addresses of TANGO_HOST; none where it is not set, and a list of others to serve is."""
    return [] if client.config.tango_hosts and not tango_host_variable() else _own_hosts()


def _own_hosts() -> list[Address]:
    """(host, port) of TANGO_HOST, several when it lists servers of one database. Raises DevFailed without it."""
    text = tango_host_variable()
    if not text:
        raise tango_failure("API_TangoHostNotSet", "TANGO_HOST is not set where the gateway runs")
    return [_parse(part) for part in text.split(",")]


def _parse(text: str) -> Address:
    host, _, port = text.strip().rpartition(":")
    if not host or not port.isdecimal():
        raise tango_failure("API_TangoHostNotSet", f"TANGO_HOST: {text!r} is not host:port")
    return host, int(port)
