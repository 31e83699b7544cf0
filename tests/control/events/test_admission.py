"""How feeds wait for their turn to subscribe, and leave the queue when they end."""

from __future__ import annotations

import gevent
import gevent.event
import pytest

from mtango_gevent.control.calls import Concurrency
from mtango_gevent.control.events.admission import Admission, GivenUp, Turn
from tests.hub_thread import in_hub_thread, wait_in_hub


class Subscribers:
    """Greenlets that wait for places. held: urls of those that have one; given_up: of those that do no more."""

    def __init__(self) -> None:
        self.admission = Admission(Concurrency())
        self.held, self.given_up = list[str](), list[str]()
        self._ends = list[gevent.event.Event]()
        self._greenlets = list[gevent.Greenlet]()

    def begin(self, url: str) -> Turn:
        turn = Turn()
        self._greenlets.append(gevent.spawn(self._hold, url, turn))
        gevent.sleep(0)
        return turn

    def _hold(self, url: str, turn: Turn) -> None:
        end = gevent.event.Event()
        try:
            with self.admission.place(url, turn):
                self.held.append(url)
                self._ends.append(end)
                end.wait()
        except GivenUp:
            self.given_up.append(url)

    def end(self, number: int) -> None:
        """End the subscribing of those that have had their places first."""
        ended, self._ends = self._ends[:number], self._ends[number:]
        for end in ended:
            end.set()
        gevent.sleep(0)

    def end_all(self) -> None:
        with gevent.Timeout(10):
            while not all(greenlet.dead for greenlet in self._greenlets):
                self.end(len(self._ends))
        gevent.joinall(self._greenlets, raise_error=True)
        assert not self.admission._devices
        assert not self.admission._taken


@in_hub_thread
def test_device_has_two_places_and_leaves_the_others_to_other_devices() -> None:
    subscribers = Subscribers()
    for _ in range(100):
        subscribers.begin("hung")
    for number in range(62):
        subscribers.begin(f"device {number}")
    assert subscribers.held == ["hung", "hung", *(f"device {number}" for number in range(62))]
    subscribers.begin("one more")
    assert len(subscribers.held) == 64
    subscribers.end(2)
    wait_in_hub(lambda: sorted(subscribers.held[64:]) == ["hung", "one more"])
    subscribers.end_all()
    assert len(subscribers.held) == 163


@in_hub_thread
def test_ended_feeds_leave_the_queue_for_a_place() -> None:
    subscribers = Subscribers()
    turns = [subscribers.begin("hung") for _ in range(1000)]
    last = subscribers.begin("hung")
    for turn in turns[2:]:
        turn.end()
    wait_in_hub(lambda: len(subscribers.given_up) == 998)
    subscribers.end(1)
    wait_in_hub(lambda: len(subscribers.held) == 3)
    assert last.is_admitted
    subscribers.end_all()


@in_hub_thread
def test_feed_that_ends_as_it_is_admitted_gives_its_place_back() -> None:
    subscribers = Subscribers()
    subscribers.begin("hung")
    with subscribers.admission.place("hung", Turn()):
        first, second = subscribers.begin("hung"), subscribers.begin("hung")
    assert first.is_admitted
    first.end()
    wait_in_hub(lambda: second.is_admitted)
    assert subscribers.given_up == ["hung"]
    subscribers.end_all()


@in_hub_thread
def test_devices_that_cannot_be_subscribed_to_are_not_kept() -> None:
    admission = Admission(Concurrency())
    for number in range(10):
        with pytest.raises(ValueError, match="no"), admission.place(f"device {number}", Turn()):
            raise ValueError("no")
    assert not admission._devices
    assert not admission._next
