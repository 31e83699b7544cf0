"""Kills the servers of a process that died without stopping them. Run by `EmbeddedTango` as a process of its own.

Why a process, and not a thread in each server or the kernel's PR_SET_PDEATHSIG: it works for any server, also for one
in C++; it does not matter which thread of the parent started a server, whereas the kernel's signal comes when that
*thread* ends; and it can remove the temporary folder too. It holds the servers by pidfd, where there is one, and so
never hits a stranger that was given an old pid. A gap of microseconds remains: a parent killed after starting a server
and before telling of it.

Only the standard library, nothing of this package: it runs with `python -I -S` and is there in a few milliseconds.
"""

import os
import select
import shutil
import signal
import struct
import sys

PID = struct.Struct("q")
"""What the parent writes to standard input, once for each server it has started."""

_LOOK_EVERY = 0.5
"""Seconds. End of input tells of the parent's death at once, unless a fork of the parent still holds the other end."""


def watch(parent: int) -> dict[int, int | None]:
    """Collect servers until the parent is gone: pid -> pidfd."""
    servers = {}
    while True:
        readable, _, _ = select.select([0], [], [], _LOOK_EVERY)
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
    """None where the system has no pidfd; -1 for a process that is gone already."""
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
