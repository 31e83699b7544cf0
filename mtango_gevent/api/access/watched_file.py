"""A file of access control that is read again when it has changed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from mtango_gevent.config import ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.single_flight import Route, SingleFlight
from mtango_gevent.errors import DevFailed, in_one_line

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds after which a request checks whether the file has changed.
_CHECK_AFTER = 0.5

# Seconds for which a changed file is left alone: an editor may be in the middle of writing it.
_SETTLED_AFTER = 0.1


class WatchedFile(Generic[T]):
    """The parsed content of a file. A broken or vanished file leaves the last good content in force.

    parse: makes the content of the bytes, and raises ValueError with what is wrong, in one line.
    problem: why the present file is not in force; empty where it is.
    Raises ConfigError when the file cannot be read or parsed at the start. setting: the one that names the file.
    """

    def __init__(self, setting: str, path: str, parse: Callable[[bytes], T], client: TangoClient) -> None:
        self.problem = ""
        self._path, self._parse = Path(path), parse
        self._flight = SingleFlight(client.concurrency.signal)
        self._route = Route(client.partitions.files, "file")
        try:
            self._seen = self._stamp()
            self._content = parse(self._path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{setting}: cannot use {path}: {error}") from None
        self._checked = time.monotonic()

    def content(self) -> T:
        """Return the content, which is at most a second older than the file. The file is read in a thread."""
        if time.monotonic() - self._checked > _CHECK_AFTER:
            try:
                self._flight.do("check", self._check, self._route)
            except DevFailed as failure:  # the thread waits for a file system that hangs
                self._note(f"cannot look at {self._path}: {in_one_line(failure)}")
                self._checked = time.monotonic()
        return self._content

    def _check(self) -> bool:
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                self.problem = ""
            elif not 0 <= time.time() - stamp[0] / 1e9 < _SETTLED_AFTER:
                self._content = self._parse(self._path.read_bytes())
                self._seen, self.problem = stamp, ""
                logger.info("%s has been read again", self._path)
        except (OSError, ValueError) as error:
            self._note(f"cannot use {self._path}, the content from before stays in force: {error}")
        self._checked = time.monotonic()
        return True

    def _note(self, problem: str) -> None:
        """Keep a problem, and log it once."""
        if problem != self.problem:
            logger.error("%s", problem)
        self.problem = problem

    def _stamp(self) -> tuple[int, int, int]:
        status = os.stat(self._path)
        return status.st_mtime_ns, status.st_ino, status.st_size
