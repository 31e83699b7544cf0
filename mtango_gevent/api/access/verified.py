"""Credentials that were right lately, as verifying them takes a hundred times as long as the rest of a request."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import NamedTuple

from cachetools import LRUCache

from mtango_gevent.api.access.identity import Identity
from mtango_gevent.control.calls import NativeLock

# Credentials that are kept, about half a kilobyte each.
_MOST_KEPT = 10_000


class _Verified(NamedTuple):
    """until: time.monotonic()."""

    identity: Identity
    source: object
    until: float


class VerifiedCredentials:
    """The identities of verified credentials. A keyed digest of the credentials finds an identity.

    An identity is valid while the source that verified its credentials is in force: the content of a file, or keys.
    Verified credentials pass without a delay, whatever other clients of the same user or address do.
    seconds: the time for which they are kept; with `renews`, a use in the second half of that time begins it anew.
    """

    def __init__(self, seconds: float, renews: bool = False) -> None:
        self._seconds, self._renews = seconds, renews
        self._key = secrets.token_bytes(32)
        self._kept: LRUCache[bytes, _Verified] = LRUCache(_MOST_KEPT)
        self._guard = NativeLock()  # held for dictionary work only

    def digest(self, credentials: str) -> bytes:
        return hashlib.blake2b(credentials.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).digest()

    def find(self, source: object, digest: bytes) -> Identity | None:
        """Return the identity. source: what verifies credentials now, such as the content of a file."""
        with self._guard:
            kept = self._kept.get(digest)
        if kept is None or kept.source is not source:
            return None
        left = kept.until - time.monotonic()
        if self._renews and 0 < left < self._seconds / 2:
            self.keep(source, digest, kept.identity)
        return kept.identity if left > 0 else None

    def keep(self, source: object, digest: bytes, identity: Identity, seconds: float | None = None) -> None:
        """Keep the identity of credentials that `source` has verified. seconds: how long, where that is shorter."""
        left = self._seconds if seconds is None else min(seconds, self._seconds)
        with self._guard:
            self._kept[digest] = _Verified(identity, source, time.monotonic() + left)
