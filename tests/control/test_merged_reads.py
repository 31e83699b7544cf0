"""Different attributes of one device in one Tango call, under greenlets."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest
import tango

from mtango_gevent.config import SETTINGS
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.merged_reads import LARGE, MOST_IN_A_CALL
from mtango_gevent.control.records import value_size
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.control.concurrency import Outcome, new_device, outcome_of, reasons
from tests.metric_values import metric_value
from tests.patched_process import in_patched_process
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ONE_BY_ONE, DOOMED = "test/one_by_one/1", "test/doomed/1"


@pytest.fixture(scope="session")
def one_by_one(tango_system: EmbeddedTango) -> str:
    command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), "one_by_one"]
    tango_system.add_server(command, "Slow/one_by_one", {ONE_BY_ONE: "OneByOne"})
    return ONE_BY_ONE


@pytest.fixture
def doomed(tango_system: EmbeddedTango) -> Iterator[int]:
    """The process of a server that a test may kill."""
    command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), "doomed"]
    server = tango_system.add_server(command, "Slow/doomed", {DOOMED: "Slow"})
    yield server.pid
    server.kill()


def merging(name: str, **settings: Any) -> Device:
    """A connected device of a client that merges."""
    device = new_device(name, merge_reads=True, **settings)
    device.read_value("State")
    return device


def read(device: Device, name: str) -> Any:
    return device.read_value(name).items.value


def together(device: Device, names: Sequence[str]) -> list[Outcome]:
    """Read attributes in one turn of the hub."""
    greenlets = [gevent.spawn(outcome_of, read, device, name) for name in names]
    return [greenlet.get() for greenlet in greenlets]


def values(found: Sequence[Outcome]) -> list[Any]:
    return [outcome.value for outcome in found]


def calls(client: TangoClient, **labels: str) -> float:
    return metric_value(client.metrics, "mtango_tango_calls_total", kind="read", **labels)


def calls_of(device: Device, function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return how many reads a function makes, and its result."""
    client = device.host.client
    before = calls(client)
    result = function(*arguments)
    return calls(client) - before, result


def texts(failure: tango.DevFailed) -> list[tuple[str, str, str]]:
    """What the stack of a failure says, without the functions of libtango that say it."""
    return [(error.reason, error.desc, str(error.severity)) for error in failure.args]


def test_sentence_of_the_setting_has_the_limit() -> None:
    assert f"up to {MOST_IN_A_CALL} attributes" in SETTINGS["merge_reads"].metadata["sentence"]


@in_patched_process
def test_different_attributes_asked_for_in_one_turn_are_one_call_with_the_setting_only() -> None:
    names = ["double_scalar", "long_scalar", "LONG_scalar", "boolean_scalar", "State"]
    for settings, expected in (({}, 4), ({"merge_reads": True}, 1)):
        device = new_device("demo/types/1", **settings)
        device.read_value("State")
        made, found = calls_of(device, together, device, names)
        assert made == expected
        assert values(found) == [0.1, 2**31 - 1, 2**31 - 1, True, tango.DevState.ON]
        made, value = calls_of(device, read, device, "double_scalar")
        assert (made, value) == (1, 0.1)


@pytest.mark.slow
@in_patched_process
def test_reads_of_two_devices_and_reads_of_several_attributes_are_not_merged() -> None:
    device = merging("demo/types/1")
    other = Device(device.host, "sys/tg_test/1")
    read(other, "State")
    before = calls(device.host.client)
    greenlets = [gevent.spawn(read, each, name) for each in (device, other) for name in ("State", "Status")]
    greenlets += [gevent.spawn(device.read_values, names) for names in (["State", "Status"], ["Status"])]
    gevent.joinall(greenlets, raise_error=True)
    assert calls(device.host.client) - before == 4


@pytest.mark.slow
@in_patched_process
def test_call_has_a_limited_number_of_attributes(sender: str) -> None:
    device = merging(sender)
    names = [f"sent{number}" for number in range(2 * MOST_IN_A_CALL + 1)]
    made, found = calls_of(device, together, device, names)
    assert made == 3
    assert values(found) == [0] * len(names)


