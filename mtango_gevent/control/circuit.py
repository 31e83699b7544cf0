"""The circuit breaker of a device: one that has not answered for several calls is asked by one caller at a time."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from typing import Any

from mtango_gevent.errors import DevFailed, came_too_late, status_of, tango_failure

logger = logging.getLogger(__name__)

# A connection that fails sooner costs nobody anything, and may be tried by all.
_SOON = 1.0

_MOST_TEXT = 200


class Circuit:
    """Of one device. Closed, until `open_after` calls in a row have come too late; then open.

    While it is open no call is made, but for one every `retry_after` seconds, the probe. An answer closes it again.
    A call that began before the last answer came proves nothing.
    """

    def __init__(self, name: str, open_after: int, retry_after: float) -> None:
        self.name = name
        self.calls = self.timeouts = 0
        self.seconds = 0.0  # that all calls together took
        self.last_error: tuple[float, str] | None = None  # (when, since the epoch, what)
        self.opened = 0.0  # since the epoch; 0 when closed
        self._open_after, self._retry_after = open_after, retry_after
        self._late = 0  # in a row
        self._answered = self._retry_at = 0.0
        self._probe: object | None = None

    @property
    def state(self) -> str:
        """closed, open, or half-open while there is a probe."""
        if not self.opened:
            return "closed"
        return "half-open" if self._probe else "open"

    def check(self) -> None:
        """Raises DevFailed, MTANGO_DeviceOpen, where no call is to be made now."""
        if not self.opened:
            return
        left = self._retry_at - time.perf_counter()
        if self._probe is None and left <= 0:
            return
        when = "as soon as the one under way has ended" if self._probe else f"in {left:.1f} s"
        error = self.last_error[1] if self.last_error else ""
        raise open_failure(self.name, self.opened, f"has not answered {self._late} calls in a row: {error}", when)

    def begin(self, call: object) -> None:
        """`call` is about to be made."""
        if self.opened:
            self._probe = call

    def give_up(self, began: float, error: DevFailed) -> None:
        """A call that began then, by time.perf_counter(), is waited for no more."""
        self._note(error)
        self._count_late(began)

    def end(self, call: object, began: float, error: BaseException | None, given_up: bool) -> bool:
        """A call has ended, perhaps after it was given up. Gives whether it came too late."""
        seconds = time.perf_counter() - began
        self.calls += 1
        self.seconds += seconds
        late = isinstance(error, DevFailed) and (came_too_late(error) or (seconds > _SOON and status_of(error) == 503))
        if isinstance(error, DevFailed) and not given_up:
            self._note(error)
        if not late:
            self._answer()
        elif not given_up:
            self._count_late(began)
        if self._probe is call:
            self._probe = None
            self._retry_at = time.perf_counter() + self._retry_after
        return late

    def reset(self) -> None:
        """As if it had never failed."""
        self._late, self.opened = 0, 0.0

    def figures(self) -> dict[str, Any]:
        """What is known, for a row of reports.py."""
        when, text = self.last_error or (None, None)
        retry = max(0.0, self._retry_at - time.perf_counter()) if self.opened else None
        return {
            "state": self.state,
            "open_since": self.opened or None,
            "next_try": retry,
            "calls": self.calls,
            "seconds": self.seconds,
            "timeouts": self.timeouts,
            "last_error": text,
            "last_error_time": when,
        }

    def _note(self, error: DevFailed) -> None:
        root = error.args[0]
        self.last_error = time.time(), f"{root.reason}: {root.desc}"[:_MOST_TEXT]

    def _answer(self) -> None:
        self._answered, self._late = time.perf_counter(), 0
        if self.opened:
            self.opened = 0.0
            logger.warning("%s answers again", self.name)

    def _count_late(self, began: float) -> None:
        self.timeouts += 1
        if began < self._answered:
            return
        self._late += 1
        if self._late >= self._open_after and not self.opened:
            self.opened = time.time()
            self._retry_at = time.perf_counter() + self._retry_after
            logger.warning(
                "%s has not answered %d calls in a row, and is asked by one at a time", self.name, self._late
            )


def open_failure(name: str, since: float, why: str, retry: str) -> DevFailed:
    clock = datetime.fromtimestamp(since, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return tango_failure("MTANGO_DeviceOpen", f"{name} {why}; it is left alone since {clock}, next try {retry}")
