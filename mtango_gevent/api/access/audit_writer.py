"""The thread that writes the audit log, so that no request waits for a disk or for syslog."""

from __future__ import annotations

import atexit
import logging
import os
import time
import weakref
from collections.abc import Callable, Sequence
from queue import Empty
from typing import Any, TypeAlias

from mtango_gevent.api.access.audit_lines import Change, Line, Origin
from mtango_gevent.api.access.audit_targets import LineTarget
from mtango_gevent.api.access.targets import Target
from mtango_gevent.control.calls import NativeLock, Signal, SimpleQueue, start_thread
from mtango_gevent.control.client import TangoClient

logger = logging.getLogger("mtango_gevent.audit")

LINES = "mtango_audit_lines_total"

# Lines that may wait for the thread, about a kilobyte each.
MOST_WAITING = 10_000

# Lines that are made safe from a loss of power together.
_TOGETHER = 100

# Seconds between two attempts to write again, and after which a line that is being written counts as hanging.
_RETRY_PERIOD, _HANGS_AFTER = 1.0, 5.0

# Seconds that the end of a process waits for the lines, where no setting says how long.
_AT_EXIT = 2.0


class Receipt:
    """The outcome of lines. signal: wakes their request; problem: why one is lost, empty if all are written."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.problem = ""


# Lines that are written one after the other, and the receipt for all of them.
Item: TypeAlias = "tuple[Sequence[Line], Receipt | None]"


class AuditWriter:
    """A queue of lines and the thread that writes them, which the first line starts.

    name: of the target, for messages; lost: lines that could not be written, since the last one that could.
    """

    def __init__(self, name: str, target: LineTarget, encode: Callable[[Line], bytes], client: TangoClient) -> None:
        self._name, self._target, self._encode = name, target, encode
        self._concurrency, self._metrics = client.concurrency, client.metrics
        self._guard = NativeLock()
        self._process = 0
        self._queue: Any = SimpleQueue()
        self._waiting = 0
        self._lost, self._lost_at = 0, 0.0
        self._problem = ""
        self._writing_since: float | None = None

    @property
    def problem(self) -> str:
        """Why lines are not written now; empty where they are."""
        since = self._writing_since
        if since is not None and time.monotonic() - since > _HANGS_AFTER:
            return f"{self._name} hangs, {self._waiting} lines wait"
        return self._problem

    def put(self, lines: Sequence[Line], receipt: Receipt | None = None) -> None:
        """Have lines written one after the other; they are lost where too many wait."""
        if self._process != os.getpid():
            self._start()
        if self._waiting + len(lines) <= MOST_WAITING:
            self._count_waiting(len(lines))
            self._queue.put((lines, receipt))
            return
        self._lose(len(lines), f"{MOST_WAITING} lines wait for {self._name} already", receipt)
        if receipt:
            receipt.signal.set()

    def put_and_wait(self, lines: Sequence[Line], seconds: float) -> str:
        """Have lines written, after those that wait, and return why one was not in that time; empty if all were."""
        receipt = Receipt(self._concurrency.signal())
        self.put(lines, receipt)
        if not receipt.signal.wait(seconds):
            return f"{self._name} has not taken it within {seconds:g} s"
        return receipt.problem

    # --- the thread ---

    def _start(self) -> None:
        """Start the thread of this process, after a fork too."""
        with self._guard:
            if self._process == os.getpid():
                return
            self._queue, self._waiting = SimpleQueue(), 0
            start_thread(self._work, (self._queue,))
            self._process = os.getpid()
        atexit.register(_finish, weakref.ref(self))

    def _work(self, queue: Any) -> None:
        while True:
            items = self._take(queue)
            try:
                self._write(items)
            except Exception as error:  # whatever it is, later lines are written
                logger.exception("the audit log failed and goes on")
                for lines, receipt in items:
                    self._lose(len(lines), f"{type(error).__name__}: {error}", receipt)
            for _, receipt in items:
                if receipt:
                    receipt.signal.set()

    def _take(self, queue: Any) -> list[Item]:
        """Wait for lines, but not for long if there is a loss to tell of; return what waits."""
        items: list[Item] = []
        try:
            items.append(queue.get(timeout=_RETRY_PERIOD if self._lost else None))
            while len(items) < _TOGETHER:
                items.append(queue.get_nowait())
        except Empty:
            pass
        self._count_waiting(-sum(len(lines) for lines, _ in items))
        return items

    def _count_waiting(self, number: int) -> None:
        with self._guard:
            self._waiting += number

    def _write(self, items: list[Item]) -> None:
        written = [sum(self._write_line(line, receipt) for line in lines) for lines, receipt in items]
        problem = self._attempt(self._target.sync) if any(receipt for _, receipt in items) else ""
        for number, (_, receipt) in zip(written, items, strict=True):
            if problem and receipt:
                self._lose(number, problem, receipt)
            else:
                self._metrics.child(LINES, "written").inc(number)
        if self._lost and time.monotonic() - self._lost_at > _RETRY_PERIOD:
            self._recover()

    def _write_line(self, line: Line, receipt: Receipt | None) -> bool:
        """Return whether a line was written."""
        problem = self._attempt(lambda: self._target.write(self._encode(line)))
        if problem:
            self._lose(1, problem, receipt)
        return not problem

    def _attempt(self, write: Callable[[], None]) -> str:
        """Return why the target did not take something."""
        self._writing_since = time.monotonic()
        try:
            write()
        except OSError as error:
            return f"cannot write to {self._name}: {error.strerror or error}"
        finally:
            self._writing_since = None
        return ""

    # --- lost lines ---

    def _lose(self, number: int, problem: str, receipt: Receipt | None) -> None:
        if receipt:
            receipt.problem = problem
        if not number:
            return
        with self._guard:
            self._lost, self._lost_at = self._lost + number, time.monotonic()
        self._metrics.child(LINES, "lost").inc(number)
        self._note(problem)

    def _note(self, problem: str) -> None:
        """Keep a problem, and log it unless there is one already."""
        if not self._problem:
            logger.error("the audit log loses lines: %s", problem)
        self._problem = problem

    def _recover(self) -> None:
        """Write how many lines have been lost, if that can be written by now."""
        lost = self._lost
        outcome = f"failed: {lost} lines of this log are lost: {self._problem}"
        line = Line(time.time(), Origin(), Change(Target("administer", "gateway", "audit")), outcome)
        if self._attempt(lambda: self._target.write(self._encode(line))):
            return
        self._metrics.count(LINES, "written")
        with self._guard:
            self._lost -= lost
            self._problem = ""
        logger.warning("the audit log is written again: %d lines are lost", lost)


def _finish(writer: weakref.ref[AuditWriter]) -> None:
    found = writer()
    if found is not None:
        found.put_and_wait((), _AT_EXIT)
