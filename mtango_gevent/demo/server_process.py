"""A Tango server as a child process: start it and wait until it serves, stop, kill, freeze and restart it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_SERVES = b"Ready to accept request"
_GAVE_UP = b"\nExited\n"
"""Output of every Tango server that serves, and of one in Python that failed.

The process of a failed server can live on: pytango-db does with PyTango 10.0 if its file is broken.
"""

# Seconds.
_START_WITHIN = 30.0
_STOP_WITHIN = 3.0
_CHECK_EVERY = 0.01

_TAIL = 2000  # bytes of the log in a message


class EmbeddedTangoError(RuntimeError):
    """The embedded Tango failed."""


class ServerFailed(EmbeddedTangoError):
    """A server ended or was not ready in time; the message has the end of its log."""


class ServerProcess:
    """A server in a session of its own, so that Ctrl-C reaches only the parent, which stops the servers in order.

    started: called with each new process id.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        started: Callable[[int], None],
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        self._started = started
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def __repr__(self) -> str:
        return f"<ServerProcess {self.name} {self.pid if self.running else 'stopped'}>"

    @property
    def pid(self) -> int:
        """The id of the running or the last process; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server if it does not run, and return when it serves. Raises ServerFailed."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        try:
            self._started(self.pid)
            self._wait_until_it_serves()
        except BaseException:
            self.kill()
            raise

    def _wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + _START_WITHIN
        while _SERVES not in self._output():
            if not self.running or _GAVE_UP in self._output():
                raise self._failed("ended instead of starting")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready after {_START_WITHIN:g} s")
            time.sleep(_CHECK_EVERY)

    def _failed(self, problem: str) -> ServerFailed:
        tail = self._output()[-_TAIL:].decode(errors="replace").strip()
        return ServerFailed(f"{self.name} {problem}; the end of its log, {self.log.name}:\n{tail}")

    def _output(self) -> bytes:
        """Return the output of the server since its start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read()

    def stop(self) -> None:
        """Ask the server to end, frozen or not, and kill it if it does not."""
        try:
            self._signal(signal.SIGTERM)
            self.thaw()
            self._wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        self._signal(signal.SIGKILL)
        self._wait()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP: it accepts connections and answers nothing."""
        if self.running:
            self._signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # its threads stop one by one

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)  # does nothing if the process has ended

    def _wait(self, seconds: float | None = None) -> None:
        if self._process:
            self._process.wait(seconds)


def stop_session(process: subprocess.Popen[Any], seconds: float) -> None:
    """Ask the leader of a session to end, and kill its process group if it has not ended after `seconds`."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
