"""Which store the settings ask for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mtango_gevent.config import Config, ConfigError
from mtango_gevent.store.interface import Store
from mtango_gevent.store.sqlite_store import SqliteStore

_FILE = "subscriptions.sqlite"


def check_store(config: Config) -> None:
    """Raise ConfigError for a store that cannot be used here."""
    if config.store and importlib.util.find_spec("redis") is None:
        raise ConfigError("MTANGO_STORE needs the package redis, which is not installed (the extra `redis`)")


def open_store(config: Config, folder: Path | None) -> Store:
    """Return the store, connected to nothing yet. folder: that of the gateway's workers; None for a single process."""
    if not config.store:
        return SqliteStore(str(folder / _FILE) if folder else ":memory:", config.stream_linger)
    from mtango_gevent.store.redis_store import RedisStore

    return RedisStore(config.store, config.stream_linger)
