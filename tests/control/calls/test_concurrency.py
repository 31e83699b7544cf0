"""Long loops of one request among others."""

from __future__ import annotations

import time

import gevent

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