@pytest.mark.slow
@in_patched_process
def test_slow_attribute_delays_the_others_with_the_setting_only(slow_devices: list[str]) -> None:
    def quick_is_first(device: Device) -> bool:
        slow_last = [gevent.spawn(read, device, name) for name in ("quick", "slow")]
        quick, slow = slow_last
        quick.join()
        was_first = not slow.ready()
        assert (quick.get(), slow.get()) == (0.3, 0.3)
        return was_first

    plain, merged = new_device(slow_devices[1]), merging(slow_devices[1])
    plain.run_command(plain.describe_command("TakeSeconds"), 0.3)
    assert any(quick_is_first(plain) for _ in range(10))  # unless the slow one overtakes it
    assert not any(quick_is_first(merged) for _ in range(3))
    plain.run_command(plain.describe_command("Init"), None)


@in_patched_process
def test_failing_attribute_fails_alone_and_says_the_same_as_without_the_setting(slow_devices: list[str]) -> None:
    device, plain = merging(slow_devices[1]), new_device(slow_devices[1])
    plain.run_command(plain.describe_command("TakeSeconds"), 0.0)
    names = ["quick", "failing", "unknown", "slow"]
    made, found = calls_of(device, together, device, names)
    assert made == 1
    assert values(found) == [0.0, None, None, 0.0]
    for name, outcome in zip(names, found, strict=True):
        expected = outcome_of(read, plain, name)
        assert (outcome.failure and texts(outcome.failure)) == (expected.failure and texts(expected.failure))
    plain.run_command(plain.describe_command("Init"), None)


@in_patched_process
def test_server_that_fails_the_call_as_a_whole_is_asked_for_each_attribute(one_by_one: str) -> None:
    device, plain = merging(one_by_one), new_device(one_by_one)
    names = ["one", "two", "failing"]
    made, found = calls_of(device, together, device, names)
    assert made == 1 + 3
    assert calls(device.host.client, outcome="failed") == 1 + 1
    assert values(found) == [1, 2, None]
    expected = outcome_of(read, plain, "failing").failure
    assert found[2].failure
    assert expected
    assert texts(found[2].failure) == texts(expected)
    made, found = calls_of(device, together, device, names)  # without another try, for a minute
    assert (made, values(found)) == (3, [1, 2, None])


@pytest.mark.slow
@in_patched_process
def test_failure_to_reach_the_device_names_the_attribute_of_its_reader_only(doomed: int) -> None:
    device = merging(DOOMED)
    names = ["quick", "life", "reads"]
    assert reasons(together(device, names)) == []
    os.kill(doomed, signal.SIGKILL)
    made, found = calls_of(device, together, device, names)
    assert made == 1
    for name, outcome in zip(names, found, strict=True):
        assert outcome.failure
        last = outcome.failure.args[-1]
        assert (last.reason, last.desc) == (
            "API_AttributeFailed",
            f"Failed to read_attribute on device {DOOMED}, attribute {name}",
        )


@pytest.mark.slow
@in_patched_process
def test_late_call_fails_all_its_readers_once_and_is_one_timeout_of_the_device(slow_devices: list[str]) -> None:
    device = merging(slow_devices[2], tango_timeout=0.4)
    made, found = calls_of(device, together, device, ["slow", "quick", "reads"])
    assert made == 1
    assert {outcome.failure.args[1].reason for outcome in found if outcome.failure} == {"API_DeviceTimedOut"}
    breaker = device.host.client.bulkhead(device._url()).health.breaker
    assert breaker.timeouts == 1
    gevent.sleep(1)
    made, found = calls_of(device, together, device, ["quick", "reads"])  # alone, for a minute
    assert (made, values(found)[0]) == (2, 1.0)


@pytest.mark.slow
@in_patched_process
def test_each_reader_waits_until_its_own_deadline(slow_devices: list[str]) -> None:
    device = merging(slow_devices[3], call_deadline=0.5)
    first = gevent.spawn(outcome_of, read, device, "slow"), gevent.spawn(outcome_of, read, device, "quick")
    gevent.sleep(0.3)
    later = gevent.spawn(outcome_of, read, device, "quick")  # joins the call, and waits on when the others leave it
    found = [reader.get() for reader in first]
    assert reasons(found) == ["MTANGO_CallTimedOut"] * 2
    assert not later.ready()
    assert reasons([later.get()]) == ["MTANGO_CallTimedOut"]
    info = device.host.client.pool_info()
    assert (info["in_flight"], info["abandoned"], info["timed_out"]) == (1, 1, 3)
    wait_until(lambda: not device.host.client.pool_info()["in_flight"])
    assert values(together(device, ["quick", "reads"]))[0] == 1.0


