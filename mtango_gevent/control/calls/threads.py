"""Native threads that make blocking calls, whose results they hand back to the hub.

Nothing here limits how many there are; see bulkhead.py.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import gevent
import tango
from gevent import monkey
from gevent.event import AsyncResult

from mtango_gevent.errors import DevFailed, came_too_late, tango_failure

if TYPE_CHECKING:
    from mtango_gevent.control.calls.bulkhead import Bulkhead
    from mtango_gevent.control.calls.semaphore import Slots

# The unpatched ones, whatever has been patched by now.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_Lock = monkey.get_original("_thread", "allocate_lock")
_SimpleQueue = monkey.get_original("queue", "SimpleQueue")

# Whether this thread makes a call, in which others may be made.
calling: ContextVar[bool] = ContextVar("calling", default=False)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    return "timed_out" if isinstance(error, DevFailed) and came_too_late(error) else "failed"


class Call:
    """One blocking call on its way through the pool; kind: what it is counted as, for the device of `bulkhead`.

    what: what the bulkhead knows its time as, if it is often made. quick: it is expected to end at once, see rounds;
    joined: how many more wait for it.
    """

    __slots__ = (
        *("_arguments", "_counted", "_error", "_function", "_keywords", "_value", "_what"),
        *("abandoned", "began", "in_thread", "joined", "kind", "bulkhead", "quick", "result", "slots"),
    )

    def __init__(
        self,
        bulkhead: Bulkhead,
        kind: str,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        what: Hashable = None,
    ) -> None:
        self.bulkhead, self.kind, self._counted = bulkhead, kind, False
        self._function, self._arguments, self._keywords = function, arguments, keywords
        self.began = 0.0  # when it had its slots
        self._value: Any = None
        self._error: BaseException | None = None
        self.result = AsyncResult()
        self.slots: list[Slots] = []  # that it has
        self.in_thread = False
        self.abandoned = False
        self._what = what
        self.quick = what is not None and bulkhead.is_quick(what)
        self.joined = 0

    def run(self) -> bool:
        """In a native thread, while others run. Whether it is to be handed back to the hub: always."""
        self.make(in_round=False)
        return True

    def make(self, in_round: bool) -> None:
        """In a native thread; in_round: while the hub waits, and without slots, so that it begins here."""
        began = time.perf_counter()
        if in_round:
            self.began = began
        try:
            self._value = self._function(*self._arguments, **self._keywords)
        except RuntimeError as error:  # what PyTango 10.0 makes of a failure without any reasons
            nameless = "unidentifiable C++ exception" in str(error)
            self._error = tango_failure("API_DeviceFailure", "the device gave no reason") if nameless else error
        except BaseException as error:  # whatever it is, it belongs to whoever asked
            self._error = error
        if self._what is not None:
            self.bulkhead.note_time(self._what, time.perf_counter() - began, in_round)

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
        self.bulkhead.ended(self, self._error)
        self.count(_outcome(self._error))

    def count(self, outcome: str) -> None:
        """In the hub, and once: what comes back after it was given up has timed out."""
        if not self._counted:
            self._counted = True
            self.bulkhead.count(self.kind, outcome, time.perf_counter() - self.began if self.began else None)


class Round:
    """Calls that a thread makes one after the other, while the hub waits for it."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.waiting, self.done = deque(calls), deque[Call]()
        self._ended = _Lock()
        self._ended.acquire()
        self._undecided = [True]  # taken out by the thread as it ends, or by the hub as it gives up: who comes first

    @property
    def abandoned(self) -> bool:
        return any(call.abandoned for call in self.done)

    def run(self) -> bool:
        """In a native thread. Whether it is to be handed back to the hub, which waits no more."""
        with contextlib.suppress(IndexError):
            while True:
                call = self.waiting.popleft()
                call.make(in_round=True)
                self.done.append(call)
        if _is_first(self._undecided):
            self._ended.release()
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """In the hub. Whether the thread has ended within that time."""
        return self._ended.acquire(timeout=seconds) or not _is_first(self._undecided)

    def finish(self) -> None:
        """In the hub."""
        for call in _drained(self.done):
            call.finish()


def _is_first(undecided: list[bool]) -> bool:
    try:
        return undecided.pop()
    except IndexError:
        return False


class ThreadPool:
    """Threads that run calls, and one watcher that hands all finished ones back to the hub per wake-up."""

    def __init__(self) -> None:
        self.threads = self.in_flight = self.abandoned = 0
        self._todo = _SimpleQueue()
        self._finished: deque[Call | Round] = deque()
        self._watcher = gevent.get_hub().loop.async_()

    def submit(self, call: Call) -> None:
        """Run `call` in a thread, a new one if all are busy; how many there may be is the caller's affair."""
        self._see_to_a_thread()
        self._expect()
        call.in_thread = True
        self._todo.put(call)

    def make_now(self, calls: Sequence[Call], seconds: float) -> tuple[list[Call], Call | None]:
        """Have a thread make `calls` one after the other, and wait for it, which blocks the hub, for so many seconds.

        Gives those that have ended and the one that has not. Those that have not begun by then are left alone.
        """
        self._see_to_a_thread()
        now = Round(calls)
        self._todo.put(now)
        in_time = now.wait(seconds)
        left = _drained(now.waiting)
        ended = _drained(now.done)
        if in_time:
            return ended, None
        self._expect()
        self._watcher.send()  # it may have ended since, when there was no watcher yet
        running = next((call for call in calls if call not in left and call not in ended), None)
        if running:
            running.in_thread = True
            running.began = running.began or time.perf_counter()  # it may be just about to
        return ended, running

    def abandon(self, call: Call) -> None:
        """Nobody waits any more for a call that has a thread."""
        call.abandoned = True
        self.abandoned += 1

    def _see_to_a_thread(self) -> None:
        """For one more call. Raises RuntimeError where the machine has no more: nothing has changed then."""
        if self.threads == self.in_flight:
            _start_thread(self._work, ())
            self.threads += 1

    def _expect(self) -> None:
        """One more is to be handed back; before a thread may do so, as the watcher hears nothing until then."""
        if self.in_flight == 0:  # an active watcher keeps the hub alive: only while there is something to wait for
            self._watcher.start(self._hand_back)
        self.in_flight += 1

    def _work(self) -> None:
        calling.set(True)
        with tango.EnsureOmniThread():
            while True:
                todo = self._todo.get()
                if todo.run():
                    self._finished.append(todo)
                    self._watcher.send()
                del todo  # an idle thread must not keep the last image alive

    def _hand_back(self) -> None:
        while self._finished:
            todo = self._finished.popleft()
            self.in_flight -= 1
            self.abandoned -= todo.abandoned
            todo.finish()
        if self.in_flight == 0:
            self._watcher.stop()


def _drained(calls: deque[Call]) -> list[Call]:
    found = []
    with contextlib.suppress(IndexError):
        while True:
            found.append(calls.popleft())
    return found
