"""Which names of a host mean the same machine."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from mtango_gevent.config import Config
from mtango_gevent.control import addresses
from mtango_gevent.control.client import TangoClient


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


def test_a_slow_lookup_holds_up_its_caller_only_and_not_for_long(patched: Callable[..., dict]) -> None:
    found = patched("slow_names")
    (first, seconds), (second, again) = found["first"], found["second"]
    assert not first
    assert not second
    assert 0.9 < seconds < 3 * 1
    assert again < 0.5
    assert found["known"]
    assert found["ran"] > 10
