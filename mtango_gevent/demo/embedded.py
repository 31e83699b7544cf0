"""An embedded Tango on 127.0.0.1: pytango-db, the demo's device server, and servers that a test adds.

    with EmbeddedTango() as tango:
        tango.tango_host        # "127.0.0.1:PORT"

The module does not import PyTango, so a gunicorn or gevent process can use it; servers run in their own processes.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from mtango_gevent.demo import process_reaper
from mtango_gevent.demo.server_process import EmbeddedTangoError, ServerFailed, ServerProcess
from mtango_gevent.serving import interpreter

__all__ = ["DEMO_SERVER", "EmbeddedTango", "EmbeddedTangoError", "PortTaken", "ServerFailed", "ServerProcess"]

DEMO_SERVER = "MtangoDemo/demo"

_HOST = "127.0.0.1"

# Below the ports that Linux gives to connections and event channels, which would take one before its server does.
_PORTS = range(16_384, 32_768)
_turns = itertools.count(secrets.randbelow(len(_PORTS)))

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""With PyTango 10.0 a SIGTERM that a thread of NumPy receives ends a server before it can unexport its devices."""


class PortTaken(EmbeddedTangoError):
    """Another program listens on the requested port."""


class EmbeddedTango:
    """A database and device servers, from `start` to `stop`; also a context manager.

    data: the folder of the database's file and the logs, created if missing; None is a temporary folder until `stop`.
    port: of the database; 0 finds a free one.
    """

    tango_host: str
    folder: Path
    database: ServerProcess
    device_server: ServerProcess

    def __init__(self, data: Path | None = None, port: int = 0) -> None:
        self._data = data
        self._port = port
        self._owner = 0
        self._stack = ExitStack()
        self._servers: list[ServerProcess] = []

    def __enter__(self) -> EmbeddedTango:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the database and the demo's device server, and return when its devices answer.

        Raises PortTaken or ServerFailed, with nothing left running.
        """
        if self._owner:
            raise EmbeddedTangoError(f"already started, as {self.tango_host}")
        port = free_port(self._port)
        self.tango_host = f"{_HOST}:{port}"
        self._owner = os.getpid()
        try:
            self.folder = self._make_folder()
            self._start_reaper()
            self.database = self._start_database(port)
            _, instance = DEMO_SERVER.split("/")
            self.device_server = self._start_server(
                DEMO_SERVER, interpreter.command("mtango_gevent.demo.server", instance)
            )
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, the database last. Does nothing in a fork of the process that started it."""
        if self._owner != os.getpid():
            return
        for server in self._servers:
            server.thaw()  # so that it can unexport its devices before it ends
        self._stack.close()
        self._servers.clear()
        self._owner = 0

    def add_server(
        self, command: Sequence[str], server: str, devices: Mapping[str, str], port: int = 0
    ) -> ServerProcess:
        """Register and start another device server, which `stop` stops, and return when it serves.

        command: starts it, and gets an end point on this machine as further arguments; server: its "Name/instance";
        devices: name -> class; port: on which it listens, 0 for a free one at each start. Raises ServerFailed.
        """
        register = interpreter.command("mtango_gevent.demo.registration", server)
        end_point = ["-ORBendPoint", f"giop:tcp:{_HOST}:{port}"]
        pairs = [f"{device}={class_name}" for device, class_name in devices.items()]
        return self._start_server(server, [*register, *pairs, "--", *command, *end_point])

    def _make_folder(self) -> Path:
        if self._data:
            self._data.mkdir(parents=True, exist_ok=True)
            return self._data.absolute()
        # not TemporaryDirectory: a fork of this process would remove it at its end
        folder = Path(tempfile.mkdtemp(prefix="mtango-demo-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _start_reaper(self) -> None:
        reading, self._reaper_input = os.pipe()
        self._stack.callback(os.close, self._reaper_input)
        temporary = [] if self._data else [str(self.folder)]
        command = [sys.executable, "-I", "-S", process_reaper.__file__, str(os.getpid()), *temporary]
        try:
            process = subprocess.Popen(command, stdin=reading, start_new_session=True)
        finally:
            os.close(reading)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)  # the servers have been stopped by then

    def reap(self, pid: int) -> None:
        """Have a process killed if this one dies without stopping it."""
        os.write(self._reaper_input, process_reaper.PID.pack(pid))

    def _start_database(self, port: int) -> ServerProcess:
        # "2" is the instance name of Tango's database. The port is in the command, so that a restart has the same one.
        command = interpreter.command("databaseds.database", "--host", _HOST, "--port", str(port), "2")
        return self._start(
            "database", command, TANGO_HOST=self.tango_host, PYTANGO_DATABASE_NAME=str(self.folder / "tango.sqlite")
        )

    def _start_server(self, server: str, command: Sequence[str]) -> ServerProcess:
        return self._start(server, command, TANGO_HOST=self.tango_host)

    def _start(self, name: str, command: Sequence[str], **environment: str) -> ServerProcess:
        log = self.folder / f"{name.replace('/', '-')}.log"
        server = ServerProcess(
            name, command, {**interpreter.environment(), **_ONE_THREAD, **environment}, log, self.reap
        )
        self._stack.callback(server.stop)
        self._servers.append(server)
        server.start()
        return server


def free_port(port: int = 0) -> int:
    """Return the port if it is free, or another free one each time for 0.

    Raises PortTaken; pytango-db would show a C++ traceback.
    """
    if port:
        return _probed(port)
    for _ in _PORTS:
        with suppress(PortTaken):
            return _probed(_PORTS[next(_turns) % len(_PORTS)])
    raise PortTaken(f"no port of {_HOST} from {_PORTS.start} to {_PORTS.stop - 1} is free")


def _probed(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {port} of {_HOST} is taken by another program") from None
            raise
    return port
