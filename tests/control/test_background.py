"""Jobs that are done after their requests have been answered: each is done, whatever became of those before it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import gevent
import pytest
import tango

from mtango_gevent.config import Config
from mtango_gevent.control.background import Background
from mtango_gevent.control.calls import Concurrency
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import tango_failure
from tests.hub_thread import in_hub_thread


@pytest.fixture
def concurrency() -> Concurrency:
    return TangoClient(Config()).concurrency


@pytest.fixture
def background(concurrency: Concurrency) -> Background:
    return Background(concurrency, 10)


def raising(make_error: Callable[[], BaseException]) -> Callable[[], None]:
    def job() -> None:
        raise make_error()

    return job


ERRORS: dict[str, Callable[[], BaseException]] = {
    "DevFailed": lambda: tango_failure("A_Reason", "refused"),
    "ValueError": ValueError,
    "GreenletExit": gevent.GreenletExit,
    "Timeout": lambda: gevent.Timeout(1),  # made in the test, as it makes a hub
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
}


def check_that_jobs_are_done(background: Background) -> None:
    done: list[int] = []
    background.add("a/b/c", "the next one", lambda: done.append(1))
    background.finish(10)
    assert done == [1]


@pytest.mark.parametrize("error", ERRORS)
@in_hub_thread
def test_a_job_that_raises_is_counted_and_those_behind_it_are_done(
    background: Background, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []
    background.add("a/b/c", "the first one", raising(ERRORS[error]))
    background.add("a/b/c", "the second one", lambda: done.append(2))
    background.finish(10)
    assert done == [2]
    check_that_jobs_are_done(background)
    assert background.info() == {"waiting": 0, "done": 2, "failed": 1}
    assert "the first one failed" in caplog.text


@in_hub_thread
def test_a_greenlet_that_is_killed_does_the_jobs_behind(background: Background) -> None:
    greenlets, done = [], []

    def first() -> None:
        greenlets.append(gevent.getcurrent())
        gevent.sleep(10)

    background.add("a/b/c", "the first one", first)
    background.add("a/b/c", "the second one", lambda: done.append(2))
    gevent.sleep(0)
    greenlets[0].kill()
    assert done == [2]
    check_that_jobs_are_done(background)


@in_hub_thread
def test_a_log_that_raises_stops_no_jobs(background: Background) -> None:
    def refuse(_: logging.LogRecord) -> bool:
        raise gevent.Timeout(1)

    logger = logging.getLogger("mtango_gevent.control.background")
    logger.addFilter(refuse)
    try:
        for make_error in ERRORS.values():
            background.add("a/b/c", "one", raising(make_error))
        background.finish(10)
        check_that_jobs_are_done(background)
    finally:
        logger.removeFilter(refuse)
    assert background.info() == {"waiting": 0, "done": 1, "failed": len(ERRORS)}


@in_hub_thread
def test_a_job_for_which_there_is_no_thread_is_refused_and_the_next_one_done(
    background: Background, concurrency: Concurrency, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spawn(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(concurrency, "spawn", spawn)
        with pytest.raises(tango.DevFailed, match="MTANGO_PoolExhausted"):
            background.add("a/b/c", "one", lambda: None)
    assert background.info()["waiting"] == 0
    check_that_jobs_are_done(background)


@in_hub_thread
def test_a_queue_that_is_full_refuses_and_goes_on(background: Background) -> None:
    for _ in range(10):
        background.add("a/b/c", "one", lambda: None)
    with pytest.raises(tango.DevFailed, match="MTANGO_DeviceBusy"):
        background.add("a/b/c", "one too many", lambda: None)
    background.finish(10)
    check_that_jobs_are_done(background)