@pytest.mark.slow
@in_patched_process
def test_open_circuit_and_full_bulkhead_refuse_every_reader() -> None:
    device = merging("demo/types/1", queue_timeout=0.1, device_limit=1)
    client = device.host.client
    bulkhead = client.bulkhead(device._url())
    bulkhead.semaphore.try_acquire()
    made, found = calls_of(device, together, device, ["State", "Status"])
    assert (made, reasons(found)) == (1, ["MTANGO_DeviceBusy"] * 2)
    bulkhead.semaphore.release()
    bulkhead.health.breaker.opened = 1.0
    assert reasons(together(device, ["State", "Status"])) == ["MTANGO_CircuitOpen"] * 2
    bulkhead.health.breaker.reset()
    made, found = calls_of(device, together, device, ["State", "Status"])
    assert (made, reasons(found)) == (1, [])


@in_patched_process
def test_reader_that_is_killed_leaves_the_call_to_the_others() -> None:
    device = merging("demo/types/1")
    for victim in range(3):
        names = ["double_scalar", "long_scalar", "boolean_scalar"]
        readers = [gevent.spawn(outcome_of, read, device, name) for name in names]
        gevent.spawn(readers[victim].kill, block=False)
        others = [reader.get().value for reader in readers if reader is not readers[victim]]
        assert others == [value for number, value in enumerate([0.1, 2**31 - 1, True]) if number != victim]
    assert not device.host.client.reads._under_way
    assert not device.host.client.reads._open
    assert not device.host.client.reads._flights


@pytest.mark.slow
@in_patched_process
def test_values_are_kept_one_by_one_until_their_device_changes(sender: str) -> None:
    device = merging(sender, value_max_age=60.0)
    names = ["silent", "sent0", "sent1"]
    assert calls_of(device, together, device, names)[0] == 1
    for name in names:
        assert calls_of(device, read, device, name)[0] == 0
    assert device.known_value("silent")
    assert calls_of(device, together, device, [*names, "sent2", "sent3"])[0] == 1
    device.write_attribute(device.describe_attribute("silent"), 2.0, "")
    made, found = calls_of(device, together, device, names)
    assert (made, values(found)[0]) == (1, 2.0)
    readers = [gevent.spawn(read, device, name) for name in ("sent4", "sent5")]
    gevent.sleep(0)
    device.host.client.reads._cache.forget(device._url())  # before the call begins
    gevent.joinall(readers, raise_error=True)
    assert calls_of(device, read, device, "sent4")[0] == 1
    before = calls(device.host.client)
    device.read_value("sent4", kept=False)
    assert calls(device.host.client) == before + 1


@in_patched_process
def test_reader_after_a_change_does_not_join_a_call_from_before_it(slow_devices: list[str]) -> None:
    device = merging(slow_devices[0])
    device.run_command(device.describe_command("TakeSeconds"), 0.3)
    readers = [gevent.spawn(read, device, name) for name in ("slow", "quick")]
    wait_until(lambda: device.host.client.pool_info()["in_flight"])
    device.run_command(device.describe_command("TakeSeconds"), 0.0)
    assert values(together(device, ["slow", "quick"])) == [0.0, 0.0]
    gevent.joinall(readers, raise_error=True)
    device.run_command(device.describe_command("Init"), None)


@pytest.mark.slow
@in_patched_process
def test_large_value_is_read_alone_the_next_time() -> None:
    device = merging("demo/camera/1")
    names = ["image", "exposure", "State"]
    assert value_size(device.read_attribute("image")) >= LARGE
    assert [calls_of(device, together, device, names)[0] for _ in range(3)] == [1, 2, 2]


def test_threads_without_a_hub_do_not_merge(one_by_one: str) -> None:
    device = merging(one_by_one)
    made, value = calls_of(device, read, device, "one")
    assert (made, value) == (1, 1)
    assert not device.host.client.reads._under_way
