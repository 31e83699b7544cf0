"""The store of subscriptions of one application: its calls beside the hub, and the look-out for changes."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from mtango_gevent.config import Config
from mtango_gevent.control.calls import NativeLock
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError, DevFailed
from mtango_gevent.store import Store, StoreError, StoreFull, Subscription, Subscriptions, check_store, open_store

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds after which the secret is asked for again, as a Redis may have lost it.
_SECRET_VALID = 10.0

# Seconds between two looks for changes that other workers have made of followed subscriptions.
_LOOK_EVERY = 0.3


class Follower:
    """A stream that is told about each change of its subscription. on_change: called in any greenlet or thread."""

    __slots__ = ("id", "on_change", "version")

    def __init__(self, subscription: Subscription, on_change: Callable[[], None]) -> None:
        self.id, self.version, self.on_change = subscription.id, subscription.version, on_change


class SubscriptionStore(Subscriptions):
    """Opens the store with the first call, as nothing may be open before the fork. Raises ConfigError."""

    def __init__(self, config: Config, client: TangoClient) -> None:
        check_store(config)
        self._config, self._client = config, client
        self._store: Store | None = None
        self._secret, self._ask_secret_at = client.metrics.slot.scoreboard.secret, 0.0
        self._guard = NativeLock()
        self._followers = dict[Follower, None]()
        self._watching = False

    def run(self, ask: Callable[[Store], T]) -> T:
        """Return what `ask` returns. Raises ApiError 503 where the store cannot be used, or would have too much."""
        store = self._open()
        try:
            if store.yields:
                return self._ask_in_turn(ask, store)
            return self._client.partitions.subscriptions.call("file", ask, store)
        except StoreError as error:
            raise ApiError(503, "MTANGO_StoreFailed", f"the store of subscriptions: {error}") from None
        except StoreFull as full:
            raise ApiError(503, "MTANGO_TooManySubscriptions", f"expected at most {full}") from None

    def _ask_in_turn(self, ask: Callable[[Store], T], store: Store) -> T:
        """Ask, and let those that wait for the same connection go before the next call of this client."""
        try:
            return ask(store)
        finally:
            self._client.concurrency.sleep(0)

    def secret(self) -> bytes:
        """Return the secret that the workers share, with which they sign tokens; the last one if the store fails."""
        if time.monotonic() >= self._ask_secret_at:
            own = self._client.metrics.slot.scoreboard.secret
            with contextlib.suppress(ApiError, DevFailed):
                self._secret = self.run(lambda store: store.secret(own))
            self._ask_secret_at = time.monotonic() + _SECRET_VALID
        return self._secret

    def problem(self) -> str:
        """Return why the store cannot be used, empty where it can."""
        try:
            self.run(lambda store: store.check())
        except ApiError as error:
            return error.description
        except DevFailed as failure:
            return f"the store of subscriptions: {failure.args[0].desc}"
        return ""

    def _open(self) -> Store:
        with self._guard:
            if self._store is None:
                self._store = open_store(self._config, self._client.metrics.slot.scoreboard.folder)
            return self._store

    # --- changes ---

    def follow(self, subscription: Subscription, on_change: Callable[[], None]) -> Follower:
        """Keep the subscription, and tell about its changes, as long as it is followed."""
        follower = Follower(subscription, on_change)
        with self._guard:
            self._followers[follower] = None
            begins, self._watching = not self._watching, True
        if begins:
            self._client.concurrency.spawn(self._watch)
        return follower

    def leave(self, follower: Follower) -> None:
        """End following. A follower may leave several times."""
        with self._guard:
            self._followers.pop(follower, None)

    def _watch(self) -> None:
        kept_at, keep_every = 0.0, self._config.stream_linger / 4
        while followers := self._followed():
            ids = {follower.id for follower in followers}
            try:
                if time.monotonic() >= kept_at + keep_every:
                    self.run(lambda store, ids=ids: store.keep(ids))
                    kept_at = time.monotonic()
                _tell(followers, self.run(lambda store, ids=ids: store.versions(ids)))
            except (ApiError, DevFailed):  # as /readyz says
                pass
            except Exception:
                logger.exception("the look-out for changes of subscriptions failed and goes on")
            self._client.concurrency.sleep(min(_LOOK_EVERY, keep_every))

    def _followed(self) -> list[Follower]:
        """Return the followers; without any, the look-out ends."""
        with self._guard:
            self._watching = bool(self._followers)
            return list(self._followers)


def _tell(followers: list[Follower], versions: dict[int, int]) -> None:
    """Tell each follower whose subscription has another version, or is not there any more."""
    for follower in followers:
        version = versions.get(follower.id, 0)
        if version != follower.version:
            follower.version = version
            follower.on_change()
