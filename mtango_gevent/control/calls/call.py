"""A blocking call on its way through a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from gevent.event import AsyncResult

from mtango_gevent.control.calls.health import Health
from mtango_gevent.control.calls.semaphore import Semaphore
from mtango_gevent.errors import DevFailed, has_timed_out, tango_failure

T = TypeVar("T")

# Whether this thread makes a call. Calls within a call are made directly, as parts of it.
calling: ContextVar[bool] = ContextVar("calling", default=False)


class CallTime:
    """The seconds that the calls of one request take, waiting included."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0


_call_time: ContextVar[CallTime | None] = ContextVar("call_time", default=None)


def measure_calls() -> CallTime:
    """Return a new sum, to which the calls of this greenlet or thread are added from here on."""
    call_time = CallTime()
    _call_time.set(call_time)
    return call_time


def add_call_time(began: float) -> None:
    """Add the time since `began`, by time.perf_counter(), to that of the current request."""
    call_time = _call_time.get()
    if call_time:
        call_time.seconds += time.perf_counter() - began


class Call:
    """A call of `function`, counted as `kind`; its outcome is told to the `health` of its target.

    began: when it had its places, by time.perf_counter(); 0.0 before. held: the semaphores that it has a place of.
    """

    __slots__ = (
        *("_arguments", "_counted", "_error", "_function", "_unclaimed", "_value"),
        *("abandoned", "began", "health", "held", "in_thread", "kind", "result"),
    )

    def __init__(self, health: Health, kind: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.health, self.kind = health, kind
        self._function, self._arguments = function, arguments
        self._value: Any = None
        self._error: BaseException | None = None
        self._counted = False
        self._unclaimed = [True]
        self.began = 0.0
        self.held: list[Semaphore] = []
        self.result = AsyncResult()
        self.in_thread = self.abandoned = False

    @property
    def claimed(self) -> bool:
        """Whether a thread has begun with it."""
        return not self._unclaimed

    def admit(self) -> None:
        """Raise DevFailed, MTANGO_CircuitOpen, and count it, where the target is known not to answer."""
        try:
            self.health.raise_if_open()
        except DevFailed:
            self.began = 0.0
            self.count("open")
            raise

    def claim(self) -> bool:
        """Return whether the caller is the only one to do so: a thread that runs it, or the hub that withdraws it."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False

    def run(self) -> None:
        """Make the call, in the current thread, and keep its outcome."""
        try:
            self._value = with_reasons(self._function, *self._arguments)
        except BaseException as error:  # whatever it is, it belongs to the caller
            self._error = error

    def wait(self, seconds: float | None) -> bool:
        """Return whether the call ends within that time; None waits without limit."""
        self.result.wait(seconds)
        return self.result.ready()

    def finish(self) -> None:
        """Hand the outcome over, in the hub."""
        self.release()
        self._tell_outcome()
        if self._error is None:
            self.result.set(self._value)
        else:
            self.result.set_exception(self._error)

    def withdraw(self, error: BaseException) -> None:
        """Refuse a call that no thread has begun with."""
        self.release()
        self.health.withdrawn()
        self.refuse()
        self.result.set_exception(error)

    def refuse(self) -> None:
        """Count the call as one that is not made."""
        self.began = 0.0
        self.health.counter.refused += 1
        self.count("refused")
        self.health.check_server()

    def conclude(self) -> Any:
        """Return the value of a call that its caller has made itself, or raise its error."""
        self._tell_outcome()
        if self._error is not None:
            raise self._error
        return self._value

    def release(self) -> None:
        """Give the places back."""
        self.in_thread = False
        for semaphore in self.held:
            semaphore.release()
        self.held.clear()

    def count(self, outcome: str) -> None:
        """Count the call, once: one that ends after its deadline has timed out."""
        if not self._counted:
            self._counted = True
            seconds = time.perf_counter() - self.began if self.began else None
            self.health.counter.count(self.kind, outcome, seconds, self.health.device)

    def _tell_outcome(self) -> None:
        self.health.ended(self.began, self._error, self.abandoned)
        self.count(_outcome(self._error))


def with_reasons(function: Callable[..., T], *arguments: Any) -> T:
    """Call `function`, and give a failure without reasons one: PyTango 10.0 raises RuntimeError for it."""
    try:
        return function(*arguments)
    except RuntimeError as error:
        if "unidentifiable C++ exception" not in str(error):
            raise
        raise tango_failure("API_DeviceFailure", "the device gave no reason") from None


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    return "timed_out" if isinstance(error, DevFailed) and has_timed_out(error) else "failed"
