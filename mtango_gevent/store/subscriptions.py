"""Whole subscriptions, of any number of targets, out of the short calls of a store."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Collection, ItemsView, Iterable, Iterator
from typing import TypeVar

from mtango_gevent.store.interface import AT_A_TIME, Store, Subscription, Target

T = TypeVar("T")


class Subscriptions(abc.ABC):
    """Each method makes one or more short calls of the store. Other clients may change the store between two calls.

    The methods raise what `run` raises.
    """

    @abc.abstractmethod
    def run(self, ask: Callable[[Store], T]) -> T:
        """Return what `ask` returns."""

    def create(self, id: int, owner: str, client: str, targets: Collection[Target]) -> Subscription | None:
        """Make a subscription, all or nothing of it. client: whose limits count."""
        self.run(lambda store: store.create(id, owner, client, len(targets)))
        try:
            self._add(id, owner, targets, len(targets))
        except Exception:
            self.delete(id, owner)
            raise
        return self.read(id, owner)

    def read(self, id: int, owner: str) -> Subscription | None:
        version = self.run(lambda store: store.version(id, owner))  # first, as the events may change meanwhile
        if version is None:
            return None
        events = dict(itertools.chain.from_iterable(self._events(id)))
        return Subscription(id, version, {event: events[event] for event in sorted(events)})

    def extend(self, id: int, owner: str, targets: Collection[Target], most: int) -> Subscription | None:
        """Add all targets or none. most: targets that the subscription may have."""
        before = self.read(id, owner)
        if before is None:
            return None
        try:
            self._add(id, owner, targets, most)
        except Exception:
            known = set(before.events.values())
            self.remove(id, owner, [target for target in targets if target not in known])
            raise
        return self._keep(id, owner)

    def remove(self, id: int, owner: str, targets: Collection[Target]) -> Subscription | None:
        for some in _pieces(targets):
            self.run(lambda store, some=some: store.remove(id, owner, some))
        return self._keep(id, owner)

    def delete(self, id: int, owner: str) -> bool:
        """Delete a subscription; return whether there was one."""
        return self.run(lambda store: store.delete(id, owner))

    def _add(self, id: int, owner: str, targets: Collection[Target], most: int) -> None:
        for some in _pieces(targets):
            self.run(lambda store, some=some: store.add(id, owner, some, most))

    def _keep(self, id: int, owner: str) -> Subscription | None:
        """Keep the subscription and the ids of its events; return it."""
        found = self.read(id, owner)
        if found is not None:
            self.run(lambda store: store.keep([id]))
        return found

    def _events(self, id: int) -> Iterator[ItemsView[int, Target]]:
        position = None
        while position != 0:
            events, position = self.run(lambda store, begin=position or 0: store.events(id, begin))
            yield events.items()


def _pieces(targets: Iterable[Target]) -> Iterator[list[Target]]:
    left = iter(targets)
    while some := list(itertools.islice(left, AT_A_TIME)):
        yield some
