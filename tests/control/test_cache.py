"""The cache: single flight and generations, in plain threads and in greenlets."""

from __future__ import annotations

import contextlib
import gc
import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import pytest

from mtango_gevent.control import device_metadata
from mtango_gevent.control.cache import Cache
from mtango_gevent.control.calls import GreenletSignal, NativeLock, Signal, ThreadSignal, Waker
from mtango_gevent.control.single_flight import Route, SingleFlight
from mtango_gevent.errors import DevFailed, tango_failure
from mtango_gevent.metrics import CacheMetrics, own
from mtango_gevent.values import set_configuration
from tests.control.concurrency import NativeEvent, new_client, new_device, outcome_of, reasons
from tests.hub_thread import in_hub_thread
from tests.patched_process import in_patched_process
from tests.waiting import wait_until

DEVICE = "a/b/c"


class Question:
    """A question that is answered when the test says so. asked: how often it has been put."""

    def __init__(self, answer: Any) -> None:
        self.asked = 0
        self._answer = answer
        self._release = threading.Event()

    def __call__(self) -> Any:
        self.asked += 1
        assert self._release.wait(10)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def answer(self) -> None:
        self._release.set()


def metadata(lifetime: float = 60) -> Cache[Any]:
    return Cache[Any](99, lifetime, ThreadSignal)


