"""Feeds that have ended, or that cannot begin, leave nothing behind."""

from __future__ import annotations

import logging
import time
from typing import Any

import gevent
import gevent.event
import pytest
import tango

from mtango_gevent.config import Config
from mtango_gevent.control.calls import Concurrency
from mtango_gevent.control.events import Listener, OpenStreams, Stream, StreamClosed, Turn
from mtango_gevent.control.events.admission import Admission
from mtango_gevent.errors import tango_failure
from tests.hub_thread import in_hub_thread, wait_in_hub


class Queue:
    """Feeds that never get behind their subscribing, two at a time. calls: how many have begun with it."""

    def __init__(self, **settings: Any) -> None:
        concurrency = Concurrency()
        self.streams = OpenStreams(Config(**settings), concurrency)
        self.calls = 0
        self.answer = gevent.event.Event()
        self._admission = Admission(concurrency)

    def listen(self, turn: Turn) -> Listener:
        with self._admission.place("hung", turn):
            self.calls += 1
            self.answer.wait()
        raise tango_failure("API_AttrNotFound", "there is none")

    def open(self) -> Stream:
        return self.streams.open("websocket", "", "127.0.0.1")

    @property
    def feeds(self) -> float:
        return self.streams.info()["feeds"]


@in_hub_thread
def test_feeds_that_end_in_the_queue_make_no_call_and_delay_no_others() -> None:
    queue = Queue()
    stream, other = queue.open(), queue.open()
    for _ in range(20):
        for number in range(100):
            stream.add(number, queue.listen)
        gevent.sleep(0)
        for number in range(100):
            stream.remove(number)
    wait_in_hub(lambda: queue.feeds == 2)
    assert queue.calls == 2
    other.add("a", queue.listen)
    gevent.sleep(0)
    queue.answer.set()
    (record,) = other.take(5)
    assert record.feed.key == "a"
    assert (queue.calls, queue.feeds) == (3, 1)


@in_hub_thread
def test_feeds_that_have_ended_count_until_their_calls_have() -> None:
    queue = Queue(stream_items=2)
    stream = queue.open()
    for _ in range(2):
        stream.add("a", queue.listen)
        gevent.sleep(0)
        stream.remove("a")
    with pytest.raises(tango.DevFailed, match="MTANGO_TooManyItems"):
        stream.add("a", queue.listen)
    queue.answer.set()
    wait_in_hub(lambda: not queue.feeds)
    stream.add("a", queue.listen)
    stream.close()
    wait_in_hub(lambda: not queue.feeds)


@in_hub_thread
def test_closed_stream_takes_no_feed() -> None:
    queue = Queue()
    stream = queue.open()
    stream.close()
    with pytest.raises(StreamClosed):
        stream.add("a", queue.listen)
    gevent.sleep(0)
    assert (stream.feeds, queue.calls, queue.feeds) == ({}, 0, 0)


@in_hub_thread
def test_feeds_that_are_added_while_their_stream_closes_are_released() -> None:
    queue = Queue()
    stream = queue.open()
    for number in range(200):
        stream.add(number, queue.listen)
    closing = gevent.spawn(stream.close)
    gevent.sleep(0)
    with pytest.raises(StreamClosed):
        stream.add("late", queue.listen)
    closing.get()
    queue.answer.set()
    wait_in_hub(lambda: not queue.feeds)
    assert not stream.feeds


@in_hub_thread
def test_unexpected_error_is_a_failure_for_the_client(caplog: pytest.LogCaptureFixture) -> None:
    def listen(turn: Turn) -> Listener:
        raise RuntimeError("can't start new thread")

    stream = Stream(Concurrency())
    stream.add("a", listen)
    with caplog.at_level(logging.ERROR):
        (record,) = stream.take(5)
    failure = record.event.failure
    assert failure is not None
    assert failure.args[0].reason == "MTANGO_InternalError"
    assert "can't start new thread" in failure.args[0].desc
    assert [each.getMessage() for each in caplog.records] == ["a feed cannot begin"]
    stream.close()


@in_hub_thread
def test_timers_of_removed_feeds_are_dropped() -> None:
    queue = Queue()
    stream = queue.open()
    kept = stream.add("kept", queue.listen)
    due = time.monotonic() + 0.1
    stream.note_later(kept, due)
    for number in range(300):
        stream.note_later(stream.add(number, queue.listen), due + 1000 - number)
        stream.remove(number)
    assert len(stream._timers) <= 101
    assert stream.take(0.2) == []
    assert time.monotonic() > due
    assert not stream._later
    stream.close()
