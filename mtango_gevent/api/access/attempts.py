"""Delays after wrong passwords: they grow with each further one of the same user and address, or of one address."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Callable
from typing import TypeAlias

from cachetools import TTLCache

from mtango_gevent.control.calls import NativeLock
from mtango_gevent.errors import ApiError
from mtango_gevent.ip_address import parse_address

logger = logging.getLogger(__name__)

# Wrong passwords without a delay: for a user from one address, and for all users from one address.
FREE_OF_USER, FREE_OF_ADDRESS = 3, 10

# The longest delay, seconds.
LONGEST_DELAY = 30.0

# Seconds after the last wrong password in which it counts.
_MEMORY = 600.0

# Seconds in which a user who has logged in from an address does not wait for the failures of others from there.
_TRUST = 86400.0

# Entries of each table.
_SIZE = 10_000

# An address, or a user from an address.
Key: TypeAlias = tuple[str, ...]


class _Failures:
    """Wrong passwords in a row. free: those without a delay; last: when the last attempt began."""

    __slots__ = ("count", "free", "last")

    def __init__(self, free: int) -> None:
        self.free, self.count, self.last = free, 0, 0.0

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the next attempt is allowed, 0 or less where it is."""
        if self.count < self.free:
            return 0.0
        return self.last + min(LONGEST_DELAY, 2.0 ** min(self.count - self.free, 10)) - now


class Attempts:
    """The attempts to log in of an application, in tables of bounded size.

    An attempt counts as failed from its beginning, so that many at the same moment are no way round the delay.
    clock: returns seconds; failures: their name in texts, in the plural.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, failures: str = "wrong passwords") -> None:
        self._of, self._clock = failures, clock
        self._failures: TTLCache[Key, _Failures] = TTLCache(_SIZE, _MEMORY, clock)
        self._trusted: TTLCache[Key, bool] = TTLCache(_SIZE, _TRUST, clock)
        self._reported: TTLCache[Key, bool] = TTLCache(_SIZE, _MEMORY, clock)
        self._guard = NativeLock()  # held for dictionary work only

    def begin(self, user: str | None, address: str) -> list[Key]:
        """Count an attempt, and return under which keys. Raises ApiError 429 where it comes too early.

        user: None for attempts that name none, which count for the address only.
        """
        source = _source(address)
        keys = [source] if user is None else [(*source, user[:256]), source]
        with self._guard:
            now = self._clock()
            if keys[0] in self._trusted:
                keys = keys[:1]
            left = max(known.seconds_left(now) if (known := self._failures.get(key)) else 0.0 for key in keys)
            if left <= 0:
                for key in keys:
                    self._count(key, now)
                return keys
            is_new = source not in self._reported
            self._reported[source] = True  # anew: once until the address has been quiet for a while
        if is_new:
            last = "" if user is None else f", the last one for user {user[:64]!a}"
            logger.warning("too many %s from %s%s", self._of, source[0], last)
        seconds, of_user = math.ceil(left), "" if user is None else "user or "
        description = f"too many {self._of} of this {of_user}address: wait for {seconds} s"
        raise ApiError(429, "MTANGO_TooManyAttempts", description, {"Retry-After": str(seconds)})

    def succeed(self, keys: list[Key]) -> None:
        """Forget this attempt and the failures of its user, or address where it names none.

        keys: what `begin` has returned.
        """
        self.withdraw(keys)
        with self._guard:
            self._failures.pop(keys[0], None)
            self._trusted[keys[0]] = True

    def withdraw(self, keys: list[Key]) -> None:
        """Forget an attempt whose password could not be checked."""
        with self._guard:
            for key in keys:
                known = self._failures.get(key)
                if known:
                    known.count -= 1

    def _count(self, key: Key, now: float) -> None:
        known = self._failures.pop(key, None) or _Failures(FREE_OF_USER if len(key) > 1 else FREE_OF_ADDRESS)
        known.count, known.last = known.count + 1, now
        self._failures[key] = known  # anew, as its time begins anew


def _source(address: str) -> Key:
    """Return the key of an address; all of an IPv6 network of 64 bits is one."""
    found = parse_address(address)
    if found is None:  # a proxy may forward any text
        return (ascii(address[:64]),)
    return (str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found),)
