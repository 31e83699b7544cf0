"""Where the audit log goes: a file, standard error or syslog. Only the thread of the audit log calls these."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import Any, Protocol

from gevent import monkey

from mtango_gevent.config import starts_without_files
from mtango_gevent.control.calls import getaddrinfo

# The socket of a native thread, whatever gevent has patched by now.
_socket: Any = monkey.get_original("socket", "socket")
_AF_UNIX, _SOCK_DGRAM = 1, 2

# Facility `authpriv`, severity `info`.
_PRIORITY = 10 << 3 | 6

# Seconds after which syslog counts as not answering.
_SYSLOG_TIMEOUT = 5.0


class LineTarget(Protocol):
    def write(self, line: bytes) -> None:
        """Write a line as a whole. Raises OSError where it was not written."""

    def sync(self) -> None:
        """Return when the lines are safe from a loss of power, where that can be said. Raises OSError."""


def open_target(where: str) -> LineTarget:
    """Return the target that MTANGO_AUDIT names. Raises OSError for a file that cannot be opened."""
    if where == "stderr":
        return StandardError()
    if where.partition(":")[0] == "syslog":
        host, _, port = where.removeprefix("syslog").removeprefix(":").rpartition(":")
        return Syslog(host.strip("[]"), int(port or 0))
    return File(where)


class StandardError:
    def write(self, line: bytes) -> None:
        _write_whole(2, line)

    def sync(self) -> None:
        pass


class File:
    """A file that several workers append to. Once it has been moved away, the next line opens a new one.

    Raises OSError where the file cannot be opened now, unless `starts_without_files` is set.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._inode = (0, 0)
        self._is_regular = False  # and not /dev/full
        if not starts_without_files.get():
            os.close(self._open())

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)

    def write(self, line: bytes) -> None:
        self._follow()
        if not self._is_regular:
            _write_whole(self._descriptor, line)
            return
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            self._append(line)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _append(self, line: bytes) -> None:
        """Write a line; of one that does not fit on the disk nothing stays, as another line would follow it."""
        written = os.write(self._descriptor, line)
        if written < len(line):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise _no_space()

    def _follow(self) -> None:
        """Open the file, unless the open one is still the one at its path."""
        if self._descriptor >= 0:
            with contextlib.suppress(FileNotFoundError):
                if _inode(os.stat(self._path)) == self._inode:
                    return
            os.close(self._descriptor)
            self._descriptor = -1
        self._descriptor = self._open()
        status = os.fstat(self._descriptor)
        self._inode, self._is_regular = _inode(status), stat.S_ISREG(status.st_mode)

    def sync(self) -> None:
        if self._descriptor >= 0 and self._is_regular:
            os.fdatasync(self._descriptor)


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class Syslog:
    """The machine's syslog at /dev/log, or a host that takes syslog over UDP. host: empty for the machine's."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._socket: Any = None

    def write(self, line: bytes) -> None:
        message = b"<%d>mtango-gevent[%d]: %s" % (_PRIORITY, os.getpid(), line.rstrip(b"\n"))
        if self._socket is not None:
            try:
                self._socket.send(message)
                return
            except OSError:
                self._socket.close()
                self._socket = None
                if self._host:  # which has refused the line before this one
                    raise
        self._socket = self._connected(message)  # the machine's syslog may have been started anew

    def _connected(self, message: bytes) -> Any:
        """Return a new socket with which the message has been sent."""
        family, address = _AF_UNIX, "/dev/log"
        if self._host:
            family, _, _, _, address = getaddrinfo(self._host, self._port, type=_SOCK_DGRAM)[0]
        with contextlib.ExitStack() as undo:
            new = undo.enter_context(_socket(family, _SOCK_DGRAM))
            new.settimeout(_SYSLOG_TIMEOUT)
            new.connect(address)
            new.send(message)
            undo.pop_all()
        return new

    def sync(self) -> None:
        pass


def _write_whole(descriptor: int, line: bytes) -> None:
    if os.write(descriptor, line) < len(line):
        raise _no_space()


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
