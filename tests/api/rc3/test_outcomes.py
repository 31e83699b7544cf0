"""What a failure says of a command or write: whether it may have been done all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from webtest import TestApp

from mtango_gevent.errors import DevFailed, tango_failure, with_outcome
from tests.live.conftest import wait_until

UNKNOWN = "the outcome is unknown"


@pytest.mark.slow
def test_after_a_timeout_it_is_unknown_and_after_a_refusal_not(
    make_client: Callable[..., TestApp], busy_url: str
) -> None:
    """Three timeouts in a row open the circuit; the call that is refused then tells of them, and was not made."""
    client = make_client(tango_timeout=0.2)
    for _ in range(3):
        failure = client.put(f"{busy_url}/commands/Rest?v=0.5").json
        assert "API_DeviceTimedOut" in [error["reason"] for error in failure["errors"]]
        assert UNKNOWN in failure["errors"][0]["description"]
    refusal = client.put(f"{busy_url}/commands/Rest?v=0.5").json
    assert refusal["errors"][0]["origin"] == "mtango-gevent"
    assert "CallTimedout" in refusal["errors"][0]["description"]
    assert UNKNOWN not in str(refusal)
    wait_until(lambda: "errors" not in client.get(f"{busy_url}/state").json)


def test_writes_after_one_that_has_timed_out_are_not_made(make_client: Callable[..., TestApp], busy_url: str) -> None:
    client = make_client(tango_timeout=0.2)
    client.get(f"{busy_url}/attributes/info?attr=Value")
    client.put(f"{busy_url}/commands/Rest?v=1")
    late, refused = client.put(f"{busy_url}/attributes/value?Value=1&a%23b=2").json
    assert UNKNOWN in late["errors"][0]["description"]
    assert "was not written" in refused["errors"][0]["description"]
    assert UNKNOWN not in refused["errors"][0]["description"]


@pytest.mark.parametrize(
    ("reason", "description", "unknown"),
    [
        ("MTANGO_CallTimedOut", "no answer within 5 s", True),
        ("MTANGO_DeviceBusy", "none of 4 calls ended", False),
        ("MTANGO_CircuitOpen", "has not answered: API_CorbaException: TRANSIENT_CallTimedout", False),
        ("MTANGO_PoolExhausted", "no thread", False),
    ],
)
def test_of_the_gateways_own_failures_one_leaves_it_open(reason: str, description: str, unknown: bool) -> None:
    assert (UNKNOWN in with_outcome(tango_failure(reason, description)).args[0].desc) is unknown


@pytest.mark.parametrize(
    ("reason", "description", "unknown"),
    [
        ("API_CorbaException", "TRANSIENT CORBA system exception: TRANSIENT_CallTimedout", True),
        ("API_CorbaException", "COMM_FAILURE CORBA system exception: COMM_FAILURE_WaitingForReply", True),
        ("API_CorbaException", "TRANSIENT CORBA system exception: TRANSIENT_ConnectFailed", False),
        ("API_CommandTimedOut", "Not able to acquire serialization monitor", False),
        ("API_WAttrOutsideLimit", "above the maximum", False),
    ],
)
def test_of_tangos_failures_those_that_lost_the_answer_do(reason: str, description: str, unknown: bool) -> None:
    (error,) = tango_failure(reason, description).args
    error.origin = "Tango::Connection"
    assert (UNKNOWN in with_outcome(DevFailed(error)).args[0].desc) is unknown
