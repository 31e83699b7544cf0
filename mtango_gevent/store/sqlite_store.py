"""Subscriptions in a file of SQLite, which the workers of one machine share.

A power failure may take the file along: it is in memory mostly, and its gateway has ended then.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Collection, Iterator

from gevent import monkey

from mtango_gevent.store.interface import (
    MOST_SUBSCRIPTIONS,
    MOST_TARGETS,
    StoreError,
    StoreFull,
    Subscription,
    Target,
)

# Seconds that a call waits for the others that write.
_BUSY_TIMEOUT = 3.0

_allocate_lock = monkey.get_original("_thread", "allocate_lock")  # held in native threads, whatever is patched

_SET_UP = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS subscriptions (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, client TEXT NOT NULL, version INTEGER NOT NULL, expires REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_client ON subscriptions (client);
CREATE INDEX IF NOT EXISTS by_expiry ON subscriptions (expires);
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS uses (
    subscription INTEGER NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    event INTEGER NOT NULL REFERENCES events,
    PRIMARY KEY (subscription, event)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_event ON uses (event);
CREATE TRIGGER IF NOT EXISTS forget_event AFTER DELETE ON uses
WHEN NOT EXISTS (SELECT 1 FROM uses WHERE event = OLD.event)
BEGIN DELETE FROM events WHERE id = OLD.event; END;
COMMIT;
"""


class SqliteStore:
    """path: of the file, `:memory:` for that of one process."""

    yields = False

    def __init__(self, path: str, linger: float) -> None:
        self._path, self._linger = path, linger
        self._connection: sqlite3.Connection | None = None
        self._guard = _allocate_lock()

    @contextlib.contextmanager
    def _open(self, begin: str = "BEGIN") -> Iterator[sqlite3.Connection]:
        """Begin a transaction, and end it. Raises StoreError."""
        with self._guard:
            try:
                connection = self._connection = self._connection or self._connect()
                connection.execute(begin)
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreError(f"SQLite: {error}") from None

    def _writing(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        return self._open("BEGIN IMMEDIATE")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, _BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        connection.executescript(_SET_UP)
        return connection

    def create(self, id: int, owner: str, client: str, targets: Collection[Target]) -> Subscription:
        now = time.time()
        with self._writing() as connection:
            connection.execute("DELETE FROM subscriptions WHERE expires < ?", (now,))
            _check_limits(connection, client, len(targets))
            row = (id, owner, client, 1, now + self._linger)
            connection.execute("INSERT INTO subscriptions VALUES (?, ?, ?, ?, ?)", row)
            _add(connection, id, targets)
            return Subscription(id, 1, _events(connection, id))

    def read(self, id: int, owner: str) -> Subscription | None:
        with self._open() as connection:
            version = _version(connection, id, owner)
            return Subscription(id, version, _events(connection, id)) if version else None

    def extend(self, id: int, owner: str, targets: Collection[Target], most: int) -> Subscription | None:
        with self._writing() as connection:
            version = _version(connection, id, owner)
            if not version:
                return None
            _add(connection, id, targets)
            events = _events(connection, id)
            if len(events) > most:
                raise StoreFull(f"{most} targets of a subscription, got {len(events)}")
            return self._changed(connection, Subscription(id, version + 1, events))

    def remove(self, id: int, owner: str, targets: Collection[Target]) -> Subscription | None:
        with self._writing() as connection:
            version = _version(connection, id, owner)
            if not version:
                return None
            connection.executemany(
                "DELETE FROM uses WHERE subscription = ? AND event = (SELECT id FROM events WHERE target = ?)",
                [(id, target.as_key()) for target in targets],
            )
            return self._changed(connection, Subscription(id, version + 1, _events(connection, id)))

    def _changed(self, connection: sqlite3.Connection, subscription: Subscription) -> Subscription:
        row = (subscription.version, time.time() + self._linger, subscription.id)
        connection.execute("UPDATE subscriptions SET version = ?, expires = ? WHERE id = ?", row)
        return subscription

    def delete(self, id: int, owner: str) -> bool:
        with self._writing() as connection:
            found = _version(connection, id, owner)
            connection.execute("DELETE FROM subscriptions WHERE id = ? AND owner = ?", (id, owner))
            return found is not None

    def keep(self, ids: Collection[int]) -> None:
        now = time.time()
        with self._writing() as connection:
            connection.executemany(
                "UPDATE subscriptions SET expires = ? WHERE id = ? AND expires >= ?",
                [(now + self._linger, id, now) for id in ids],
            )

    def versions(self, ids: Collection[int]) -> dict[int, int]:
        asked = "SELECT id, version FROM subscriptions WHERE id IN (SELECT value FROM json_each(?)) AND expires >= ?"
        with self._open() as connection:
            return dict(connection.execute(asked, (json.dumps(list(ids)), time.time())))

    def secret(self, own: bytes) -> bytes:
        return own  # the file is that of one gateway

    def check(self) -> None:
        with self._open():
            pass


def _version(connection: sqlite3.Connection, id: int, owner: str) -> int | None:
    asked = "SELECT version FROM subscriptions WHERE id = ? AND owner = ? AND expires >= ?"
    row = connection.execute(asked, (id, owner, time.time())).fetchone()
    return row and row[0]


def _events(connection: sqlite3.Connection, id: int) -> dict[int, Target]:
    asked = "SELECT id, target FROM uses JOIN events ON id = event WHERE subscription = ? ORDER BY id"
    return {event: Target.of_key(key) for event, key in connection.execute(asked, (id,))}


def _add(connection: sqlite3.Connection, id: int, targets: Collection[Target]) -> None:
    keys = [target.as_key() for target in targets]
    connection.executemany(  # OR IGNORE would use up an id each time
        "INSERT INTO events (target) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM events WHERE target = ?1)",
        [(key,) for key in keys],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO uses SELECT ?, id FROM events WHERE target = ?", [(id, key) for key in keys]
    )


def _check_limits(connection: sqlite3.Connection, client: str, targets: int) -> None:
    of_client = "FROM subscriptions WHERE client = ?"
    (subscriptions,) = connection.execute(f"SELECT COUNT(*) {of_client}", (client,)).fetchone()
    if subscriptions >= MOST_SUBSCRIPTIONS:
        raise StoreFull(f"{MOST_SUBSCRIPTIONS} subscriptions of one client")
    asked = f"SELECT COUNT(*) FROM uses WHERE subscription IN (SELECT id {of_client})"
    (used,) = connection.execute(asked, (client,)).fetchone()
    if used + targets > MOST_TARGETS:
        raise StoreFull(f"{MOST_TARGETS} targets of one client")
