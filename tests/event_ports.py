"""The event ports of this process, closed as by a firewall: a new client connects, and hears nothing.

ZeroMQ waits for connections in an epoll set of its own. While a port is not in that set, the kernel accepts
connections to it, and the process does not look at them; put back, all is as before.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ADD, _DELETE = 1, 2
_libc = ctypes.CDLL(None, use_errno=True)


class _EpollEvent(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


class _Port(NamedTuple):
    epoll: int
    socket: int
    events: int
    data: int


class EventPorts:
    def __init__(self) -> None:
        self._closed: list[_Port] = []

    def close(self) -> None:
        """Tango opens them when an event is first subscribed to."""
        for port in list(_listening()):
            _control(_DELETE, port)
            self._closed.append(port)

    def open(self) -> None:
        while self._closed:
            _control(_ADD, self._closed.pop())


def _control(operation: int, port: _Port) -> None:
    event = _EpollEvent(port.events, port.data)
    if _libc.epoll_ctl(port.epoll, operation, port.socket, ctypes.byref(event)):
        raise OSError(ctypes.get_errno(), "epoll_ctl")


def _listening() -> Iterator[_Port]:
    """Sockets that wait for connections in an epoll set; CORBA's do not."""
    for entry in Path("/proc/self/fd").iterdir():
        if entry.is_symlink() and os.readlink(entry) == "anon_inode:[eventpoll]":
            text = Path("/proc/self/fdinfo", entry.name).read_text()
            for number, events, data in re.findall(r"tfd:\s*(\d+) events:\s*(\w+) data:\s*(\w+)", text):
                if _is_listening(int(number)):
                    yield _Port(int(entry.name), int(number), int(events, 16), int(data, 16))


def _is_listening(number: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(number)) as found:
            return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # no socket
        return False
