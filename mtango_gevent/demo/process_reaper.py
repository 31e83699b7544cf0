"""Process reaper: kills the servers of a parent process that died without stopping them.

`EmbeddedTango` runs it as a process of its own. Unlike a thread in each server it works for servers in C++ too, and
unlike the kernel's PR_SET_PDEATHSIG it does not depend on the *thread* that started a server; and it can remove the
temporary folder. Where the system has pidfd, a reused pid is never killed. One gap remains: a parent that is killed in
the microseconds after it started a server and before it wrote its pid.

It imports only the standard library, so that `python -I -S` starts it in a few milliseconds.
"""

import os
import select
import shutil
import signal
import struct
import sys

PID = struct.Struct("q")
"""The message with the pid of a server, which the parent writes to standard input."""

_CHECK_SECONDS = 0.5
"""Seconds between checks of the parent: its death ends the input at once, unless a fork of it holds the other end."""


def watch(parent: int) -> dict[int, int | None]:
    """Collect servers until the parent is gone, and return them: pid -> pidfd."""
    servers = {}
    while True:
        readable, _, _ = select.select([0], [], [], _CHECK_SECONDS)
        if readable:
            message = os.read(0, PID.size)
            if not message:
                break
            (pid,) = PID.unpack(message)
            servers[pid] = _open(pid)
        elif os.getppid() != parent:
            break
    return servers


def _open(pid: int) -> int | None:
    """Return the pidfd of a process; None on a system without pidfd, -1 for a process that has ended."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1


def kill(pid: int, handle: int | None) -> None:
    if handle == -1:
        return
    try:
        if handle is None:
            os.kill(pid, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass


def main(parent: str, folder: str = "") -> None:
    for pid, handle in watch(int(parent)).items():
        kill(pid, handle)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