def in_threads(count: int, call: Callable[[], Any]) -> tuple[list[threading.Thread], list[Any]]:
    """Run `call` in threads; the list fills with what it returns or raises."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        except DevFailed as failure:
            found.append(failure.args[0].reason)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, found


def ended(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_an_answer_is_asked_for_once_in_its_lifetime() -> None:
    metrics, asked = own(), []
    cache = Cache[Any](9, 60, ThreadSignal, metrics=CacheMetrics(metrics, "attributes", 9))
    for _ in range(3):
        assert cache.get(DEVICE, "key", lambda: asked.append(1) or "answer") == "answer"
    assert len(asked) == 1
    assert metrics.read()[0]["attributes"]["hits"] == 2
    cache.clear()
    cache.get(DEVICE, "key", lambda: asked.append(1) or "answer")
    assert len(asked) == 2


def test_an_answer_without_lifetime_is_asked_for_every_time() -> None:
    cache, asked = metadata(lifetime=0), []
    for _ in range(3):
        cache.get(DEVICE, "key", lambda: asked.append(1) or "answer")
    assert len(asked) == 3


def test_an_answer_that_is_too_old_for_the_caller_is_asked_for_again() -> None:
    cache = metadata()
    assert cache.get(DEVICE, "key", lambda: 1) == 1
    assert cache.get(DEVICE, "key", lambda: 2, max_age=60) == 1
    assert cache.get(DEVICE, "key", lambda: 2, max_age=0) == 2
    assert cache.get(DEVICE, "key", lambda: 3) == 2


def test_a_failure_is_not_kept() -> None:
    cache = metadata()
    with pytest.raises(ZeroDivisionError):
        cache.get(DEVICE, "key", lambda: 1 / 0)
    assert cache.get(DEVICE, "key", lambda: 7) == 7


def test_concurrent_callers_share_one_question() -> None:
    cache, question = metadata(), Question("answer")
    threads, found = in_threads(8, lambda: cache.get(DEVICE, "key", question))
    wait_until(lambda: question.asked == 1)
    assert cache.get(DEVICE, "another", lambda: 7) == 7  # and hold up no other question
    question.answer()
    ended(threads)
    assert (question.asked, found) == (1, ["answer"] * 8)


def test_concurrent_callers_share_a_failure() -> None:
    joined: list[Signal] = []

    def make_signal() -> Signal:
        joined.append(ThreadSignal())
        return joined[-1]

    cache, question = Cache[Any](99, 60, make_signal), Question(tango_failure("Broken", ""))
    threads, found = in_threads(8, lambda: cache.get(DEVICE, "key", question))
    wait_until(lambda: question.asked == 1 and len(joined) == 7)
    question.answer()
    ended(threads)
    assert (question.asked, found) == (1, ["Broken"] * 8)


def test_a_failure_keeps_nothing_alive_that_the_question_held() -> None:
    class Held:
        pass

    held: list[weakref.ref[Held]] = []

    def ask() -> str:
        holder = Held()
        held.append(weakref.ref(holder))
        raise tango_failure("API_CantConnectToDevice", "nothing there")

    gc.disable()
    try:
        with contextlib.suppress(DevFailed):
            metadata().get(DEVICE, "attributes", ask)
        assert held[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("drop", [lambda cache: cache.forget(DEVICE), lambda cache: cache.clear()], ids=["one", "all"])
def test_an_answer_to_a_question_from_before_a_change_is_not_kept(drop: Callable[[Cache[Any]], None]) -> None:
    """A slow read of a configuration must not overwrite what a later change has stored."""
    cache, slow = metadata(), Question("old")
    threads, found = in_threads(1, lambda: cache.get(DEVICE, "key", slow))
    wait_until(lambda: slow.asked == 1)
    drop(cache)
    assert cache.ask(DEVICE, "key", lambda: "new") == "new"
    slow.answer()
    ended(threads)
    assert found == ["old"]
    assert cache.get(DEVICE, "key", lambda: "newer") == "new"


def test_a_caller_after_a_change_does_not_join_a_question_from_before_it() -> None:
    cache, slow = metadata(), Question("old")
    threads, _ = in_threads(1, lambda: cache.get(DEVICE, "key", slow))
    wait_until(lambda: slow.asked == 1)
    cache.forget(DEVICE)
    assert cache.get(DEVICE, "key", lambda: "new") == "new"
    slow.answer()
    ended(threads)


def test_a_change_of_one_device_leaves_the_others() -> None:
    cache = metadata()
    cache.get("d/e/f", "key", lambda: 1)
    cache.forget(DEVICE)
    assert cache.get("d/e/f", "key", lambda: 2) == 1


@in_hub_thread
def test_when_the_asking_greenlet_is_killed_the_next_one_asks() -> None:
    waker = Waker(gevent.get_hub().loop, 8)
    cache, asked, release = Cache[Any](9, 60, lambda: GreenletSignal(waker)), [], gevent.event.Event()

    def ask() -> str:
        asked.append(gevent.getcurrent())
        release.wait(10)
        return "answer"

    first, second = (gevent.spawn(cache.get, DEVICE, "key", ask) for _ in range(2))
    gevent.sleep(0)
    assert asked == [first]
    first.kill()
    release.set()
    assert second.get(timeout=10) == "answer"
    assert asked == [first, second]


@pytest.mark.slow
@in_patched_process
def test_call_that_its_leader_has_left_is_under_way_until_it_ends_and_is_not_joined() -> None:
    client, release = new_client(call_deadline=0.2), NativeEvent()
    flights, route = SingleFlight(client.concurrency.signal), Route(client.bulkhead("a/b/c"), "other")
    assert reasons([outcome_of(flights.do, "key", lambda: release.wait(10), route)]) == ["MTANGO_CallTimedOut"]
    assert flights
    assert flights.join("key") is None
    release.set()
    wait_until(lambda: not flights)


@pytest.mark.slow
@pytest.mark.usefixtures("changing_server")
@in_patched_process
def test_event_of_tango_discards_the_labels_that_another_client_has_changed() -> None:
    device_metadata.LABELS_MAX_AGE = math.inf
    device = new_device("test/changing/1")
    client, item = device.host.client, device.read_value("mode").items

    def labels() -> list[str]:
        return list(device.enum_labels(item))

    def change_labels() -> None:
        proxy = client.plain_proxy(device.name)
        info = proxy.get_attribute_config_ex("mode")[0]
        set_configuration(info, ["enum_labels"], ["closed", "open"])
        proxy.set_attribute_config([info])

    assert labels() == ["off", "on"]
    wait_until(
        lambda: len(client.watch._watched) == 2 and all(each.unsubscribe for each in client.watch._watched.values())
    )
    client.partitions.whole.call("other", change_labels)
    wait_until(lambda: labels() == ["closed", "open"])


def test_the_guard_is_never_held_while_a_question_is_asked() -> None:
    cache = metadata()
    assert isinstance(cache._flights._guard, type(NativeLock()))
    assert cache.get(DEVICE, "outer", lambda: cache.get(DEVICE, "inner", lambda: 7)) == 7


@pytest.mark.slow
@in_patched_process
def test_caller_that_joins_a_call_of_another_route_waits_until_its_own_deadline_and_makes_none() -> None:
    """Each caller of a connection has a function of its own that finds the bulkhead."""
    client, release, made = new_client(call_deadline=0.5), NativeEvent(), []
    bulkhead = client.bulkhead("a/b/c")

    def connect() -> object:
        made.append(1)
        release.wait(10)
        return object()

    def get() -> object:
        return client.proxies.get("a/b/c", "proxy", connect, route=Route(bulkhead, "connection", lambda: bulkhead))

    first = gevent.spawn(outcome_of, get)
    gevent.sleep(0.1)
    others = [gevent.spawn(outcome_of, get) for _ in range(3)]
    gevent.joinall([first, *others])
    assert reasons([first.get(), *(other.get() for other in others)]) == ["MTANGO_CallTimedOut"] * 4
    assert len(made) == 1
    release.set()
