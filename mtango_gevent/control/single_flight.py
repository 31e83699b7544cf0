"""Single flight: concurrent callers with the same question share one answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from mtango_gevent.control.calls import NativeLock, Signal
from mtango_gevent.errors import DevFailed

T = TypeVar("T")


class _Flight(Generic[T]):
    """One question that is being asked, and the callers that wait for its answer."""

    __slots__ = ("answer", "failure", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Signal] = []
        self.answer: T | None = None
        self.failure: Exception | None = None


class SingleFlight:
    """At most one call at a time for each key; for greenlets and for threads.

    make_signal: returns a new signal that its caller, greenlet or thread, can wait for.
    """

    def __init__(self, make_signal: Callable[[], Signal]) -> None:
        self._make_signal = make_signal
        self._flights: dict[Hashable, _Flight[Any]] = {}
        self._guard = NativeLock()  # held for dictionary work only

    def do(self, key: Hashable, ask: Callable[[], T]) -> T:
        """Return what `ask` returns, or what a call for the same key returns that is under way.

        Raises what that call raises. `ask` must end by itself, and must not return None. When the calling greenlet is
        killed, the next caller asks again.
        """
        while True:
            with self._guard:
                flight = self._flights.get(key)
                if flight is None:
                    flight = self._flights[key] = _Flight[T]()
                    break
                signal = self._make_signal()
                flight.waiting.append(signal)
            signal.wait(None)
            failure = flight.failure
            if failure is not None:
                raise _copy(failure)
            if flight.answer is not None:
                return flight.answer
        return self._lead(key, flight, ask)

    def _lead(self, key: Hashable, flight: _Flight[T], ask: Callable[[], T]) -> T:
        try:
            flight.answer = ask()
            return flight.answer
        except Exception as failure:
            flight.failure = _copy(failure)
            raise
        finally:
            with self._guard:
                del self._flights[key]
            for signal in flight.waiting:
                signal.set()


def _copy(failure: Exception) -> Exception:
    """Return the failure without its traceback, which grows at each raise and keeps alive all that its frames hold."""
    return DevFailed(*failure.args) if isinstance(failure, DevFailed) else failure
