"""Reads that are shared and kept, under threads and under greenlets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from mtango_gevent.config import Config
from mtango_gevent.control.calls import ThreadSignal
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import list_hosts
from mtango_gevent.control.reads import Reading, Reads
from mtango_gevent.errors import DevFailed, tango_failure
from tests.control.concurrency import Item, NativeEvent, native_sleep, new_client, outcome_of, outcomes, reasons
from tests.patched_process import in_patched_process
from tests.pytango_process import PyTango
from tests.waiting import wait_until


@pytest.fixture
def get() -> Callable[..., Any]:
    """Read from `reads` what `read` gives, without asking Tango."""
    bulkhead = TangoClient(Config()).bulkhead("a/b/c")

    def get(reads: Reads, what: str, read: Callable[[], Any], url: str = "a/b/c", kept: bool = True) -> Any:
        return reads.get(url, what, bulkhead, object, lambda _: read(), kept).items  # pyright: ignore[reportArgumentType]

    return get


def connected(name: str, **settings: Any) -> Device:
    return Device(list_hosts(TangoClient(Config(**settings)))[0], name)


@pytest.mark.slow
@in_patched_process
def test_reads_of_the_same_value_in_flight_are_one_call() -> None:
    client = new_client(device_limit=1)
    bulkhead, made = client.bulkhead("a/b/c"), []

    def read(name: str) -> Item:
        made.append(name)
        native_sleep(0.3)
        if name == "broken":
            raise tango_failure("Test_Broken", "told to")
        return Item(name)

    def get(name: str) -> Reading:
        return client.reads.get("a/b/c", name, bulkhead, object, lambda _: read(name))

    greenlets = [gevent.spawn(get, name) for name in ["one", "other", *["one"] * 9]]
    assert {greenlet.get().items.value for greenlet in greenlets} == {"one", "other"}
    assert len({id(greenlet.get()) for greenlet in greenlets}) == 2
    broken = outcomes(get, 5, "broken")
    assert reasons(broken) == ["Test_Broken"] * 5
    assert len({id(outcome.failure) for outcome in broken}) == 5  # a copy for each caller
    get("one")
    assert made == ["one", "other", "broken", "one"]
    wait_until(lambda: not client.pool_info()["in_flight"])
    assert client.pool_info()["abandoned"] == 0


@pytest.mark.slow
@in_patched_process
def test_reader_does_not_join_a_read_from_before_a_change_or_from_before_its_end() -> None:
    client = new_client()
    bulkhead, release = client.bulkhead("a/b/c"), NativeEvent()

    def get(when: str) -> str:
        return client.reads.get("a/b/c", "x", bulkhead, object, lambda _: Item(release.wait(10) and when)).items.value

    def begin_two(when: str) -> list[gevent.Greenlet]:
        readers = [gevent.spawn(get, when), gevent.spawn(get, f"{when}, joining")]
        gevent.sleep(0.01)
        return readers

    readers = begin_two("before")
    with client.reads.changing("a/b/c"):
        readers += begin_two("meanwhile")
    readers += begin_two("after")
    release.set()
    assert [reader.get() for reader in readers] == ["before", "before", "meanwhile", "meanwhile", "after", "after"]


@pytest.mark.slow
@in_patched_process
def test_each_reader_waits_until_its_own_deadline_and_leaves_the_read_to_the_others() -> None:
    client = new_client(call_deadline=0.4, device_limit=1)
    bulkhead, release = client.bulkhead("a/b/c"), NativeEvent()

    def get() -> Reading:
        return client.reads.get("a/b/c", "slow", bulkhead, object, lambda _: Item(release.wait(10)))

    first = gevent.spawn(outcome_of, get)
    gevent.sleep(0.2)
    second, third = gevent.spawn(outcome_of, get), gevent.spawn(get)
    gevent.sleep(0.01)
    third.kill()
    assert reasons([first.get()]) == ["MTANGO_CallTimedOut"]
    release.set()
    assert second.get().value.items.value is True
    wait_until(lambda: not client.pool_info()["in_flight"])  # the thread wakes its readers before it is handed back
    info = client.pool_info()
    assert (info["in_flight"], info["abandoned"], info["timed_out"]) == (0, 0, 1)


@pytest.mark.slow
def test_a_value_is_kept_from_the_beginning_of_its_read(get: Callable[..., Any]) -> None:
    reads = Reads(0.3, 1 << 20, ThreadSignal)
    assert get(reads, "x", lambda: Item(1)).value == 1
    assert get(reads, "x", lambda: Item(2)).value == 1
    assert get(reads, "x", lambda: Item(2), kept=False).value == 2
    slow = threading.Event()
    assert get(reads, "y", lambda: slow.wait(0.4) or Item(1)).value == 1
    assert get(reads, "y", lambda: Item(2)).value == 2


def test_without_an_age_and_after_a_failure_nothing_is_kept(get: Callable[..., Any]) -> None:
    assert [get(Reads(0, 1 << 20, ThreadSignal), "x", lambda n=n: Item(n)).value for n in range(3)] == [0, 1, 2]
    reads = Reads(60, 1 << 20, ThreadSignal)
    with pytest.raises(ZeroDivisionError):
        get(reads, "x", lambda: 1 / 0)
    assert get(reads, "x", lambda: [Item(1), Item(2, has_failed=True)])[0].value == 1
    assert get(reads, "x", lambda: [Item(3), Item(4)])[0].value == 3
    assert get(reads, "x", lambda: [Item(5), Item(6)])[0].value == 3


def test_a_change_ends_what_was_kept_of_its_device_when_it_begins_and_when_it_ends(get: Callable[..., Any]) -> None:
    reads = Reads(60, 1 << 20, ThreadSignal)
    get(reads, "x", lambda: Item(1))
    get(reads, "x", lambda: Item(1), url="d/e/f")
    with reads.changing("a/b/c"):
        assert get(reads, "x", lambda: Item(2)).value == 2
        assert get(reads, "x", lambda: Item(3)).value == 2
    assert get(reads, "x", lambda: Item(4)).value == 4
    assert get(reads, "x", lambda: Item(5), url="d/e/f").value == 1


def test_a_read_that_began_before_a_change_is_not_kept_after_it(get: Callable[..., Any]) -> None:
    reads = Reads(60, 1 << 20, ThreadSignal)

    def read() -> Item:
        with reads.changing("a/b/c"):
            return Item(1)

    assert get(reads, "x", read).value == 1
    assert get(reads, "x", lambda: Item(2)).value == 2


def test_kept_values_take_no_more_memory_than_they_may_and_those_too_large_none(get: Callable[..., Any]) -> None:
    reads = Reads(60, 100_000, ThreadSignal)
    get(reads, "large", lambda: Item("x" * 100_000))
    for number in range(1000):
        get(reads, f"x{number}", lambda: Item("x" * 1000))
    assert reads._cache._entries.currsize <= 100_000
    assert 20 <= len(reads._cache._entries) <= 100
    assert get(reads, "x999", lambda: Item("new")).value != "new"
    assert get(reads, "x0", lambda: Item("new")).value == "new"
    assert get(reads, "large", lambda: Item("new")).value == "new"


def test_however_many_devices_are_changed_few_are_remembered_and_none_has_its_old_value_back(
    get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtango_gevent.control.cache.MOST_DEVICES", 10)
    reads = Reads(60, 1 << 20, ThreadSignal)
    for number in range(100):
        url = f"a/b/{number}"
        assert get(reads, "x", lambda: Item("old"), url=url).value == "old"
        with reads.changing(url):
            pass
        assert len(reads._cache._generations) <= 10
    assert {get(reads, "x", lambda: Item("new"), url=f"a/b/{number}").value for number in range(100)} == {"new"}
    assert not reads._cache._flights


def test_cleaning_forgets_what_was_kept(get: Callable[..., Any]) -> None:
    reads = Reads(60, 1 << 20, ThreadSignal)
    get(reads, "x", lambda: Item(1))
    reads.clear()
    assert get(reads, "x", lambda: Item(2)).value == 2


def test_whatever_changes_the_device_is_seen_by_who_reads_after_it(sender: str, pytango: PyTango) -> None:
    device = connected(sender, value_max_age=60.0)

    def change_by_command() -> None:
        device.run_command(device.describe_command("Init"), None)

    def change_configuration() -> None:
        device.configure_attribute("silent", lambda info: setattr(info, "description", "told"))

    changes = [
        lambda: device.write_attribute(device.describe_attribute("silent"), 2.0, ""),
        change_by_command,
        change_configuration,
    ]
    for change in changes:
        device.read_value("silent")
        reads = pytango.read(sender, "reads")
        device.read_value("silent")
        assert pytango.read(sender, "reads") == reads
        change()
        device.read_value("silent")
        assert pytango.read(sender, "reads") == (1 if change is change_by_command else reads + 1)


def test_a_change_that_fails_counts_too(sender: str, pytango: PyTango) -> None:
    device = connected(sender, value_max_age=60.0)
    device.read_value("silent")
    with pytest.raises(DevFailed):
        device.run_command(device.describe_command("Send"), [1.0])
    reads = pytango.read(sender, "reads")
    device.read_value("silent")
    assert pytango.read(sender, "reads") == reads + 1


def test_what_is_read_back_and_what_events_read_is_never_a_kept_value(sender: str, pytango: PyTango) -> None:
    device = connected(sender, value_max_age=60.0)
    device.read_value("silent")
    reads = pytango.read(sender, "reads")
    device.read_attribute("silent")
    device.read_attribute("silent", past_polling=True)
    device.read_back(["silent"])
    device.read_value("silent", kept=False)
    assert pytango.read(sender, "reads") == reads + 4


def test_thread_that_joins_a_read_of_another_thread_waits_until_its_own_deadline() -> None:
    client, release = new_client(call_deadline=0.3), threading.Event()
    bulkhead, began = client.bulkhead("a/b/c"), threading.Event()

    def read(_: object) -> Item:
        began.set()
        release.wait(30)
        return Item(7)

    def get() -> Reading:
        return client.reads.get("a/b/c", "slow", bulkhead, lambda: None, read)

    leader = threading.Thread(target=get)
    leader.start()
    assert began.wait(10)
    try:
        with pytest.raises(DevFailed, match="MTANGO_CallTimedOut"):
            get()
    finally:
        release.set()
        leader.join()
