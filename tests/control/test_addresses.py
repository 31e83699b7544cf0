"""Which names of a host mean the same machine."""

from __future__ import annotations

import socket
import time
from typing import Any

import gevent
import pytest

from mtango_gevent.config import Config
from mtango_gevent.control import addresses
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError
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


@pytest.mark.slow
@in_patched_process
def test_slow_lookup_delays_only_its_caller_and_is_not_repeated_at_once() -> None:
    client = new_client()
    ran = 0

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
    hub: Any = gevent.get_hub()
    hub.resolver = SlowResolver(60.0)
    gevent.spawn(count)
    assert 0.9 < look_up() < 3 * 1
    assert look_up() < 0.5
    assert client.addresses.are_same("127.0.0.1", "localhost")
    assert ran > 10


class SlowResolver:
    """Takes its time for each name, as a name server that is far away does. All names mean 192.0.2.7."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.names: list[str] = []

    def getaddrinfo(self, name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.names.append(name)
        gevent.sleep(self.seconds)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]


def client_with(resolver: SlowResolver) -> TangoClient:
    client = new_client()
    client.concurrency.in_hub()
    hub: Any = gevent.get_hub()
    hub.resolver = resolver
    return client


@pytest.mark.slow
@in_patched_process
def test_lookup_waits_for_a_place_and_a_known_name_needs_none() -> None:
    resolver = SlowResolver(0.2)
    client = client_with(resolver)
    names = [f"host{number}.invalid" for number in range(9)]
    found = [gevent.spawn(client.addresses.are_same, name, "192.0.2.7") for name in [*names, names[0]]]
    assert [greenlet.get(timeout=10) for greenlet in found] == [True] * 10
    resolver.seconds = 60.0
    hanging = [gevent.spawn(client.addresses.are_same, f"slow{number}.invalid", "192.0.2.7") for number in range(4)]
    gevent.sleep(0)
    assert client.addresses.are_same(names[0], "192.0.2.7")
    assert resolver.names[:9] == names
    assert len(resolver.names) == 9 + 4
    gevent.killall(hanging)


@pytest.mark.slow
@in_patched_process
def test_lookup_without_a_place_is_refused_and_its_place_is_not_lost() -> None:
    resolver = SlowResolver(60.0)
    client = client_with(resolver)
    addresses._LOOKUP_SECONDS = 5.0
    hanging = [gevent.spawn(client.addresses.are_same, f"slow{number}.invalid", "192.0.2.7") for number in range(4)]
    gevent.sleep(0)
    addresses._LOOKUP_SECONDS = 0.1
    with pytest.raises(ApiError, match="lookup of a host name") as refusal:
        client.addresses.are_same("host.invalid", "192.0.2.7")
    assert (refusal.value.status, refusal.value.reason) == (503, "MTANGO_PoolExhausted")
    assert refusal.value.headers["Retry-After"] == "1"
    killed = gevent.spawn(client.addresses.are_same, "killed.invalid", "192.0.2.7")
    gevent.sleep(0)
    gevent.killall([killed, *hanging])
    resolver.seconds = 0.0
    for number in range(6):
        assert client.addresses.are_same(f"later{number}.invalid", "192.0.2.7")
