"""When a device is left alone, and what ends it."""

from __future__ import annotations

import time

import pytest
import tango

from mtango_gevent.control.calls.breaker import CircuitBreaker
from mtango_gevent.errors import tango_failure

LATE = tango_failure("API_DeviceTimedOut", "too late")
REFUSAL = tango_failure("API_AttrNotFound", "no such attribute")


@pytest.fixture
def circuit() -> CircuitBreaker:
    return CircuitBreaker("a/b/c", open_after=3, late_after=2.0)


def call(circuit: CircuitBreaker, error: Exception | None, seconds: float = 3.0) -> None:
    circuit.begin()
    circuit.end(time.perf_counter() - seconds, error)


def open_it(circuit: CircuitBreaker) -> None:
    for _ in range(3):
        call(circuit, LATE)


def test_it_opens_after_so_many_calls_in_a_row(circuit: CircuitBreaker) -> None:
    call(circuit, LATE)
    call(circuit, LATE)
    call(circuit, None, 0)
    assert circuit.timeouts == 2
    circuit._answered -= 10
    call(circuit, LATE)
    call(circuit, LATE)
    assert circuit.state == "closed"
    call(circuit, LATE)
    circuit.next_try = time.perf_counter() + 0.5
    assert circuit.state == "open"
    with pytest.raises(tango.DevFailed) as raised:
        circuit.raise_if_open()
    (error,) = raised.value.args
    assert error.reason == "MTANGO_CircuitOpen"
    for said in ("a/b/c", "3 calls", "API_DeviceTimedOut: too late", "since 20", "next try in 0."):
        assert said in error.desc
    circuit.next_try = None
    assert circuit.state == "half-open"
    with pytest.raises(tango.DevFailed, match="next try is under way"):
        circuit.raise_if_open()


@pytest.mark.parametrize("answer", [None, REFUSAL, ValueError("of PyTango")])
def test_any_answer_closes_it(circuit: CircuitBreaker, answer: Exception | None) -> None:
    open_it(circuit)
    call(circuit, answer)
    assert circuit.state == "closed"
    circuit.raise_if_open()


def test_calls_that_began_before_the_last_answer_prove_nothing(circuit: CircuitBreaker) -> None:
    call(circuit, None, 0)
    for _ in range(10):
        call(circuit, LATE)
    assert (circuit.state, circuit.timeouts) == ("closed", 10)


def test_a_call_that_was_given_up_counts_once(circuit: CircuitBreaker) -> None:
    for _ in range(2):
        circuit.begin()
        began = time.perf_counter() - 5
        circuit.on_timeout(began, LATE)
        circuit.end(began, LATE, timed_out=True)
    assert (circuit.state, circuit.timeouts, circuit.calls, circuit.in_flight) == ("closed", 2, 2, 0)


@pytest.mark.parametrize("reason", ["API_DeviceTimedOut", "API_CantConnectToDevice", "API_CommandTimedOut"])
@pytest.mark.parametrize(("seconds", "opened"), [(0.01, False), (2.5, True)])
def test_quick_failure_does_not_count_as_a_timeout(
    circuit: CircuitBreaker, reason: str, seconds: float, opened: bool
) -> None:
    for _ in range(3):
        call(circuit, tango_failure(reason, "of a device behind it"), seconds)
    assert (circuit.opened > 0) == opened


def test_cleaning_closes_it(circuit: CircuitBreaker) -> None:
    open_it(circuit)
    circuit.reset()
    assert circuit.state == "closed"
    circuit.raise_if_open()


def test_its_figures_keep_no_exception(circuit: CircuitBreaker) -> None:
    call(circuit, REFUSAL)
    figures = circuit.status()
    assert figures["last_error"] == "API_AttrNotFound: no such attribute"
    assert figures["last_error_time"] == pytest.approx(time.time(), abs=60)
    assert (figures["calls"], figures["timeouts"], figures["open_since"], figures["next_try"]) == (1, 0, None, None)
