"""When followers are told about events."""

from __future__ import annotations

import itertools
import logging
import time

import gevent

from mtango_gevent.control.calls import Concurrency
from mtango_gevent.control.events.notices import Notices
from tests.control.concurrency import native_sleep
from tests.patched_process import in_patched_process
from tests.waiting import wait_until


class Records(logging.Handler):
    """Keeps what is logged, instead of writing it to standard error."""

    def __init__(self) -> None:
        super().__init__()
        self.records = list[logging.LogRecord]()
        self.emit = self.records.append


class Channel:
    """A channel with itself as its follower; notes the times of events, and of the notices about them."""

    def __init__(self) -> None:
        self.is_noted = False
        self.posted, self.told = list[float](), list[float]()

    def followers(self) -> list[Channel]:
        return [self]

    def on_event(self) -> None:
        self.told.append(time.monotonic())


@in_patched_process
def test_first_event_of_a_burst_is_told_at_once_and_the_others_together() -> None:
    concurrency = Concurrency()
    assert concurrency.in_hub()
    notices, channels = Notices(concurrency), [Channel() for _ in range(400)]

    def post() -> None:
        for channel in channels:
            channel.posted.append(time.monotonic())
            notices.post(channel)
            native_sleep(0.0005)

    for burst in range(2):  # the second one after a time without events
        gevent.get_hub().threadpool.spawn(post).get()
        wait_until(lambda: all(len(channel.told) == len(channel.posted) for channel in channels))
        assert channels[0].told[burst] < channels[-1].posted[burst]
    told = sorted(time for channel in channels for time in channel.told)
    turns = 1 + sum(later - earlier > 0.0002 for earlier, later in itertools.pairwise(told))
    print("events:", len(told), "turns:", turns)
    assert turns < len(told) / 4


@in_patched_process
def test_follower_or_channel_that_fails_keeps_no_other_from_being_told() -> None:
    class Broken(Channel):
        def on_event(self) -> None:
            raise ZeroDivisionError

    class Lost(Channel):
        def followers(self) -> list[Channel]:
            raise KeyError

    class Shared(Channel):
        def followers(self) -> list[Channel]:
            return [Broken(), self, Broken()]

    concurrency, log = Concurrency(), Records()
    logging.getLogger("mtango_gevent").addHandler(log)
    assert concurrency.in_hub()
    notices, before, shared, after = Notices(concurrency), Channel(), Shared(), Channel()
    for times in (1, 2):
        for channel in (before, Broken(), shared, Lost(), after):
            notices.post(channel)
        wait_until(lambda times=times: [len(each.told) for each in (before, shared, after)] == [times] * 3)
    wait_until(lambda: not notices._scheduled)
    assert [record.exc_info and record.exc_info[0] for record in log.records] == 2 * [
        *(ZeroDivisionError, ZeroDivisionError, ZeroDivisionError, KeyError)
    ]
