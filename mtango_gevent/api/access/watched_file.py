"""A file of access control that is read again when it has changed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from mtango_gevent.config import ConfigError, starts_without_files
from mtango_gevent.control.calls import Signal
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError, DevFailed, in_one_line

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds after which a request checks whether the file has changed, and for which it waits for that.
_CHECK_AFTER, _PATIENCE = 0.5, 0.2

# Seconds for which a changed file is left alone: an editor may be in the middle of writing it.
_SETTLED_AFTER = 0.1


class Problem(NamedTuple):
    """What is wrong with access control, for /readyz. refuses: requests are refused for it, and any client is told."""

    text: str
    refuses: bool = False


class WatchedFile(Generic[T]):
    """The parsed content of a file. A broken or vanished file leaves the last good content in force.

    parse: makes the content of the bytes, and raises ValueError with what is wrong, in one line.
    problem: why the present file is not in force; empty where it is.
    Raises ConfigError when the file cannot be read or parsed at the start. setting: the one that names the file. Where
    `starts_without_files` is set there is no content then, until the file can be used.
    """

    def __init__(self, setting: str, path: str, parse: Callable[[bytes], T], client: TangoClient) -> None:
        self.problem = ""
        self._setting, self._path, self._parse = setting, Path(path), parse
        self._concurrency, self._files = client.concurrency, client.partitions.files
        self._is_being_checked = False
        self._content: T | None = None
        self._seen: tuple[int, ...] = ()
        try:
            self._read(self._stamp())
        except Exception as error:
            if not starts_without_files.get():
                raise ConfigError(f"{setting}: cannot use {path}: {_text(error)}") from None
            self._note_failure(error)
        self._checked = time.monotonic()

    def content(self) -> T:
        """Return the content, which is at most a second older than the file. The file is read in a thread.

        One request at a time waits for a check, and not for long. Raises ApiError 503 where there is no content.
        """
        self._check_soon()
        if self._content is None:
            raise ApiError(503, "MTANGO_AccessUnavailable", self._unavailable(), {"Retry-After": "1"})
        return self._content

    def problems(self) -> Iterator[Problem]:
        self._check_soon()
        if self._content is None:
            yield Problem(self._unavailable(), refuses=True)
        elif self.problem:
            yield Problem(f"{self._setting}: {self.problem}")

    def _unavailable(self) -> str:
        return f"{self._setting}: its file cannot be used, see the log of the gateway"

    def _check_soon(self) -> None:
        if self._is_being_checked or time.monotonic() - self._checked <= _CHECK_AFTER:
            return
        self._is_being_checked, checked = True, self._concurrency.signal()
        try:
            self._concurrency.spawn(self._check_in_thread, checked)
        except RuntimeError:  # the machine has no thread: later
            self._is_being_checked, self._checked = False, time.monotonic()
        else:
            checked.wait(_PATIENCE)

    def _check_in_thread(self, checked: Signal) -> None:
        try:
            self._files.call("file", self._check)
        except DevFailed as failure:  # the thread waits for a file system that hangs
            self._note(f"cannot look at {self._path}: {in_one_line(failure)}")
        finally:
            self._checked = time.monotonic()
            self._is_being_checked = False
            checked.set()

    def _check(self) -> None:
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                self.problem = ""
            elif not 0 <= time.time() - stamp[0] / 1e9 < _SETTLED_AFTER:
                self._read(stamp)
                logger.info("%s has been read again", self._path)
        except Exception as error:  # whatever the parser raises, requests are served
            self._note_failure(error)

    def _read(self, stamp: tuple[int, ...]) -> None:
        self._content = self._parse(self._path.read_bytes())
        self._seen, self.problem = stamp, ""

    def _note_failure(self, error: Exception) -> None:
        meanwhile = "the content from before stays in force" if self._seen else "requests that need it are refused"
        self._note(f"cannot use {self._path}, {meanwhile}: {_text(error)}")

    def _note(self, problem: str) -> None:
        """Keep a problem, and log it once."""
        if problem != self.problem:
            logger.error("%s: %s", self._setting, problem)
        self.problem = problem

    def _stamp(self) -> tuple[int, ...]:
        status = os.stat(self._path)
        return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _text(error: Exception) -> str:
    """Return the text of an error, with its class where neither the parser nor the file system raises it on purpose."""
    return str(error) if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {error}"
