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
    AT_A_TIME,
    MOST_SUBSCRIPTIONS,
    MOST_TARGETS,
    StoreError,
    StoreFull,
    Target,
)

# Seconds that a call waits for the others that write.
_BUSY_TIMEOUT = 3.0

# Targets of forgotten subscriptions that a call deletes: more than it adds, so that they do not pile up.
_CLEARED = 2 * AT_A_TIME

_allocate_lock = monkey.get_original("_thread", "allocate_lock")  # held in native threads, whatever is patched

_SET_UP = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS subscriptions (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, client TEXT NOT NULL, version INTEGER NOT NULL, expires REAL NOT NULL,
    targets INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_client ON subscriptions (client);
CREATE INDEX IF NOT EXISTS by_expiry ON subscriptions (expires);
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS uses (
    subscription INTEGER NOT NULL REFERENCES subscriptions,
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

    def create(self, id: int, owner: str, client: str, targets: int) -> None:
        now = time.time()
        with self._writing() as connection:
            _clear(connection, now)
            _check_limits(connection, client, now, targets)
            row = (id, owner, client, 1, now + self._linger, 0)
            connection.execute("INSERT INTO subscriptions VALUES (?, ?, ?, ?, ?, ?)", row)

    def version(self, id: int, owner: str) -> int | None:
        with self._open() as connection:
            return (_find(connection, id, owner, time.time()) or (None,))[0]

    def events(self, id: int, position: int) -> tuple[dict[int, Target], int]:
        asked = "SELECT id, target FROM uses JOIN events ON id = event WHERE subscription = ? AND event > ?"
        with self._open() as connection:
            rows = connection.execute(f"{asked} ORDER BY event LIMIT ?", (id, position, AT_A_TIME)).fetchall()
        events = {event: Target.of_key(key) for event, key in rows}
        return events, max(events) if len(events) == AT_A_TIME else 0

    def add(self, id: int, owner: str, targets: Collection[Target], most: int) -> bool:
        now = time.time()
        with self._writing() as connection:
            _clear(connection, now)
            if (found := _find(connection, id, owner, now)) is None:
                return False
            _, client, had = found
            new = _add(connection, id, targets)
            if had + new > most:
                raise StoreFull(f"{most} targets of a subscription, got {had + new}")
            _check_targets(connection, client, now, new)
            self._change(connection, id, now, new)
            return True

    def remove(self, id: int, owner: str, targets: Collection[Target]) -> bool:
        now = time.time()
        with self._writing() as connection:
            if _find(connection, id, owner, now) is None:
                return False
            removed = connection.executemany(
                "DELETE FROM uses WHERE subscription = ? AND event = (SELECT id FROM events WHERE target = ?)",
                [(id, target.as_key()) for target in targets],
            ).rowcount
            self._change(connection, id, now, -max(0, removed))
            return True

    def _change(self, connection: sqlite3.Connection, id: int, now: float, targets: int) -> None:
        """Note that so many targets have been added."""
        connection.execute(
            "UPDATE subscriptions SET version = version + 1, expires = ?, targets = targets + ? WHERE id = ?",
            (now + self._linger, targets, id),
        )

    def delete(self, id: int, owner: str) -> bool:
        now = time.time()
        with self._writing() as connection:
            _clear(connection, now)
            found = _find(connection, id, owner, now)
            connection.execute("UPDATE subscriptions SET expires = 0 WHERE id = ? AND owner = ?", (id, owner))
            return found is not None

    def keep(self, ids: Collection[int]) -> None:
        now = time.time()
        with self._writing() as connection:
            _clear(connection, now)
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


def _find(connection: sqlite3.Connection, id: int, owner: str, now: float) -> tuple[int, str, int] | None:
    """Return version, client and number of targets of a subscription; None without it."""
    asked = "SELECT version, client, targets FROM subscriptions WHERE id = ? AND owner = ? AND expires >= ?"
    return connection.execute(asked, (id, owner, now)).fetchone()


def _add(connection: sqlite3.Connection, id: int, targets: Collection[Target]) -> int:
    """Add targets; return how many are new."""
    keys = [target.as_key() for target in targets]
    connection.executemany(  # OR IGNORE would use up an id each time
        "INSERT INTO events (target) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM events WHERE target = ?1)",
        [(key,) for key in keys],
    )
    added = "INSERT OR IGNORE INTO uses SELECT ?, id FROM events WHERE target = ?"
    return max(0, connection.executemany(added, [(id, key) for key in keys]).rowcount)


def _clear(connection: sqlite3.Connection, now: float) -> None:
    """Delete a part of what has been forgotten: targets, then subscriptions without any."""
    expired = "SELECT id FROM subscriptions WHERE expires < ? ORDER BY expires LIMIT ?"
    of_expired = f"SELECT subscription, event FROM uses WHERE subscription IN ({expired}) LIMIT ?"
    asked = f"DELETE FROM uses WHERE (subscription, event) IN ({of_expired})"
    connection.execute(asked, (now, _CLEARED, _CLEARED))
    empty = f"id IN ({expired}) AND NOT EXISTS (SELECT 1 FROM uses WHERE subscription = id)"
    connection.execute(f"DELETE FROM subscriptions WHERE {empty}", (now, _CLEARED))


def _check_limits(connection: sqlite3.Connection, client: str, now: float, targets: int) -> None:
    """Raise StoreFull where the client has too much for a further subscription with so many targets."""
    asked = "SELECT COUNT(*) FROM subscriptions WHERE client = ? AND expires >= ?"
    (subscriptions,) = connection.execute(asked, (client, now)).fetchone()
    if subscriptions >= MOST_SUBSCRIPTIONS:
        raise StoreFull(f"{MOST_SUBSCRIPTIONS} subscriptions of one client")
    _check_targets(connection, client, now, targets)


def _check_targets(connection: sqlite3.Connection, client: str, now: float, targets: int) -> None:
    asked = "SELECT COALESCE(SUM(targets), 0) FROM subscriptions WHERE client = ? AND expires >= ?"
    (had,) = connection.execute(asked, (client, now)).fetchone()
    if had + targets > MOST_TARGETS:
        raise StoreFull(f"{MOST_TARGETS} targets of one client")
