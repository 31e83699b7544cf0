"""The time that the Tango calls of one request take."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class CallTime:
    """A sum of seconds, waiting included."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0


_current: ContextVar[CallTime | None] = ContextVar("call_time", default=None)


def measure_calls() -> CallTime:
    """Return a new sum, to which the calls of this greenlet or thread are added from here on."""
    call_time = CallTime()
    _current.set(call_time)
    return call_time


def timed(function: F) -> F:
    """Add the time that `function` takes to the current sum. A context manager would cost more than all else here."""

    @functools.wraps(function)
    def run_timed(*arguments: Any, **keywords: Any) -> Any:
        call_time, began = _current.get(), time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            if call_time:
                call_time.seconds += time.perf_counter() - began

    return cast(F, run_timed)
