"""Servers are killed and started again: the gateway reconnects by itself, and never answers with an old value."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from mtango_gevent.demo.embedded import ServerFailed
from tests.http_clients import Answer
from tests.live.conftest import Gateway, wait_until

from .conftest import DEVICES, FIXED, SENDER, Tango, ask, is_failure, is_good, said, until_good
from .readers import Readers, late

# A good value is there so soon after the server is, or the database where that was away too: seconds.
BACK = 2.0


def _ports(pid: int) -> set[int]:
    listening = psutil.Process(pid).net_connections("tcp")
    return {connection.laddr.port for connection in listening if connection.status == psutil.CONN_LISTEN}


def _until_all_is_good(
    gateway: Gateway, tango: Tango, reading: Readers, dead: tuple[float, float], back: float
) -> float:
    """Seconds since `back`. From then on nothing fails; before it an answer is a failure, or of a process that could
    give it; between the times of `dead` none did."""
    seconds = until_good(gateway, list(reading.answers), back)
    reading.go_on()
    for path, answers in reading.answers.items():
        for answer in answers:
            assert is_good(answer) or is_failure(answer), answer
            assert is_good(answer) or answer.began < back + seconds, answer
            if is_good(answer):
                assert tango.lives(path).could_answer(answer.body["value"], answer.began), answer
                assert not dead[0] < answer.began < answer.ended < dead[1], answer
    failed = [answer for answer in reading.all if answer.reasons]
    reasons = {answer.reasons[0] for answer in failed}
    said("good after s", seconds, f"{len(failed)} failures", late(failed, 1), reasons)
    return seconds


@pytest.mark.parametrize("device", [DEVICES[0], FIXED], ids=["on another port", "on the same port"])
def test_killed_server_is_read_again_after_its_start_under_load(gateway: Gateway, tango: Tango, device: str) -> None:
    path = tango.path(device)
    lives = tango.lives(path)
    assert is_good(ask(gateway, path))
    before = _ports(lives.server.pid)
    with Readers(gateway.port, [path]) as reading:
        reading.go_on()
        gone = lives.kill()
        time.sleep(3)  # dead for so long
        starting = time.monotonic()
        back = lives.start()
        assert _until_all_is_good(gateway, tango, reading, (gone, starting), back) < 3 * BACK
    assert bool(before & _ports(lives.server.pid)) == (device == FIXED)


def _killed(tango: Tango) -> None:
    tango.database.kill()


def _frozen(tango: Tango) -> None:
    tango.database.server.freeze()


def _start_all(tango: Tango) -> float:
    tango.database.server.thaw()
    tango.database.start()
    return tango.server.start()


@pytest.mark.parametrize("lose", [_killed, _frozen])
@pytest.mark.parametrize("early", [True, False], ids=["the server comes too early", "the database comes first"])
def test_killed_server_and_database_are_read_again_after_their_start(
    gateway: Gateway, tango: Tango, lose: Callable[[Tango], None], early: bool
) -> None:
    """early: the server is started while there is no database, and does not come up, or only with it."""
    paths = [tango.path(DEVICES[0]), tango.path(DEVICES[1])]
    assert is_good(ask(gateway, paths[0]))
    with Readers(gateway.port, paths) as reading:
        reading.go_on()
        lose(tango)
        gone = tango.server.kill()
        with ThreadPoolExecutor(1) as beside:
            starting = beside.submit(tango.server.start) if early else None
            time.sleep(4)  # away for so long
            tango.database.server.thaw()
            coming = time.monotonic()
            tango.database.start()
            if starting:
                with contextlib.suppress(ServerFailed):
                    starting.result()
        back = tango.server.start()
        assert _until_all_is_good(gateway, tango, reading, (gone, coming), back) < 3 * BACK


def test_server_restarted_before_the_database_dies_is_read_when_that_is_back(gateway: Gateway, tango: Tango) -> None:
    """The new connection to the server needs the database."""
    paths = [tango.path(DEVICES[0])]
    assert is_good(ask(gateway, paths[0]))
    gone = tango.server.kill()
    tango.server.start()
    tango.database.kill()
    with Readers(gateway.port, paths) as reading:
        reading.go_on()
        back = tango.database.start()
        assert _until_all_is_good(gateway, tango, reading, (gone, gone), back) < 3 * BACK


@pytest.mark.parametrize(
    ("method", "what", "body"),
    [
        ("GET", "attributes/slow/value", ""),
        ("PUT", "attributes/lazy/value?v=2", ""),
        ("PUT", "attributes/value?lazy=2", ""),
        ("PUT", "commands/Rest", "2"),
    ],
    ids=["read", "write", "write of several", "command"],
)
def test_server_restarted_during_a_request_fails_it_and_is_read_again(
    gateway: Gateway, tango: Tango, method: str, what: str, body: str
) -> None:
    """The call in flight fails at once and is not repeated."""
    device = DEVICES[0]
    assert is_good(ask(gateway, tango.path(device, "commands/TakeSeconds"), "PUT", "2"))
    for known in ("attributes/lazy/info", "commands/Rest"):  # so that the call itself is the next that is made
        assert is_good(ask(gateway, tango.path(device, known)))
    with ThreadPoolExecutor(1) as beside:
        asking = beside.submit(ask, gateway, tango.path(device, what), method, body)
        wait_until(lambda: gateway.get("/sys/stats")["pool"]["in_flight"] == 1)
        gone = tango.server.kill()
        answer: Answer = asking.result()
    back = tango.server.start()
    seconds = until_good(gateway, [tango.path(device)], back)
    said("failed after s, good after s", answer.ended - gone, seconds, answer.reasons)
    assert answer.reasons
    assert answer.ended - gone < 3 * 1.0
    assert seconds < 3 * BACK
    assert ask(gateway, tango.path(device, "attributes/lazy/value")).body["value"] == 0.0


def test_listener_gets_the_events_of_a_restarted_server(gateway: Gateway, tango: Tango) -> None:
    send, listen = tango.path(SENDER, "commands/SendOne"), tango.path(SENDER, "attributes/sent0/change")
    events = Readers(gateway.port, [f"{listen}?timeout=3000"])
    with events:

        def send_and_hear() -> bool:
            assert is_good(ask(gateway, send, "PUT", '"change"'))
            return any(is_good(answer) for answer in events.all)

        wait_until(send_and_hear)
        gone, clock_when_gone = tango.server.kill(), time.time()
        back = tango.server.start()
        sent = 0

        def heard() -> bool:
            """Whether an event of the new process has come; it counts anew what it was told, whatever it answered."""
            nonlocal sent
            sent += 1
            ask(gateway, send, "PUT", '"change"')
            return any(is_good(answer) for answer in events.all if answer.ended > back)

        wait_until(heard, 60)
        seconds = time.monotonic() - back
    good = [answer for answer in events.all if is_good(answer) and answer.began > gone]
    said("events again after s", seconds, {answer.reasons[0] for answer in events.all if answer.reasons})
    assert all(is_good(answer) or is_failure(answer) for answer in events.all)
    assert all(answer.body["timestamp"] / 1000 > clock_when_gone for answer in good)
    assert all(answer.body["value"] <= sent for answer in good)
    assert seconds < 3 * 10
