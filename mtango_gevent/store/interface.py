"""What a store keeps of subscriptions, and the calls that both stores have."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple, Protocol

# Subscriptions of one client, and their targets, at most. tango-rest-client makes a new one after each lost connection.
MOST_SUBSCRIPTIONS, MOST_TARGETS = 5_000, 100_000

# Targets that are added, removed or read with one call: each is a short transaction, and takes turns with the others.
AT_A_TIME = 200


class Target(NamedTuple):
    """What an event is of. The texts are those of the client, as it compares them with those of the answer."""

    host: str
    device: str
    attribute: str
    type: str

    def as_key(self) -> str:
        return json.dumps(self)

    @classmethod
    def of_key(cls, key: str) -> Target:
        return cls(*json.loads(key))


class Subscription(NamedTuple):
    """version: another one after each change; events: the targets by the id of their events, in its order."""

    id: int
    version: int
    events: dict[int, Target]


class StoreError(Exception):
    """The store cannot be used. Its text says why, without a password."""


class StoreFull(Exception):
    """A subscription or a client would have too much. Its text says of what."""


class Store(Protocol):
    """The subscriptions, each with its owner. The subscription of another owner does not exist for the caller.

    A subscription is forgotten when `linger` seconds have passed since it was made, changed or kept. The id of an event
    belongs to its target as long as any subscription has it, and never to another one. Each call is short, so that
    no client holds up the others: it takes `AT_A_TIME` targets at most. Each call raises StoreError.
    yields: whether the calls let other greenlets run, and need no thread.
    """

    yields: bool

    def create(self, id: int, owner: str, client: str, targets: int) -> None:
        """Make a subscription, to which so many targets will be added. client: whose limits count. Raises StoreFull."""
        ...

    def version(self, id: int, owner: str) -> int | None:
        """Return the version of a subscription; None without it."""
        ...

    def events(self, id: int, position: int) -> tuple[dict[int, Target], int]:
        """Return events of a subscription from a position, 0 at first, and the next position; 0 at the end."""
        ...

    def add(self, id: int, owner: str, targets: Collection[Target], most: int) -> bool:
        """Add targets, up to that many; return whether the subscription exists. Raises StoreFull."""
        ...

    def remove(self, id: int, owner: str, targets: Collection[Target]) -> bool:
        """Remove targets; return whether the subscription exists."""
        ...

    def delete(self, id: int, owner: str) -> bool:
        """Delete a subscription; return whether there was one."""
        ...

    def keep(self, ids: Collection[int]) -> None:
        """Note that these subscriptions are in use."""
        ...

    def versions(self, ids: Collection[int]) -> dict[int, int]:
        """Return the versions of those subscriptions that exist."""
        ...

    def secret(self, own: bytes) -> bytes:
        """Return the secret that all workers with this store share. own: that of this gateway, which is offered."""
        ...

    def check(self) -> None:
        """Raise StoreError where the store does not answer."""
        ...
