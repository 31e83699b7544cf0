"""Native threads that make blocking calls, whose results they hand back to the hub.

Nothing here limits how many there are; see lane.py.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import gevent
import tango
from gevent import monkey
from gevent.event import AsyncResult

from mtango_gevent.errors import DevFailed, came_too_late, tango_failure

if TYPE_CHECKING:
    from mtango_gevent.control.lane import Lane
    from mtango_gevent.control.slots import Slots

# The unpatched ones, whatever has been patched by now.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_SimpleQueue = monkey.get_original("queue", "SimpleQueue")

# Whether this thread makes a call, in which others may be made.
calling: ContextVar[bool] = ContextVar("calling", default=False)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    return "timed_out" if isinstance(error, DevFailed) and came_too_late(error) else "failed"


class Call:
    """One blocking call on its way through the pool; kind: what it is counted as, for the device of `lane`."""

    __slots__ = (
        *("_arguments", "_counted", "_error", "_function", "_keywords", "_value"),
        *("abandoned", "began", "in_thread", "kind", "lane", "result", "slots"),
    )

    def __init__(
        self, lane: Lane, kind: str, function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        self.lane, self.kind, self._counted = lane, kind, False
        self._function, self._arguments, self._keywords = function, arguments, keywords
        self.began = 0.0  # when it had its slots
        self._value: Any = None
        self._error: BaseException | None = None
        self.result = AsyncResult()
        self.slots: list[Slots] = []  # that it has
        self.in_thread = False
        self.abandoned = False

    def run(self) -> None:
        """In a native thread."""
        try:
            self._value = self._function(*self._arguments, **self._keywords)
        except RuntimeError as error:  # what PyTango 10.0 makes of a failure without any reasons
            nameless = "unidentifiable C++ exception" in str(error)
            self._error = tango_failure("API_DeviceFailure", "the device gave no reason") if nameless else error
        except BaseException as error:  # whatever it is, it belongs to whoever asked
            self._error = error

    def finish(self) -> None:
        """In the hub: the thread is free again, and with it the slots."""
        self.in_thread = False
        self.give_slots_back()
        self._note_end()
        if self._error is None:
            self.result.set(self._value)
        else:
            self.result.set_exception(self._error)

    def give_slots_back(self) -> None:
        for slots in self.slots:
            slots.release()
        self.slots.clear()

    def conclude(self) -> Any:
        """The same where it was made by who wants it."""
        self._note_end()
        if self._error is not None:
            raise self._error
        return self._value

    def _note_end(self) -> None:
        self.lane.ended(self, self._error)
        self.count(_outcome(self._error))

    def count(self, outcome: str) -> None:
        """In the hub, and once: what comes back after it was given up has timed out."""
        if not self._counted:
            self._counted = True
            self.lane.count(self.kind, outcome, time.perf_counter() - self.began if self.began else None)


class ThreadPool:
    """Threads that run calls, and one watcher that hands all finished ones back to the hub per wake-up."""

    def __init__(self) -> None:
        self.threads = self.in_flight = self.abandoned = 0
        self._calls = _SimpleQueue()
        self._finished: deque[Call] = deque()
        self._watcher = gevent.get_hub().loop.async_()

    def submit(self, call: Call) -> None:
        """Run `call` in a thread, a new one if all are busy; how many there may be is the caller's affair."""
        if self.threads == self.in_flight:
            _start_thread(self._work, ())  # the machine may refuse: nothing has changed then
            self.threads += 1
        if self.in_flight == 0:  # an active watcher keeps the hub alive: only while there is something to wait for
            self._watcher.start(self._hand_back)
        self.in_flight += 1
        call.in_thread = True
        self._calls.put(call)

    def abandon(self, call: Call) -> None:
        """Nobody waits any more for a call that has a thread."""
        call.abandoned = True
        self.abandoned += 1

    def _work(self) -> None:
        calling.set(True)
        with tango.EnsureOmniThread():
            while True:
                call = self._calls.get()
                call.run()
                self._finished.append(call)
                del call  # an idle thread must not keep the last image alive
                self._watcher.send()

    def _hand_back(self) -> None:
        while self._finished:
            call = self._finished.popleft()
            self.in_flight -= 1
            self.abandoned -= call.abandoned
            call.finish()
        if self.in_flight == 0:
            self._watcher.stop()
