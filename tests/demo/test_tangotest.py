"""What the demo's TangoTest does."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tango

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.waiting import wait_until

HAVE_PIPES = hasattr(tango.CmdArgType, "DevPipeBlob")


@pytest.mark.parametrize("name", ["double_scalar", "long_scalar", "short_scalar_ro", "double_scalar_rww", "wave"])
def test_values_are_there_at_once(tangotest: tango.DeviceProxy, name: str) -> None:
    assert tangotest.read_attribute(name).quality == tango.AttrQuality.ATTR_VALID


def test_values_move(tangotest: tango.DeviceProxy) -> None:
    tangotest.set_source(tango.DevSource.DEV)
    first = tangotest.double_scalar
    wait_until(lambda: tangotest.double_scalar != first)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("double_scalar", 1.5),
        ("boolean_scalar", False),
        ("string_scalar", "été"),
        ("ulong64_scalar", 2**64 - 1),
        ("enum_scalar", 2),
        ("long_spectrum", [1, 2, 3]),
        ("string_spectrum", ["a", "b"]),
        ("double_image", [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]),
        ("string_image", [["a", "b"], ["c", "d"]]),
    ],
)
def test_written_value_is_read_back(tangotest: tango.DeviceProxy, name: str, value: object) -> None:
    tangotest.set_source(tango.DevSource.DEV)
    tangotest.write_attribute(name, value)
    read = tangotest.read_attribute(name)
    for side in (read.value, read.w_value):
        assert np.array_equal(np.array(side), np.array(value))


def test_the_amplitude_of_the_wave_can_be_written(tangotest: tango.DeviceProxy) -> None:
    tangotest.write_attribute("ampli", 5.0)
    assert max(tangotest.wave) == 5.0


def test_read_only_attributes_cannot_be_written(tangotest: tango.DeviceProxy) -> None:
    with pytest.raises(tango.DevFailed, match="API_AttrNotWritable"):
        tangotest.write_attribute("short_scalar_ro", 1)


def test_switch_states_goes_to_fault_and_back(tangotest: tango.DeviceProxy) -> None:
    tangotest.set_source(tango.DevSource.DEV)
    states = [tangotest.state()]
    for _ in range(2):
        tangotest.SwitchStates()
        states.append(tangotest.state())
    assert states == [tango.DevState.RUNNING, tango.DevState.FAULT, tango.DevState.RUNNING]


def test_both_tangotests_run_again_after_init(tangotest: tango.DeviceProxy, cpp_device: str) -> None:
    for proxy in (tangotest, tango.DeviceProxy(cpp_device)):
        proxy.set_source(tango.DevSource.DEV)
        proxy.SwitchStates()
        assert proxy.state() == tango.DevState.FAULT
        proxy.Init()
        assert proxy.state() == tango.DevState.RUNNING


@pytest.mark.parametrize("command", ["CrashFromDevelopperThread", "CrashFromOmniThread"])
def test_crash_does_not_crash(embedded: EmbeddedTango, tangotest: tango.DeviceProxy, command: str) -> None:
    with pytest.raises(tango.DevFailed, match="does not crash"):
        tangotest.command_inout(command)
    tangotest.ping()
    assert embedded.device_server.running


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("DevDouble", 0.1),
        ("DevULong64", 2**64 - 1),
        ("DevVarStringArray", ["a", "", "é"]),
        ("DevVarLong64Array", [-(2**63), 2**63 - 1]),
        ("DevVarLongStringArray", [[1, 2], ["a"]]),
    ],
)
def test_commands_echo(tangotest: tango.DeviceProxy, command: str, argument: object) -> None:
    answer = tangotest.command_inout(command, argument)
    assert repr(_plain(answer)) == repr(argument)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def polled(history: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """Return a history, which is empty before the first poll."""
    try:
        return history()
    except tango.DevFailed as failure:
        if failure.args[0].reason != "API_NoDataYet":
            raise
        return []


def test_attributes_are_polled(tangotest: tango.DeviceProxy) -> None:
    def history() -> list[float]:
        return [record.value for record in tangotest.attribute_history("double_scalar", 10) if not record.has_failed]

    assert tangotest.get_attribute_poll_period("double_scalar") == 1000
    wait_until(lambda: len(set(polled(history))) >= 2)


def test_the_state_is_polled(tangotest: tango.DeviceProxy) -> None:
    assert tangotest.get_attribute_poll_period("State") == 1000
    wait_until(lambda: len(polled(lambda: tangotest.command_history("State", 10))) >= 2)


@pytest.mark.parametrize("attribute", ["double_scalar", "State"])
def test_change_events_come(
    device: Callable[[str], tango.DeviceProxy], tangotest: tango.DeviceProxy, attribute: str
) -> None:
    received: queue.Queue[tango.EventData] = queue.Queue()
    subscription = tangotest.subscribe_event(attribute, tango.EventType.CHANGE_EVENT, received.put)
    try:
        first = received.get(timeout=10)
        assert not first.err
        if attribute == "State":
            tangotest.SwitchStates()
        second = received.get(timeout=10)
        assert second.attr_value.value != first.attr_value.value
    finally:
        tangotest.unsubscribe_event(subscription)


def test_the_pipe_is_there_when_pytango_has_pipes(tangotest: tango.DeviceProxy) -> None:
    assert hasattr(tangotest, "get_pipe_list") == HAVE_PIPES
    if HAVE_PIPES:
        assert list(tangotest.get_pipe_list()) == ["string_long_short_ro"]


def test_the_device_has_properties(tangotest: tango.DeviceProxy) -> None:
    assert list(tangotest.get_property("numbers")["numbers"]) == ["1", "2", "3"]
