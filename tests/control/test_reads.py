"""Reads that are shared and kept, in plain threads and in a patched process (see patched.py)."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import list_hosts
from mtango_gevent.control.reads import Reads
from mtango_gevent.errors import DevFailed
from tests.witness import Witness


@dataclasses.dataclass
class Item:
    """As much of a value that was read as who keeps it looks at."""

    value: Any
    has_failed: bool = False
    w_value: Any = None


@pytest.fixture
def get() -> Callable[..., Any]:
    """Read from `reads` what `read` gives, without asking Tango."""
    bulkhead = TangoClient(Config()).bulkhead("a/b/c")

    def get(reads: Reads, what: str, read: Callable[[], Any], url: str = "a/b/c", kept: bool = True) -> Any:
        return reads.get(url, what, bulkhead, object, lambda _: read(), kept).items  # pyright: ignore[reportArgumentType]

    return get


def connected(name: str, **settings: Any) -> Device:
    return Device(list_hosts(TangoClient(Config(**settings)))[0], name)


def test_reads_of_the_same_in_flight_are_one_call(patched: Callable[..., dict]) -> None:
    found = patched("shared")
    assert found["made"] == ["one", "other", "broken", "one"]
    assert found["values"] == ["one", "other"]
    assert found["readings"] == 2
    assert found["failed"] == ["Test_Broken"] * 5
    assert found["failures"] == 5
    assert (found["info"]["in_flight"], found["info"]["abandoned"]) == (0, 0)


def test_who_comes_after_a_change_has_begun_or_ended_does_not_join_a_read_from_before(
    patched: Callable[..., dict],
) -> None:
    assert patched("changed")["values"] == ["before", "before", "meanwhile", "meanwhile", "after", "after"]


def test_each_waits_until_its_own_deadline_and_takes_the_read_from_nobody(patched: Callable[..., dict]) -> None:
    found = patched("joined")
    assert found["late"] == ["MTANGO_CallTimedOut"]
    assert found["value"] is True
    info = found["info"]
    assert (info["in_flight"], info["abandoned"], info["timed_out"]) == (0, 0, 1)


def test_a_value_is_kept_from_the_beginning_of_its_read(get: Callable[..., Any]) -> None:
    reads = Reads(0.3, 1 << 20)
    assert get(reads, "x", lambda: Item(1)).value == 1
    assert get(reads, "x", lambda: Item(2)).value == 1
    assert get(reads, "x", lambda: Item(2), kept=False).value == 2
    slow = threading.Event()
    assert get(reads, "y", lambda: slow.wait(0.4) or Item(1)).value == 1
    assert get(reads, "y", lambda: Item(2)).value == 2


def test_without_an_age_and_after_a_failure_nothing_is_kept(get: Callable[..., Any]) -> None:
    assert [get(Reads(0, 1 << 20), "x", lambda n=n: Item(n)).value for n in range(3)] == [0, 1, 2]
    reads = Reads(60, 1 << 20)
    with pytest.raises(ZeroDivisionError):
        get(reads, "x", lambda: 1 / 0)
    assert get(reads, "x", lambda: [Item(1), Item(2, has_failed=True)])[0].value == 1
    assert get(reads, "x", lambda: [Item(3), Item(4)])[0].value == 3
    assert get(reads, "x", lambda: [Item(5), Item(6)])[0].value == 3


def test_a_change_ends_what_was_kept_of_its_device_when_it_begins_and_when_it_ends(get: Callable[..., Any]) -> None:
    reads = Reads(60, 1 << 20)
    get(reads, "x", lambda: Item(1))
    get(reads, "x", lambda: Item(1), url="d/e/f")
    with reads.changing("a/b/c"):
        assert get(reads, "x", lambda: Item(2)).value == 2
        assert get(reads, "x", lambda: Item(3)).value == 2
    assert get(reads, "x", lambda: Item(4)).value == 4
    assert get(reads, "x", lambda: Item(5), url="d/e/f").value == 1


def test_a_read_that_began_before_a_change_is_not_kept_after_it(get: Callable[..., Any]) -> None:
    reads = Reads(60, 1 << 20)

    def read() -> Item:
        with reads.changing("a/b/c"):
            return Item(1)

    assert get(reads, "x", read).value == 1
    assert get(reads, "x", lambda: Item(2)).value == 2


def test_kept_values_take_no_more_memory_than_they_may_and_those_too_large_none(get: Callable[..., Any]) -> None:
    reads = Reads(60, 100_000)
    get(reads, "large", lambda: Item("x" * 100_000))
    for number in range(1000):
        get(reads, f"x{number}", lambda: Item("x" * 1000))
    assert reads._kept.currsize <= 100_000
    assert 20 <= len(reads._kept) <= 100
    assert get(reads, "x999", lambda: Item("new")).value != "new"
    assert get(reads, "x0", lambda: Item("new")).value == "new"
    assert get(reads, "large", lambda: Item("new")).value == "new"


def test_however_many_devices_are_changed_few_are_remembered_and_none_has_its_old_value_back(
    get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtango_gevent.control.generations.MOST_DEVICES", 10)
    reads = Reads(60, 1 << 20)
    for number in range(100):
        url = f"a/b/{number}"
        assert get(reads, "x", lambda: Item("old"), url=url).value == "old"
        with reads.changing(url):
            pass
        assert len(reads._generations._devices) <= 10
    assert {get(reads, "x", lambda: Item("new"), url=f"a/b/{number}").value for number in range(100)} == {"new"}
    assert not reads._attempts


def test_cleaning_forgets_what_was_kept(get: Callable[..., Any]) -> None:
    reads = Reads(60, 1 << 20)
    get(reads, "x", lambda: Item(1))
    reads.clear()
    assert get(reads, "x", lambda: Item(2)).value == 2


def test_whatever_changes_the_device_is_seen_by_who_reads_after_it(sender: str, witness: Witness) -> None:
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
        reads = witness.reads(sender, "reads")
        device.read_value("silent")
        assert witness.reads(sender, "reads") == reads
        change()
        device.read_value("silent")
        assert witness.reads(sender, "reads") == (1 if change is change_by_command else reads + 1)


def test_a_change_that_fails_counts_too(sender: str, witness: Witness) -> None:
    device = connected(sender, value_max_age=60.0)
    device.read_value("silent")
    with pytest.raises(DevFailed):
        device.run_command(device.describe_command("Send"), [1.0])
    reads = witness.reads(sender, "reads")
    device.read_value("silent")
    assert witness.reads(sender, "reads") == reads + 1


def test_what_is_read_back_and_what_events_read_is_never_a_kept_value(sender: str, witness: Witness) -> None:
    device = connected(sender, value_max_age=60.0)
    device.read_value("silent")
    reads = witness.reads(sender, "reads")
    device.read_attribute("silent")
    device.read_attribute("silent", past_polling=True)
    device.read_back(["silent"])
    device.read_value("silent", kept=False)
    assert witness.reads(sender, "reads") == reads + 4
