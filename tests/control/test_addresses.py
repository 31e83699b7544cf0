"""Which names of a host mean the same machine."""

from __future__ import annotations

import socket
import time

import gevent
import pytest

from mtango_gevent.config import Config
from mtango_gevent.control import addresses
from mtango_gevent.control.client import TangoClient
from tests.control.concurrency import new_client
from tests.patched_process import in_patched_process


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("db.invalid", "DB.invalid", True),
        ("[2001:db8::1]", "2001:DB8::1", True),
        ("2001:db8::1", "2001:db8:0:0::1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("localhost", "127.0.0.1", True),
        ("localhost", "::1", True),
        (socket.gethostname(), "localhost", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "localhost", False),
        ("db.invalid", "other.invalid", False),
        ("localhost", "other.invalid", False),
        ("localhost", "x" * 300, False),
        ("localhost", "\xff..\xff", False),
    ],
)
def test_names_of_the_same_machine(one: str, other: str, same: bool) -> None:
    known = TangoClient(Config()).addresses
    assert known.are_same(one, other) == same
    assert known.are_same(other, one) == same


@pytest.mark.parametrize("other", ["127.0.0.1", "::1", "[::ffff:127.0.0.1]"])
def test_localhost_and_addresses_need_no_lookup(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    """Lookups of other names that do not end take all threads for lookups."""

    def fail(*_arguments: object, **_keywords: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(addresses, "getaddrinfo", fail)
    assert TangoClient(Config()).addresses.are_same("localhost", other)


@in_patched_process
def test_slow_lookup_delays_only_its_caller_and_is_not_repeated_at_once() -> None:
    client = new_client()
    ran = 0

    class SlowResolver:
        def getaddrinfo(self, *_: object, **__: object) -> None:
            gevent.sleep(60)

    def count() -> None:
        nonlocal ran
        while True:
            ran += 1
            gevent.sleep(0.01)

    def look_up() -> float:
        """Return how long it took, in seconds."""
        began = time.monotonic()
        assert not client.addresses.are_same("127.0.0.1", "slow.invalid")
        return time.monotonic() - began

    client.concurrency.in_hub()
    assert client.addresses.are_same("127.0.0.1", "localhost")
    gevent.get_hub().resolver = SlowResolver()
    gevent.spawn(count)
    assert 0.9 < look_up() < 3 * 1
    assert look_up() < 0.5
    assert client.addresses.are_same("127.0.0.1", "localhost")
    assert ran > 10
