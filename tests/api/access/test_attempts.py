"""Delays after wrong passwords."""

from __future__ import annotations

import logging

import pytest

from mtango_gevent.api.access import attempts
from mtango_gevent.api.access.attempts import FREE_OF_ADDRESS, FREE_OF_USER, LONGEST_DELAY, Attempts
from mtango_gevent.errors import ApiError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delays(clock: Clock) -> Attempts:
    return Attempts(clock)


def seconds_refused(delays: Attempts, user: str = "alice", address: str = "10.0.0.1") -> int:
    """Begin an attempt and return the seconds that its client has to wait, 0 for an attempt that is allowed."""
    try:
        delays.begin(user, address)
    except ApiError as refusal:
        return int(str(refusal.headers["Retry-After"]))
    return 0


def test_delay_of_a_user_grows_to_its_limit(delays: Attempts, clock: Clock) -> None:
    assert [seconds_refused(delays) for _ in range(FREE_OF_USER)] == [0] * FREE_OF_USER
    found = []
    for _ in range(8):
        found.append(seconds_refused(delays))
        clock.now += found[-1]
        assert seconds_refused(delays) == 0
    assert found == [1, 2, 4, 8, 16, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


def test_refused_attempts_do_not_prolong_the_delay(delays: Attempts, clock: Clock) -> None:
    for _ in range(500):
        seconds_refused(delays)
    clock.now += 1
    assert seconds_refused(delays) == 0


def test_other_users_and_addresses_do_not_wait(delays: Attempts) -> None:
    for _ in range(50):
        seconds_refused(delays)
    assert seconds_refused(delays, user="bob") == 0
    assert seconds_refused(delays, address="10.0.0.2") == 0


def test_many_users_from_one_address_wait(delays: Attempts) -> None:
    assert {seconds_refused(delays, f"user{n}") for n in range(FREE_OF_ADDRESS)} == {0}
    assert seconds_refused(delays, "another") == 1
    assert seconds_refused(delays, "another", "10.0.0.2") == 0


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("-", "unknown", False),
    ],
)
def test_network_of_an_ipv6_address_counts_as_one(delays: Attempts, one: str, other: str, are_same: bool) -> None:
    for n in range(FREE_OF_ADDRESS):
        seconds_refused(delays, f"user{n}", one)
    assert bool(seconds_refused(delays, "another", other)) == are_same


def test_success_forgets_the_failures_of_the_user(delays: Attempts) -> None:
    for _ in range(FREE_OF_USER - 1):
        delays.begin("alice", "10.0.0.1")
    delays.succeed(delays.begin("alice", "10.0.0.1"))
    assert [seconds_refused(delays) for _ in range(FREE_OF_USER)] == [0] * FREE_OF_USER


def test_success_leaves_the_failures_of_others_from_the_address(delays: Attempts) -> None:
    for n in range(FREE_OF_ADDRESS - 1):
        delays.begin(f"user{n}", "10.0.0.1")
    delays.succeed(delays.begin("alice", "10.0.0.1"))
    delays.succeed(delays.begin("alice", "10.0.0.1"))
    assert seconds_refused(delays, "one") == 0
    assert seconds_refused(delays, "two") == 1


def test_user_who_logged_in_from_an_address_does_not_wait_for_others_there(delays: Attempts) -> None:
    delays.succeed(delays.begin("alice", "10.0.0.1"))
    for n in range(FREE_OF_ADDRESS):
        delays.begin(f"user{n}", "10.0.0.1")
    assert seconds_refused(delays, "bob") == 1
    assert seconds_refused(delays, "alice") == 0


def test_attempt_that_could_not_be_checked_does_not_count(delays: Attempts) -> None:
    for _ in range(100):
        delays.withdraw(delays.begin("alice", "10.0.0.1"))


def test_failures_are_forgotten_after_a_while(delays: Attempts, clock: Clock) -> None:
    for _ in range(100):
        seconds_refused(delays)
    clock.now += attempts._MEMORY + 1
    assert [seconds_refused(delays) for _ in range(FREE_OF_USER)] == [0] * FREE_OF_USER


def test_log_names_an_address_once(delays: Attempts, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for n in range(200):
            seconds_refused(delays, f"user\n{n % 5}")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == r"too many wrong passwords from 10.0.0.1, the last one for user 'user\n0'"


def test_tables_are_bounded(delays: Attempts) -> None:
    for n in range(20_000):
        delays.begin("x" * 10_000, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(delays._failures) == attempts._SIZE
    assert max(len(part) for key in delays._failures for part in key) <= 256
