"""Long loops of one request among others."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable

import gevent
import pytest

from mtango_gevent.control.calls import Concurrency
from tests.patched_process import in_patched_process


@in_patched_process
def test_timers_go_on_during_the_turns_of_a_long_loop() -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            gevent.sleep(0.001)
            ticks += 1

    ticking = gevent.spawn(tick)
    gevent.sleep(0.01)
    before = ticks
    for _ in Concurrency().in_turns(range(1000)):
        end = time.perf_counter() + 0.0001
        while time.perf_counter() < end:
            pass
    ticking.kill()
    assert ticks - before >= 10  # of about 50; without turns there are none, with sleep(0) one


@in_patched_process
def test_greenlet_that_is_spawned_later_waits_without_holding_up_others_and_can_be_cancelled() -> None:
    concurrency, ran = Concurrency(), list[str]()
    assert concurrency.in_hub()

    def run(name: str) -> None:
        gevent.sleep(0.01)  # which no callback of the hub may do
        ran.append(name)

    cancel = [concurrency.spawn_later(0.01, run, name) for name in ("first", "cancelled", "last")]
    cancel[1]()
    assert ran == []
    gevent.sleep(0.2)
    assert ran == ["first", "last"]
    cancel[0]()  # too late, which does no harm


@in_patched_process
def test_calls_at_once_keep_their_order_and_their_limit_in_greenlets() -> None:
    _check_calls_at_once(gevent.sleep)


def test_calls_at_once_keep_their_order_and_their_limit_in_threads() -> None:
    _check_calls_at_once(time.sleep)


def _check_calls_at_once(sleep: Callable[[float], None]) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="not copied")
    variable.set("copied")
    running = most = 0

    def call(number: int) -> tuple[int, str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        sleep(0.02 if number % 3 else 0.04)
        running -= 1
        if number == 99:
            raise ValueError("the last one")
        return number, variable.get()

    concurrency = Concurrency()
    assert concurrency.at_once(call, range(20), 5) == [(number, "copied") for number in range(20)]
    assert most == 5
    assert concurrency.at_once(call, [7], 5) == [(7, "copied")]
    assert concurrency.at_once(call, [], 5) == []
    with pytest.raises(ValueError, match="the last one"):
        concurrency.at_once(call, range(95, 100), 2)
    assert running == 0
