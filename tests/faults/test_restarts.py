"""Servers die and come back, and the gateway finds them again by itself; what was before is never told as of now."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from mtango_gevent.demo.embedded import ServerFailed
from tests.asking import Answer
from tests.live.conftest import Gateway, wait_until

from .conftest import DEVICES, FIXED, SENDER, Tango, ask, is_failure, is_good, said, until_good
from .readers import Readers, late

# A good value is there so soon after the server is, or the database where that was away too: seconds.
BACK = 2.0


def _ports(pid: int) -> set[int]:
    listening = psutil.Process(pid).net_connections("tcp")
    return {connection.laddr.port for connection in listening if connection.status == psutil.CONN_LISTEN}


def _check_all(tango: Tango, reading: Readers, dead: tuple[float, float]) -> None:
    """Each answer is a failure, or of a process that could give it; between the times of `dead` there is none."""
    for path, answers in reading.answers.items():
        for answer in answers:
            assert is_good(answer) or is_failure(answer), answer
            if is_good(answer):
                assert tango.lives(path).could_answer(answer.body["value"], answer.began), answer
                assert not dead[0] < answer.began < answer.ended < dead[1], answer
        assert is_good(answers[-1])


@pytest.mark.parametrize("device", [DEVICES[0], FIXED], ids=["on another port", "on the same port"])
def test_a_server_that_is_killed_and_started_under_load(gateway: Gateway, tango: Tango, device: str) -> None:
    paths = [tango.path(device), tango.path(DEVICES[0])]
    lives = tango.lives(paths[0])
    for path in paths:
        assert is_good(ask(gateway, path))
    before = _ports(lives.server.pid)
    with Readers(gateway.port, paths) as reading:
        wait_until(lambda: len(reading.all) > 20)
        gone = lives.kill()
        time.sleep(3)  # dead for so long
        starting = time.monotonic()
        back = lives.start()
        seconds = until_good(gateway, paths, back)
    failed = [answer for answer in reading.all if answer.reasons]
    reasons = {answer.reasons[0] for answer in failed}
    said(f"{len(failed)} failures, the longest took s, good after s", late(failed, 1), seconds, reasons)
    assert (before & _ports(lives.server.pid) != set()) == (device == FIXED)
    for path in set(paths):
        if tango.lives(path) is lives:
            answers = {path: reading.answers[path]}
            reading.answers = answers
            _check_all(tango, reading, (gone, starting))
    assert seconds < 3 * BACK


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
def test_a_server_and_the_database(gateway: Gateway, tango: Tango, lose: Callable[[Tango], None], early: bool) -> None:
    """early: the server is started while there is no database, and does not come up, or only with it."""
    paths = [tango.path(DEVICES[0]), tango.path(DEVICES[1])]
    assert is_good(ask(gateway, paths[0]))
    with Readers(gateway.port, paths) as reading:
        wait_until(lambda: len(reading.all) > 20)
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
        seconds = until_good(gateway, paths, back)
    said("good after s", seconds)
    _check_all(tango, reading, (gone, coming))
    assert seconds < 3 * BACK


def test_a_server_that_nobody_asked_since_its_restart_when_the_database_goes(gateway: Gateway, tango: Tango) -> None:
    """To connect to it anew takes the database."""
    paths = [tango.path(DEVICES[0])]
    assert is_good(ask(gateway, paths[0]))
    gone = tango.server.kill()
    tango.server.start()
    tango.database.kill()
    with Readers(gateway.port, paths) as reading:
        wait_until(lambda: len(reading.all) > 20)
        back = tango.database.start()
        seconds = until_good(gateway, paths, back)
    said("good after s", seconds, {reason for answer in reading.all for reason in answer.reasons[:1]})
    _check_all(tango, reading, (gone, gone))
    assert seconds < 3 * BACK


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
def test_a_server_that_is_restarted_in_the_middle(
    gateway: Gateway, tango: Tango, method: str, what: str, body: str
) -> None:
    """What was being done fails at once, and is not done again by itself."""
    device = DEVICES[0]
    assert is_good(ask(gateway, tango.path(device, "commands/TakeSeconds"), "PUT", "2"))
    assert is_good(ask(gateway, tango.path(device, "attributes/lazy/value")))
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


def test_a_server_is_restarted_while_a_listener_waits(gateway: Gateway, tango: Tango) -> None:
    send, listen = tango.path(SENDER, "commands/SendOne"), tango.path(SENDER, "attributes/sent0/change")
    events = Readers(gateway.port, [f"{listen}?timeout=3000"])
    with events:
        for _ in range(3):  # the process that is killed has counted to three
            assert is_good(ask(gateway, send, "PUT", '"change"'))
        wait_until(lambda: any(is_good(answer) for answer in events.all))
        gone = tango.server.kill()
        back = tango.server.start()
        values: list[int] = []

        def heard() -> bool:
            """Whether an event of the new process has come, that was sent so often."""
            answer = ask(gateway, send, "PUT", '"change"')
            if is_good(answer):
                values.append(len(values) + 1)
            return any(is_good(answer) for answer in events.all if answer.began > back)

        wait_until(heard, 60)
        seconds = time.monotonic() - back
    said("events again after s", seconds)
    assert all(is_good(answer) or is_failure(answer) for answer in events.all)
    for answer in events.all:
        if is_good(answer) and answer.began > gone:
            assert answer.body["value"] <= len(values)
            assert answer.body["timestamp"] / 1000 >= time.time() - (time.monotonic() - gone) - 0.1
    assert seconds < 3 * 10
