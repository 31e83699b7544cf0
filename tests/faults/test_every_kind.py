"""Whatever is asked of a frozen server, or while the database is frozen, holds up nobody else.

PyTango before 10.1 keeps the GIL, and with it the whole worker, in some of its calls: so every kind of request is
tried, with everything known beforehand and with nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from tests.http_clients import Answer, ask_all
from tests.live.conftest import Gateway
from tests.live.test_yielding import Watch

from .conftest import DEVICES, NEIGHBOUR, Tango, ask, is_good, said, until_good
from .readers import Readers, late

pytestmark = pytest.mark.timing

Request = tuple[str, str, str]
Learn = Callable[[Gateway, Tango, Sequence[Request]], None]

KINDS: dict[str, list[Request]] = {
    "asking": [
        ("GET", "attributes/quick/value", ""),
        ("GET", "attributes/value?attr=quick&attr=lazy", ""),
        ("GET", "attributes", ""),
        ("GET", "attributes/quick", ""),
        ("GET", "attributes/quick/info", ""),
        ("GET", "attributes/info?attr=quick&attr=lazy", ""),
        ("GET", "attributes/quick/history", ""),
        ("GET", "attributes/quick/properties", ""),
        ("GET", "state", ""),
        ("GET", "commands", ""),
        ("GET", "commands/Rest", ""),
        ("GET", "commands/State/history", ""),
        ("GET", "properties", ""),
        ("GET", "pipes", ""),
        ("GET", "pipes/none", ""),
        ("GET", "", ""),
    ],
    "changing and listening": [
        ("PUT", "attributes/lazy/value?v=0", ""),
        ("PUT", "attributes/value?lazy=0", ""),
        ("PUT", "attributes/lazy/value?v=0&async=true", ""),
        ("PUT", "attributes/lazy/info", '{"unit": "s"}'),
        ("PUT", "commands/Rest", "0"),
        ("PUT", "commands/Init", ""),
        ("PUT", "pipes/none", '{"name": "none", "data": []}'),
        ("PUT", "properties/one?value=1", ""),
        ("DELETE", "properties/one", ""),
        ("PUT", "attributes/quick/properties/one?value=1", ""),
        ("GET", "attributes/quick/change?timeout=8000", ""),
        ("GET", "attributes/quick/change?timeout=8000&state=INITIAL", ""),
        ("GET", "attributes/lazy/user?timeout=8000", ""),
    ],
}

# Longer than the longest wait for an event, and than a request with several calls, each with its deadline.
PATIENCE = 30.0


def _requests(tango: Tango, kinds: Sequence[Request]) -> list[Request]:
    """Each of a device of its own, so that none waits for another."""
    devices = zip(DEVICES, kinds, strict=False)
    return [(method, tango.path(device, what).rstrip("/"), body) for device, (method, what, body) in devices]


def _nothing(gateway: Gateway, tango: Tango, kinds: Sequence[Request]) -> None:
    """Not even a connection."""


def _connections(gateway: Gateway, tango: Tango, kinds: Sequence[Request]) -> None:
    for device, _ in zip(DEVICES, kinds, strict=False):
        assert is_good(ask(gateway, tango.path(device, "attributes/quick/value")))
        assert is_good(ask(gateway, tango.path(device, "properties")))


def _all(gateway: Gateway, tango: Tango, kinds: Sequence[Request]) -> None:
    """Connections, descriptions and subscriptions."""
    for device, (_, what, _) in zip(DEVICES, kinds, strict=False):
        for known in ("attributes/quick/value", "attributes", "attributes/quick/info", "attributes/lazy/info"):
            assert is_good(ask(gateway, tango.path(device, known)))
        for known in ("commands", "commands/Rest", "commands/Init", "commands/State", "pipes"):
            assert is_good(ask(gateway, tango.path(device, known)))
        ask(gateway, tango.path(device, what).split("?")[0] + "?timeout=0")  # subscribes, where that is asked for


def _ask_all(gateway: Gateway, tango: Tango, kinds: Sequence[Request]) -> list[Answer]:
    """All answers, after having shown that nobody was held up meanwhile."""
    others = [tango.path("sys/tg_test/1", "attributes/ampli/value"), "/healthz"]
    with Readers(gateway.port, others) as reading, Watch(gateway) as watch:
        answers = ask_all(gateway.port, _requests(tango, kinds), PATIENCE)
        reading.go_on()
    for (method, what, _), answer in zip(kinds, answers, strict=True):
        said(f"{method} {what}", answer.seconds, *answer.reasons)
    said("longest gap, longest of others in ms", 1000 * watch.longest, 1000 * late(reading.all, 1))
    assert all(is_good(answer) for answer in reading.all)
    assert watch.longest < 3 * 0.1
    assert late(reading.all, 1) < 3 * 0.1
    return answers


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("learn", [_nothing, _connections, _all])
@pytest.mark.parametrize("what", ["server", "database"])
def test_requests_to_a_frozen_server_delay_no_others(
    gateway: Gateway, tango: Tango, kinds: list[Request], learn: Learn, what: str
) -> None:
    frozen = tango.server if what == "server" else tango.database
    assert is_good(ask(gateway, tango.path("sys/tg_test/1", "attributes/ampli/value")))
    learn(gateway, tango, kinds)
    frozen.server.freeze()
    answers = _ask_all(gateway, tango, kinds)
    frozen.server.thaw()
    back = time.monotonic()
    seconds = until_good(gateway, [tango.path(device, "attributes") for device in (*DEVICES, NEIGHBOUR)], back)
    said("good again after s", seconds)
    assert all(answer.status in (200, 204, 501) for answer in answers)  # 501: no pipes
    assert seconds < 3 * 5
