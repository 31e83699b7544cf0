"""Bulkheads: limits on calls, so that one device, server or kind of work cannot use up the threads of the others.

This is the way of every Tango call: circuit breakers, places in the bulkheads of the device, its server and its
partition of the pool, a thread, and back to the caller.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import gevent
import tango

from mtango_gevent.control.calls.call import Call, add_call_time, calling
from mtango_gevent.control.calls.health import Health
from mtango_gevent.control.calls.semaphore import Semaphore
from mtango_gevent.control.calls.signals import Signal
from mtango_gevent.control.calls.threads import ThreadPool, out_of_threads
from mtango_gevent.errors import DevFailed, tango_failure

T = TypeVar("T")

# Seconds between two checks whether the server of a call is known not to answer.
_SERVER_CHECK_PERIOD = 0.1


class Times(NamedTuple):
    """Limits in seconds, None for none: `queue_timeout` of the wait for places, `deadline` of the call after it."""

    queue_timeout: float | None
    deadline: float | None


UNLIMITED = Times(None, None)


class Bulkhead:
    """Admits `limit` calls at a time; `queue` may wait, any number if None.

    health: that of the target of its calls. parent: the wider bulkhead in which its calls need a place too.
    shares: whether it leaves room in the parent for others, see Semaphore. refusal: the reason when there is no place.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        pool: ThreadPool,
        health: Health,
        times: Times,
        parent: Bulkhead | None = None,
        shares: bool = False,
        queue: int | None = None,
        refusal: str = "MTANGO_DeviceBusy",
    ) -> None:
        self.name = name
        self.health = health
        self.times = times
        self.parent = parent
        self.refusal = refusal
        self.semaphore = Semaphore(limit, queue, parent.semaphore if parent and shares else None)
        self._pool = pool

    def call(self, kind: str, function: Callable[..., T], *arguments: Any, through: Bulkhead | None = None) -> T:
        """Return what `function` returns, called in a thread while other greenlets run.

        Where there is no hub, and within another call, it is called directly. kind: the label in metrics, such as
        read, write, command, metadata. through: the bulkhead whose places and times are used instead.
        Raises what `function` raises, and DevFailed: MTANGO_CircuitOpen, MTANGO_DeviceBusy, MTANGO_PoolExhausted,
        MTANGO_CallTimedOut.
        """
        if calling.get():
            return function(*arguments)
        call, bulkhead = self.prepare(kind, function, *arguments), through or self
        if not self._pool.concurrency.in_hub():
            return _call_here(call)
        bulkhead.start(call)
        return bulkhead.wait(call)

    def prepare(self, kind: str, function: Callable[..., Any], *arguments: Any) -> Call:
        """Return a call to the target of this bulkhead, to be started in this or another one."""
        return self._pool.make_call(self.health, kind, function, arguments)

    def start(self, call: Call) -> None:
        """Start a call in a thread. Raises DevFailed where it is not to be made, or has no place in time."""
        began = time.perf_counter()
        try:
            self._start(call)
        finally:
            add_call_time(began)

    def wait(self, call: Call) -> Any:
        """Return the value of a call. Raises its error, and DevFailed at the deadline: its thread then goes on."""
        failure = self._wait_for_end(call, call.health, time.perf_counter())
        if failure is None or call.result.ready():  # it may have ended just after its deadline
            return call.result.get()
        call.health.counter.timed_out += 1
        call.count("timed_out")
        if call.in_thread and not call.abandoned:
            self._pool.abandon(call)
            call.health.on_timeout(call.began, failure)
        raise failure

    def keeps_deadlines(self) -> bool:
        """Return whether a caller leaves its call at the deadline: a greenlet does, a thread cannot."""
        return self._pool.concurrency.in_hub()

    def let_others_join(self) -> None:
        """Let the requests that have arrived run first, so that those for the same share one call.

        Measured with 32 clients of one attribute over a LAN: half as many calls, a fifth less CPU for each request.
        """
        if self._pool.concurrency.in_hub():
            gevent.sleep(0)

    def join(self, kind: str, signal: Signal, next_signal: Callable[[], Signal | None] | None = None) -> None:
        """Wait for another caller's call, whose end is told by `signal`, as for an own one.

        next_signal: given where that caller keeps the time, and sets `signal` too when it gives up: returns the signal
        to wait for then, None where the call has ended. The wait of that caller for its place counts as its own.
        Raises DevFailed: MTANGO_CircuitOpen, MTANGO_CallTimedOut.
        """
        try:
            self.health.raise_if_open()
        except DevFailed:
            self.health.counter.count(kind, "open", None, self.health.device)
            raise
        began, waiting = time.perf_counter(), signal
        if next_signal:
            signal.wait(None)
            waiting = next_signal()
            if waiting is None:
                add_call_time(began)
                return
        failure = self._wait_for_end(waiting, self.health, began)
        if failure is not None:
            self.health.counter.timed_out += 1
            self.health.check_server()
            raise failure

    def _start(self, call: Call) -> None:
        call.admit()
        try:
            if self._acquire_places(call):
                call.admit()  # again, since a circuit may have opened meanwhile
            self._pool.submit(call)
        except BaseException as error:
            call.release()
            if isinstance(error, RuntimeError):
                call.refuse()
                raise out_of_threads(error) from None
            raise
        call.health.started()

    def _acquire_places(self, call: Call) -> bool:
        """Acquire a place in this bulkhead, its parent and so on; return whether that took a while.

        In this order a call that waits for its device holds no place that other devices need.
        """
        began, waited, bulkhead = time.perf_counter(), False, self
        while bulkhead is not None:
            if not bulkhead.semaphore.try_acquire():
                waited = True
                self._wait_for_place(call, bulkhead, began)
            call.held.append(bulkhead.semaphore)
            bulkhead = bulkhead.parent
        call.began = time.perf_counter()
        call.health.counter.waited(call.began - began)
        return waited

    def _wait_for_place(self, call: Call, bulkhead: Bulkhead, began: float) -> None:
        timeout = self.times.queue_timeout
        left = None if timeout is None else max(0.0, timeout - (time.perf_counter() - began))
        if bulkhead.semaphore.acquire(left):
            return
        waited = time.perf_counter() - began
        call.health.counter.waited(waited)
        call.refuse()
        limit = bulkhead.semaphore.limit
        raise tango_failure(bulkhead.refusal, f"none of {limit} calls to {bulkhead.name} ended within {waited:.1f} s")

    def _wait_for_end(self, end: Call | Signal, health: Health, began: float) -> tango.DevFailed | None:
        """Wait until the deadline, or until the server is known not to answer; return why it was not worth waiting."""
        deadline = self.times.deadline
        left = math.inf if deadline is None else deadline - (time.perf_counter() - began)
        try:
            why = _wait_until(end, health, left)
        finally:
            add_call_time(began)
        if why is None:
            return None
        return tango_failure("MTANGO_CallTimedOut", f"no answer from {self.name}{why or f' within {deadline:g} s'}")


def _call_here(call: Call) -> Any:
    """Make `call` in this thread, which it blocks. Raises DevFailed where none is to be made now."""
    call.admit()
    call.began = time.perf_counter()
    call.health.started()
    token = calling.set(True)
    try:
        call.run()
    finally:
        calling.reset(token)
        add_call_time(call.began)
    return call.conclude()


def _wait_until(end: Call | Signal, health: Health, seconds: float) -> str | None:
    """Wait so long for the end, in steps if the target's health says so.

    Return None at the end, an empty text after that time, or what is known of the server.
    """
    until = time.monotonic() + seconds
    left = min(seconds, health.patience)
    while not end.wait(None if left == math.inf else left):
        left = min(until - time.monotonic(), _SERVER_CHECK_PERIOD)
        if left <= 0:
            return ""
        health.check_server()
        try:
            health.raise_if_open()
        except DevFailed as silence:
            return f": {silence.args[0].desc}"
    return None
