"""The link between the gateway and the device servers: loopback, or one with the delay of a local network.

On loopback alone a benchmark rewards what no control room has: a read of a C++ server takes 0.13 ms there, and about
0.4 ms with 0.1 ms of delay in each direction, as through a switch.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mtango_gevent.demo.embedded import EmbeddedTango, free_port

DELAYS = {"loopback": 0, "lan": 100}
"""Microseconds in each direction, by link."""

_SOURCE = Path(__file__).parent / "delay.c"


class Link:
    """The ways to the servers of one run. Each server is told to listen at one port and to publish another one."""

    def __init__(self, servers: int, delay: int) -> None:
        self.delay = delay
        self._ports = [(free_port(), free_port()) for _ in range(servers if delay else 0)]
        self._unused = list(self._ports)

    def add_server(
        self, system: EmbeddedTango, command: Sequence[str], server: str, devices: Mapping[str, str]
    ) -> None:
        """Start one more server, as `system.add_server` does."""
        if not self.delay:
            system.add_server(command, server, devices)
            return
        published, listening = self._unused.pop()
        publish = ["-ORBendPointPublish", f"giop:tcp:127.0.0.1:{published}"]
        system.add_server([*command, *publish], server, devices, listening)

    @contextlib.contextmanager
    def relayed(self) -> Iterator[None]:
        """Relay between the ports meanwhile. Needs a C compiler, `cc`."""
        if not self.delay:
            yield
            return
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "delay"
            subprocess.run(["cc", "-O2", "-pthread", str(_SOURCE), "-o", str(program)], check=True)
            ports = [str(port) for pair in self._ports for port in pair]
            relay = subprocess.Popen([str(program), str(self.delay), *ports])
            try:
                yield
            finally:
                relay.kill()
                relay.wait()
