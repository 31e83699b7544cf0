"""How slots are given, and to whom."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gevent
import pytest

from mtango_gevent.control.calls.semaphore import Semaphore


def with_a_hub(test: Callable[..., None]) -> Callable[..., None]:
    """In a thread of its own: once this one had a hub, the application would work with greenlets in all other tests."""

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(test, **arguments).result()

    return run


@with_a_hub
def test_waiting_callers_get_places_in_their_order() -> None:
    slots, got = Semaphore(2), []

    def take(number: int) -> None:
        assert slots.acquire(None)
        got.append(number)

    waiting = [gevent.spawn(take, number) for number in range(4)]
    gevent.sleep(0)
    assert (got, slots.free, slots.waiting) == ([0, 1], 0, 2)
    slots.release()
    slots.release()
    gevent.joinall(waiting)
    assert (got, slots.free, slots.waiting) == ([0, 1, 2, 3], 0, 0)
    slots.release()
    assert slots.free == 1


@with_a_hub
def test_acquire_fails_after_its_timeout() -> None:
    slots = Semaphore(1)
    assert slots.acquire(0)
    assert not slots.acquire(0)
    assert not slots.acquire(0.01)
    assert slots.waiting == 0
    slots.release()
    assert slots.acquire(0)


@with_a_hub
def test_acquire_fails_when_the_queue_is_full() -> None:
    slots = Semaphore(1, queue=2)
    slots.acquire(0)
    waiting = [gevent.spawn(slots.acquire, 10) for _ in range(2)]
    gevent.sleep(0)
    assert not slots.acquire(10)
    slots.release()
    slots.release()
    gevent.joinall(waiting)
    assert [each.value for each in waiting] == [True, True]


@pytest.mark.parametrize("had_its_turn", [False, True])
@with_a_hub
def test_killed_waiting_greenlet_keeps_no_place(had_its_turn: bool) -> None:
    slots = Semaphore(1)
    slots.acquire(0)
    waiting = gevent.spawn(slots.acquire, 10)
    gevent.sleep(0)
    waiting.kill(block=not had_its_turn)
    slots.release()
    waiting.join()
    assert (slots.free, slots.waiting) == (1, 0)


@with_a_hub
def test_children_leave_places_in_the_parent_for_others() -> None:
    wide = Semaphore(40)
    taken = []
    for _ in range(5):
        narrow = Semaphore(16, parent=wide)
        count = 0
        while narrow.acquire(0) and wide.acquire(0):
            count += 1
        taken.append(count)
    assert taken == [13, 9, 6, 4, 3]
    assert wide.free == 5


@with_a_hub
def test_a_turn_that_comes_as_the_time_ends_is_taken() -> None:
    slots = Semaphore(1)
    for _ in range(200):
        slots.acquire(0)
        waiting = gevent.spawn(slots.acquire, 0.001)
        gevent.get_hub().loop.timer(0.001).start(slots.release)
        if waiting.get():
            slots.release()
        else:
            gevent.sleep(0.002)
    assert (slots.free, slots.waiting) == (1, 0)


@with_a_hub
def test_waiting_caller_gets_the_place_that_others_leave_in_the_parent() -> None:
    wide = Semaphore(14)
    one, other = Semaphore(8, parent=wide), Semaphore(8, parent=wide)
    for slots, number in ((one, 3), (other, 4), (wide, 7)):
        for _ in range(number):
            assert slots.acquire(0)
    waiting = gevent.spawn(one.acquire, 10)  # three are taken, half of those that are free
    gevent.sleep(0)
    assert one.waiting == 1
    wide.release()
    waiting.join(1)
    assert waiting.value is True
    assert (one.taken, one.waiting, wide._children) == (4, 0, {})
