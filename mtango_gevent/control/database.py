"""The database of a Tango host: one server, or several with the same data (`TANGO_HOST=a:1,b:2`).

Each server is reached by its own address. As the device `sys/database/2` it has the address of the server that was
started last. `command_inout` of a `tango.Database` does not hold the GIL while it waits; its other methods do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tango

from mtango_gevent.control.calls import DeviceBulkhead
from mtango_gevent.errors import OWN_ACCESS, DevFailed, explained, has_timed_out, is_read_only, status_of

logger = logging.getLogger(__name__)

Address: TypeAlias = tuple[str, int]


class DatabaseServer:
    """One server of a database. All methods raise DevFailed.

    device: the name of the database device; timeout: seconds of a CORBA call; find_bulkhead: gives the bulkhead of its
    calls, which has limits and a circuit breaker of its own.
    """

    def __init__(
        self, address: Address, device: str, timeout: float, find_bulkhead: Callable[[], DeviceBulkhead]
    ) -> None:
        self.address = address
        self._device = device
        self._timeout = timeout
        self._bulkhead = find_bulkhead()
        self._connections: dict[bool, tango.Database] = {}  # by whether it is for commands that only read

    @property
    def name(self) -> str:
        return "{}:{}".format(*self.address)

    @property
    def prefix(self) -> str:
        """The prefix of device names that makes PyTango ask this server."""
        return f"tango://{self.name}/"

    @property
    def silent(self) -> bool:
        """Whether the server is known not to answer, or its circuit is open."""
        return self._bulkhead.is_open or self._bulkhead.is_silent

    def run(self, command: str, *arguments: Any) -> Any:
        output = self._bulkhead.call("database", self._ask_here, command, *arguments)
        if isinstance(output, DevFailed):
            raise output
        return output

    def ping(self) -> None:
        """Connect anew, in a thread: a connection asks only the server's ORB, which a long command does not delay."""
        tango.Database(*self.address)

    def disconnect(self) -> None:
        self._connections.clear()

    def _ask_here(self, command: str, *arguments: Any) -> Any:
        """Run a command here; return the failure of a device without alias, in which databases differ: an answer."""
        try:
            return self.run_here(command, *arguments)
        except DevFailed as failure:
            if command != "DbGetDeviceAlias" or status_of(failure) == 503:
                raise
            return failure.with_traceback(None)

    def run_here(self, command: str, *arguments: Any) -> Any:
        """Run a command in the current thread. Of connections that are made at the same time the last one is kept."""
        reads = _only_reads(command)
        known = self._connections.get(reads)
        if known is not None:
            try:
                return self._run_with_access(known, command, *arguments)
            except DevFailed as failure:
                if status_of(failure) != 503:
                    raise
                self._connections.pop(reads, None)
                if has_timed_out(failure):
                    raise
        return self._run_with_access(self._connect(reads), command, *arguments)  # the server may have been restarted

    def _run_with_access(self, connection: tango.Database, command: str, *arguments: Any) -> Any:
        """Run a command, with the access of the gateway's user where the database has a TangoAccessControl.

        Only other methods of a tango.Database ask for the access, and these hold the GIL; a proxy of the device does
        not. Without it libtango takes the access to be read access. What it has found holds until the worker ends.
        """
        try:
            return connection.command_inout(command, *arguments)
        except DevFailed as failure:
            if not is_read_only(failure):
                raise
        device = tango.DeviceProxy(self.prefix + self._device)
        connection.set_access_control(device.get_access_control())
        try:
            return connection.command_inout(command, *arguments)
        except DevFailed as failure:
            raise explained(failure, OWN_ACCESS) if is_read_only(failure) else failure from None

    def _connect(self, reads: bool) -> tango.Database:
        connection = tango.Database(*self.address)
        connection.set_timeout_millis(int(self._timeout * 1000))
        # PyTango's own attempts to connect again would hold the thread for up to 38 s.
        connection.set_transparency_reconnection(False)
        if reads:  # libtango would ask the database's TangoAccessControl, and nothing could be read without its answer
            connection.set_access_control(tango.AccessControlType.ACCESS_WRITE)
        self._connections[reads] = connection
        return connection


class Database:
    """The servers of one database. Each command goes to the server that answered last, then to the others.

    names: of the servers as `host:port`, in lower case.
    """

    def __init__(self, servers: Sequence[DatabaseServer]) -> None:
        self.servers = servers
        self.names = tuple(server.name.lower() for server in servers)
        self._current = servers[0]

    @property
    def through(self) -> str:
        """The prefix with which PyTango connects to a device of this database, `""` where it needs none.

        PyTango asks the servers of TANGO_HOST in their order, and waits for a frozen one for 23 s, or without end
        when it has never had an answer from it. So the server that answers is named as long as another one is silent.
        """
        if len(self.servers) > 1 and any(server.silent for server in self.servers):
            return self._current.prefix
        return ""

    def run(self, command: str, *arguments: Any) -> Any:
        """Return the output of a command. Raises DevFailed, with the errors of each server when none answers."""
        errors: list[tango.DevError] = []
        for server in sorted(self.servers, key=lambda server: server is not self._current):
            try:
                output = server.run(command, *arguments)
            except DevFailed as failure:
                if status_of(failure) != 503 or (has_timed_out(failure) and not _only_reads(command)):
                    raise
                errors += failure.args
            else:
                self._prefer(server)
                return output
        raise DevFailed(*errors)

    def disconnect(self) -> None:
        for server in self.servers:
            server.disconnect()

    def _prefer(self, server: DatabaseServer) -> None:
        if server is not self._current:
            logger.warning("database %s does not answer, %s is used", self._current.name, server.name)
            self._current = server


def _only_reads(command: str) -> bool:
    """Whether the command may be repeated elsewhere when its outcome is unknown."""
    return command.startswith(("DbGet", "DbInfo", "DbImport", "DbMySqlSelect"))
