"""When a device is left alone, and what ends it."""

from __future__ import annotations

import time

import pytest
import tango

from mtango_gevent.control.circuit import Circuit
from mtango_gevent.errors import tango_failure

LATE = tango_failure("API_DeviceTimedOut", "too late")
REFUSAL = tango_failure("API_AttrNotFound", "no such attribute")


@pytest.fixture
def circuit() -> Circuit:
    return Circuit("a/b/c", open_after=3, retry_after=0.05)


def call(circuit: Circuit, error: Exception | None, began: float | None = None) -> None:
    circuit.check()
    this = object()
    circuit.begin(this)
    circuit.end(this, time.perf_counter() if began is None else began, error, given_up=False)


def open_it(circuit: Circuit) -> None:
    for _ in range(3):
        call(circuit, LATE)


def wait_for_retry(circuit: Circuit) -> None:
    while circuit.figures()["next_try"]:
        time.sleep(0.001)


def test_it_opens_after_so_many_calls_in_a_row(circuit: Circuit) -> None:
    call(circuit, LATE)
    call(circuit, LATE)
    call(circuit, None)
    call(circuit, LATE)
    call(circuit, LATE)
    assert circuit.state == "closed"
    call(circuit, LATE)
    assert circuit.state == "open"
    with pytest.raises(tango.DevFailed) as raised:
        circuit.check()
    (error,) = raised.value.args
    assert error.reason == "MTANGO_DeviceOpen"
    for said in ("a/b/c", "3 calls", "API_DeviceTimedOut: too late", "since 20", "next try in 0."):
        assert said in error.desc


@pytest.mark.parametrize("answer", [None, REFUSAL, ValueError("of PyTango")])
def test_any_answer_closes_it(circuit: Circuit, answer: Exception | None) -> None:
    open_it(circuit)
    wait_for_retry(circuit)
    call(circuit, answer)
    assert circuit.state == "closed"
    call(circuit, LATE)
    assert circuit.state == "closed"


def test_one_probe_at_a_time(circuit: Circuit) -> None:
    open_it(circuit)
    wait_for_retry(circuit)
    probe, began = object(), time.perf_counter()
    circuit.begin(probe)
    assert circuit.state == "half-open"
    with pytest.raises(tango.DevFailed, match="as soon as the one under way has ended"):
        circuit.check()
    circuit.give_up(began, LATE)
    with pytest.raises(tango.DevFailed):
        circuit.check()
    circuit.end(probe, began, LATE, given_up=True)
    assert circuit.state == "open"
    wait_for_retry(circuit)
    circuit.check()


def test_calls_that_began_before_the_last_answer_prove_nothing(circuit: Circuit) -> None:
    began = time.perf_counter()
    call(circuit, None)
    for _ in range(10):
        call(circuit, LATE, began)
    assert (circuit.state, circuit.timeouts) == ("closed", 10)


def test_a_call_that_was_given_up_counts_once(circuit: Circuit) -> None:
    for _ in range(2):
        this, began = object(), time.perf_counter()
        circuit.begin(this)
        circuit.give_up(began, LATE)
        circuit.end(this, began, LATE, given_up=True)
    assert (circuit.state, circuit.timeouts, circuit.calls) == ("closed", 2, 2)


@pytest.mark.parametrize(("seconds", "state"), [(0.0, "closed"), (2.0, "open")])
def test_connections_that_fail_at_once_cost_nobody_anything(circuit: Circuit, seconds: float, state: str) -> None:
    failure = tango_failure("API_CantConnectToDevice", "no connection")
    for _ in range(3):
        call(circuit, failure, time.perf_counter() - seconds)
    assert circuit.state == state


def test_cleaning_closes_it(circuit: Circuit) -> None:
    open_it(circuit)
    circuit.reset()
    assert circuit.state == "closed"
    circuit.check()


def test_its_figures_keep_no_exception(circuit: Circuit) -> None:
    call(circuit, REFUSAL)
    figures = circuit.figures()
    assert figures["last_error"] == "API_AttrNotFound: no such attribute"
    assert figures["last_error_time"] == pytest.approx(time.time(), abs=60)
    assert (figures["calls"], figures["timeouts"], figures["open_since"], figures["next_try"]) == (1, 0, None, None)
