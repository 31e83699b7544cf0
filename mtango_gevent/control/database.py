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
from mtango_gevent.errors import DevFailed, has_timed_out, status_of

logger = logging.getLogger(__name__)

Address: TypeAlias = tuple[str, int]


class DatabaseServer:
    """One server of a database. All methods raise DevFailed.

    timeout: seconds of a CORBA call; find_bulkhead: gives the bulkhead of its calls, which has limits and a
    circuit breaker of its own.
    """

    def __init__(self, address: Address, timeout: float, find_bulkhead: Callable[[], DeviceBulkhead]) -> None:
        self.address = address
        self._timeout = timeout
        self._bulkhead = find_bulkhead()
        self._connection: tango.Database | None = None

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
        return self._bulkhead.call("database", self.run_here, command, *arguments)

    def ping(self) -> None:
        """Connect anew, in a thread: a connection asks only the server's ORB, which a long command does not delay."""
        tango.Database(*self.address)

    def disconnect(self) -> None:
        self._connection = None

    def run_here(self, command: str, *arguments: Any) -> Any:
        """Run a command in the current thread. Of connections that are made at the same time the last one is kept."""
        known = self._connection
        if known is not None:
            try:
                return known.command_inout(command, *arguments)
            except DevFailed as failure:
                if status_of(failure) != 503:
                    raise
                self._connection = None
                if has_timed_out(failure):
                    raise
        return self._connect().command_inout(command, *arguments)  # the server may have been restarted

    def _connect(self) -> tango.Database:
        connection = tango.Database(*self.address)
        connection.set_timeout_millis(int(self._timeout * 1000))
        # PyTango's own attempts to connect again would hold the thread for up to 38 s.
        connection.set_transparency_reconnection(False)
        self._connection = connection
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
    return command.startswith(("DbGet", "DbInfo", "DbImport"))
