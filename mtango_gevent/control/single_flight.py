"""Single flight: concurrent callers with the same key share one call.

A call has a leader for its beginning only. The leader decides how the call is made (a route, or here) and waits for it
until its own deadline. The result is stored, and the other callers are woken, where the function ends: in its thread.
So a leader that is late or killed does not end the call of the others, and a call may be one Tango call in a thread or
a function that makes several of them, such as a question to a redundant database. Sharing the future of a call in the
thread pool, without a leader, would do for the former only, and not for threads without a hub.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from mtango_gevent.control.calls import Bulkhead, NativeLock, Signal, add_call_time
from mtango_gevent.errors import ApiError, DevFailed, tango_failure

T = TypeVar("T")


class Route(NamedTuple):
    """How a shared call is made: as a call of that kind in `bulkhead`, or in the bulkhead that `through` returns.

    Other callers wait for it until the deadline of `bulkhead`.
    """

    bulkhead: Bulkhead
    kind: str
    through: Callable[[], Bulkhead] | None = None

    def call(self, function: Callable[[], T]) -> T:
        self.bulkhead.let_others_join()
        return self.bulkhead.call(self.kind, function, through=self.through() if self.through else None)

    def join(self, signal: Signal, next_signal: Callable[[], Signal | None] | None) -> None:
        self.bulkhead.join(self.kind, signal, next_signal)


class Flight(Generic[T]):
    """A call that is under way, with the signals of its end: one for greenlets and one for threads, if any wait.

    They are also set when its leader leaves it, for callers of the same route, who rely on its time. route: how it is
    made, if its leader leaves it at the deadline, and if it is the same for all callers.
    begun: whether its function has been called; ended: whether it has ended, or has been given up.
    span: that of the call, where it is traced.
    """

    __slots__ = ("begun", "ended", "failure", "result", "route", "signals", "span")

    def __init__(self, route: Route | None) -> None:
        self.route = route if route and not route.through and route.bulkhead.keeps_deadlines() else None
        self.signals: dict[type[Signal], Signal] = {}
        self.ended = False
        self.result: T | None = None
        self.failure: Exception | None = None
        self.begun = False
        self.span: Any = None


class SingleFlight:
    """At most one call at a time for each key, for greenlets and threads.

    make_signal: returns a new signal that its caller, greenlet or thread, can wait for.
    """

    def __init__(self, make_signal: Callable[[], Signal]) -> None:
        self._make_signal = make_signal
        self._flights: dict[Hashable, Flight[Any]] = {}  # those that can be joined
        self._under_way: set[Flight[Any]] = set()
        self._guard = NativeLock()  # held for dictionary work only

    def __bool__(self) -> bool:
        """Return whether any call is under way, those that their leaders have left included."""
        return bool(self._under_way)

    def do(self, key: Hashable, function: Callable[[], T], route: Route | None = None) -> T:
        """Return what `function` returns, or what a call for the same key returns that is under way.

        `function` must not return None. Without a route it is called here, and others wait for it without limit.
        A failure is raised to all callers that wait. When the leader is killed before `function` has been called, or
        while it calls it here, the next caller leads.
        """
        while True:
            result = self.join(key, route)
            if result is not None:
                return result
            with self._guard:
                if key in self._flights:  # a thread was faster
                    continue
                flight = self._flights[key] = Flight[T](route)
                self._under_way.add(flight)
            return self._lead(key, flight, function, route)

    def join(self, key: Hashable, route: Route | None = None) -> Any | None:
        """Return what the call for that key returns that is under way, or None if there is none or it is given up.

        A call that has ended in its thread can be joined until the hub wakes its leader, which a busy hub does late.
        """
        with self._guard:
            flight = self._flights.get(key)
            if flight is None:
                return None
            signal = None if flight.ended else self._signal(flight)
        if signal is not None:
            self._wait(flight, signal, route)
        return self._outcome(flight)

    def _outcome(self, flight: Flight[T]) -> T | None:
        """Return the result of a call that was joined, or raise its failure."""
        if flight.failure is not None:
            raise _copy(flight.failure)
        return flight.result

    def _wait(self, flight: Flight[Any], signal: Signal, route: Route | None) -> None:
        if route:
            # A timer for each caller would cost a tenth of a value read: the leader keeps the time, until it leaves.
            route.join(signal, (lambda: self._signal_without_leader(flight)) if route == flight.route else None)
        else:
            began = time.perf_counter()
            signal.wait(None)
            add_call_time(began)

    def _signal(self, flight: Flight[Any]) -> Signal:
        signal = self._make_signal()
        return flight.signals.setdefault(type(signal), signal)

    def _signal_without_leader(self, flight: Flight[Any]) -> Signal | None:
        with self._guard:
            return None if flight.ended else self._signal(flight)

    def _begin(self, flight: Flight[Any]) -> None:
        """Note that the function of a call is about to be called, here or in its thread."""
        flight.begun = True

    def _lead(self, key: Hashable, flight: Flight[T], function: Callable[[], T], route: Route | None) -> T:
        def run() -> T:
            with self._guard:
                if flight.ended:
                    raise tango_failure("MTANGO_DeviceBusy", "the request that made the call was given up")
                self._begin(flight)
            try:
                result = function()
            except BaseException as error:
                self._end(key, flight, failure=error)
                raise
            self._end(key, flight, result)
            return result

        try:
            return route.call(run) if route else run()
        except BaseException as error:
            with self._guard:
                if not flight.begun:  # a caller that joined now would find it ended without a result
                    flight.ended = True
                    del self._flights[key]
            if not flight.begun:
                self._end(key, flight, failure=error)
            elif flight.route:  # it has ended, or goes on for those that have joined
                self._wake(flight)
            raise
        finally:
            self._forget(key, flight)

    def _end(
        self, key: Hashable, flight: Flight[T], result: T | None = None, failure: BaseException | None = None
    ) -> None:
        """Wake the callers that wait. Without a result and without an Exception, as when killed, the next one leads."""
        flight.result = result
        flight.failure = _copy(failure) if isinstance(failure, Exception) else None
        if result is None and flight.failure is None:
            self._forget(key, flight)
        flight.ended = True
        self._wake(flight)

    def _wake(self, flight: Flight[Any]) -> None:
        with self._guard:
            if flight.ended:
                self._under_way.discard(flight)
            signals, flight.signals = flight.signals, {}
        for signal in signals.values():
            signal.set()

    def _forget(self, key: Hashable, flight: Flight[T]) -> None:
        """Let no more callers join a call."""
        with self._guard:
            if self._flights.get(key) is flight:
                del self._flights[key]


def _copy(failure: Exception) -> Exception:
    """Return the failure without its traceback, which grows at each raise and keeps alive all that its frames hold."""
    if isinstance(failure, ApiError):
        return failure.copy()
    return DevFailed(*failure.args) if isinstance(failure, DevFailed) else failure
