"""Host names: whether two of them mean the same machine."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from typing import Any

import gevent.socket
from cachetools import TLRUCache

from mtango_gevent.control.calls import Concurrency, NativeLock, Signal, getaddrinfo
from mtango_gevent.errors import ApiError
from mtango_gevent.ip_address import Address, parse_address

# Seconds that a lookup may take, and for which its result and its failure are kept.
_LOOKUP_SECONDS = 1.0
_LIFETIME = 60.0
_FAILURE_LIFETIME = 5.0

_MOST_NAMES = 1000

# Lookups at a time. Clients choose the names, and one that hangs holds a thread of gevent for longer than its caller.
_MOST_LOOKUPS = 4

# Needs no lookup: lookups of other names that do not end must not keep it from being known.
_LOCAL = "localhost"

# Stands for every address of this machine, so that `localhost` and the name of the machine are the same.
_THIS_MACHINE = "this machine"


def plain(host: str) -> str:
    """`host` in lower case, without the brackets of an IPv6 address."""
    return host.lower().removeprefix("[").removesuffix("]")


class Addresses:
    """Addresses of hosts by name. A lookup delays its caller only, for _LOOKUP_SECONDS at most.

    A further lookup waits for as long while there are too many.
    """

    def __init__(self, concurrency: Concurrency) -> None:
        self._concurrency = concurrency
        self._known: TLRUCache[str, frozenset[str]] = TLRUCache(_MOST_NAMES, _expiry, time.monotonic)
        self._lookups = 0  # under way
        self._waiting: deque[Signal] = deque()  # of lookups, each to be handed the place of one that ends
        self._guard = NativeLock()  # held for dictionary work only

    def are_same(self, one: str, other: str) -> bool:
        """Return whether both names mean the same machine. A name without an address is the same as itself only.

        Raises ApiError 503 while there are too many lookups.
        """
        one, other = plain(one), plain(other)
        return one == other or bool(self._find(one) & self._find(other))

    def _find(self, name: str) -> frozenset[str]:
        if name == _LOCAL:
            return frozenset({_THIS_MACHINE})
        address = parse_address(name)
        if address is not None:
            return frozenset({_canonical(address)})
        found = self._find_known(name)
        if found is None:
            self._acquire()
            try:
                found = self._find_known(name) or self._look_up(name)
                with self._guard:
                    self._known[name] = found
            finally:
                self._release()
        return found

    def _find_known(self, name: str) -> frozenset[str] | None:
        with self._guard:
            return self._known.get(name)

    def _acquire(self) -> None:
        """Wait for one of the places for lookups. Raises ApiError 503 without one."""
        turn = self._concurrency.signal()
        with self._guard:
            if self._lookups < _MOST_LOOKUPS:
                self._lookups += 1
                return
            self._waiting.append(turn)
        try:
            turn.wait(_LOOKUP_SECONDS)
        except BaseException:  # the greenlet was killed, perhaps just as it was handed a place
            if not self._withdraw(turn):
                self._release()
            raise
        if self._withdraw(turn):
            description = f"no place for the lookup of a host name was free within {_LOOKUP_SECONDS:g} s"
            raise ApiError(503, "MTANGO_PoolExhausted", description, {"Retry-After": "1"})

    def _withdraw(self, turn: Signal) -> bool:
        """Return whether a lookup was still waiting; it is not any more."""
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return True
        return False

    def _release(self) -> None:
        with self._guard:
            if not self._waiting:
                self._lookups -= 1
                return
            turn = self._waiting.popleft()
        turn.set()

    def _look_up(self, name: str) -> frozenset[str]:
        # gevent's own resolver uses threads; a thread without a hub must not get a hub by asking it.
        look_up: Any = gevent.socket.getaddrinfo if self._concurrency.in_hub() else getaddrinfo
        try:
            found = self._concurrency.call_within(_LOOKUP_SECONDS, lambda: look_up(name, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError, TimeoutError):
            return frozenset()
        parsed = (parse_address(str(address[0])) for *_, address in found)
        return frozenset(_canonical(address) for address in parsed if address is not None)


def _expiry(_name: str, addresses: frozenset[str], now: float) -> float:
    return now + (_LIFETIME if addresses else _FAILURE_LIFETIME)


def _canonical(address: Address) -> str:
    return _THIS_MACHINE if address.is_loopback or _is_local(address) else str(address)


def _is_local(address: Address) -> bool:
    """Whether the address is one of this machine: only such an address can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False
