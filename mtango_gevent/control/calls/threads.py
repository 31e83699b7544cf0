"""Native threads that run blocking calls and hand their results back to the hub.

Few threads are faster than many, as all of them share the GIL. The pool keeps `FEW` of them, and has more only while
calls wait for a thread for longer than a read takes. The number of calls at a time is limited by the bulkheads.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import get_native_id
from typing import Any

import tango

from mtango_gevent.control.calls.call import Call, calling
from mtango_gevent.control.calls.concurrency import Concurrency
from mtango_gevent.control.calls.native import SimpleQueue, start_thread
from mtango_gevent.errors import tango_failure

# Threads that are kept once they are started.
FEW = 4

# Seconds that a call waits for one of the threads before it gets a new one.
GROW_AFTER = 0.005

# Threads that are started at a time, each in 0.1 ms in which the hub does nothing else.
_STARTED_AT_A_TIME = 8

# Seconds without a new thread after which surplus ones end.
_SHRINK_AFTER = 1.0


class ThreadPool:
    """The threads of one application, started when they are needed and anew after a fork.

    Calls are submitted in the hub. One watcher of the hub hands all finished calls back at each wake-up.
    make_call: makes the calls that bulkheads submit.
    """

    def __init__(self, concurrency: Concurrency, make_call: Callable[..., Call] = Call) -> None:
        self.concurrency, self.make_call = concurrency, make_call
        self.threads = self.in_flight = self.abandoned = 0
        self._ids: set[int] = set()
        concurrency.on_start(self._reset)

    def _reset(self) -> None:
        self.threads = self.in_flight = self.abandoned = 0
        self._queue: Any = SimpleQueue()
        self._ids = set()
        self._finished: deque[Call] = deque()
        self._delayed: deque[tuple[float, Call]] = deque()  # (since when, call) where no thread was idle
        self._grown = 0.0
        self._watcher = self.concurrency.loop.async_()
        self._timer = self.concurrency.loop.timer(GROW_AFTER, GROW_AFTER / 2)

    def submit(self, call: Call) -> None:
        """Run `call` in a thread. Raises RuntimeError where the machine has no thread, and changes nothing then."""
        if self.in_flight >= self.threads:
            if self.threads < FEW:
                self._start_thread()
            else:
                self._delay(call)
        if self.in_flight == 0:  # an active watcher keeps the hub alive; a send before its start is lost
            self._watcher.start(self._hand_back)
        self.in_flight += 1
        call.in_thread = True
        self._queue.put(call)

    def abandon(self, call: Call) -> None:
        """Note that no caller waits any more for a call that a thread has."""
        call.abandoned = True
        self.abandoned += 1

    def _start_thread(self) -> None:
        start_thread(self._work, (self._queue,))
        self.threads += 1
        self._grown = time.monotonic()

    def _work(self, queue: Any) -> None:
        calling.set(True)
        self._ids.add(get_native_id())
        with tango.EnsureOmniThread():
            while (call := queue.get()) is not None:
                if call.claim():
                    call.run()
                    self._finished.append(call)
                    self._watcher.send()
                del call  # an idle thread must not keep the last image alive
        self._ids.discard(get_native_id())

    def _hand_back(self) -> None:
        while self._finished:
            call = self._finished.popleft()
            self._leave(call)
            call.finish()
        if self.threads - self.in_flight > FEW and time.monotonic() - self._grown > _SHRINK_AFTER:
            self._shrink()

    def _leave(self, call: Call) -> None:
        self.in_flight -= 1
        self.abandoned -= call.abandoned
        if self.in_flight == 0:
            self._watcher.stop()

    def _shrink(self) -> None:
        """End the threads that are idle, except for a few."""
        while self.threads - self.in_flight > FEW:
            self._queue.put(None)
            self.threads -= 1

    def end_threads(self) -> set[int]:
        """End all threads, each after its call, and return their native ids: nothing is submitted any more."""
        ids = set(self._ids)
        for _ in ids:
            self._queue.put(None)
        return ids

    # --- more threads ---

    def _delay(self, call: Call) -> None:
        self._delayed.append((time.monotonic(), call))
        if not self._timer.active:
            self._timer.start(self._grow)

    def _grow(self) -> None:
        """Start a thread for each call that has waited for too long."""
        started, now = 0, time.monotonic()
        while self._delayed and started < _STARTED_AT_A_TIME:
            since, call = self._delayed[0]
            if not call.claimed:
                if now - since < GROW_AFTER:
                    break
                self._start_thread_for(call)
                started += 1
            self._delayed.popleft()
        if not self._delayed:
            self._timer.stop()

    def _start_thread_for(self, call: Call) -> None:
        try:
            self._start_thread()
        except RuntimeError as error:
            if call.claim():
                self._leave(call)
                call.withdraw(out_of_threads(error))


def out_of_threads(error: RuntimeError) -> tango.DevFailed:
    return tango_failure("MTANGO_PoolExhausted", f"the machine has no thread for the call: {error}")
