"""The store of subscriptions: the same tests for a file of SQLite and for a real Redis."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from mtango_gevent.config import Config
from mtango_gevent.store import Store, StoreError, StoreFull, Subscriptions, Target, interface, open_store
from tests.redis_server import RedisServer, disconnect, redis_server
from tests.waiting import wait_until

T = TypeVar("T")

OWNER, CLIENT = "basic:anna", "10.0.0.1"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Opened(Subscriptions):
    """An open store, as one worker uses it. calls: how many there were."""

    def __init__(self, store: Store) -> None:
        self.store, self.calls = store, 0

    def run(self, ask: Callable[[Store], T]) -> T:
        self.calls += 1
        return ask(self.store)


Open = Callable[..., Opened]


@pytest.fixture(params=["sqlite", "redis"])
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens the same store each time, as several workers do. It is empty at first."""
    url = ""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        url = server.url
        server.stop()
        server.start()
    opened: list[Opened] = []

    def open_one(linger: float = 60.0) -> Opened:
        opened.append(Opened(open_store(Config(store=url, stream_linger=linger), tmp_path)))
        return opened[-1]

    yield open_one
    for each in opened:
        disconnect(each.store)


@pytest.fixture
def store(open_one: Open) -> Opened:
    return open_one()


def targets(*names: str) -> list[Target]:
    return [Target("here:10000", "sys/tg_test/1", name, "change") for name in names]


def test_ids_of_events_begin_with_1_and_belong_to_the_target_in_all_subscriptions(
    store: Opened, open_one: Open
) -> None:
    one, two = targets("one", "two")
    assert store.create(7, OWNER, CLIENT, [one]).events == {1: one}
    assert open_one().create(8, "", "10.0.0.2", [two, one]).events == {1: one, 2: two}
    exact = Target("HERE:10000", "sys/\"tg'\\test/ü", "One\n", "CHANGE")
    assert store.create(9, OWNER, CLIENT, [exact]).events == {3: exact}
    assert open_one().read(9, OWNER).events == {3: exact}


def test_subscription_is_shared_extended_reduced_and_deleted(store: Opened, open_one: Open) -> None:
    one, two, three = targets("one", "two", "three")
    other = open_one()
    new = store.create(2**53 - 1, OWNER, CLIENT, [])
    assert (new.id, new.events) == (2**53 - 1, {})
    extended = other.extend(new.id, OWNER, [one, two, one], 10)
    assert extended is not None
    assert extended.events == {1: one, 2: two}
    assert store.store.versions([new.id, 5]) == {new.id: extended.version}
    assert extended.version != new.version
    reduced = store.remove(new.id, OWNER, [one, three])
    assert reduced is not None
    assert reduced.events == {2: two}
    assert other.read(new.id, OWNER) == reduced
    assert other.store.versions([new.id])[new.id] not in (new.version, extended.version)
    assert other.delete(new.id, OWNER)
    assert store.read(new.id, OWNER) is None
    assert store.store.versions([new.id]) == {}
    assert not store.delete(new.id, OWNER)
    assert store.extend(new.id, OWNER, [one], 10) is None
    assert store.remove(new.id, OWNER, [one]) is None


def test_subscription_of_another_owner_does_not_exist(store: Opened) -> None:
    one, two = targets("one", "two")
    store.create(7, OWNER, CLIENT, [one])
    for owner in ("", "basic:ben", "key:anna"):
        assert store.read(7, owner) is None
        assert store.extend(7, owner, [two], 10) is None
        assert store.remove(7, owner, [one]) is None
        assert not store.delete(7, owner)
    found = store.read(7, OWNER)
    assert found is not None
    assert found.events == {1: one}


@pytest.mark.slow
def test_subscription_without_use_is_forgotten_and_its_ids_are_not_used_again(open_one: Open) -> None:
    one, two = targets("one", "two")
    store = open_one(linger=1.0)
    store.create(7, OWNER, CLIENT, [one])
    store.create(8, OWNER, CLIENT, [one, two])
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        store.store.keep([8])
        time.sleep(0.1)
    assert set(store.store.versions([7, 8])) == {8}
    assert store.read(7, OWNER) is None
    assert store.create(9, OWNER, CLIENT, [one]).events == {1: one}  # as a kept subscription has it
    wait_until(lambda: not store.store.versions([8, 9]))
    time.sleep(1.5)  # Redis keeps the ids of events a little longer
    assert store.create(10, OWNER, CLIENT, [two]).events == {3: two}


def test_limits_of_a_client_and_of_a_subscription(store: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sqlite_store", "redis_store"):
        monkeypatch.setattr(f"mtango_gevent.store.{module}.MOST_SUBSCRIPTIONS", 2)
        monkeypatch.setattr(f"mtango_gevent.store.{module}.MOST_TARGETS", 3)
    store.create(1, OWNER, CLIENT, targets("a", "b"))
    with pytest.raises(StoreFull, match="3 targets of one client"):
        store.create(2, OWNER, CLIENT, targets("a", "c"))
    store.create(2, OWNER, CLIENT, targets("a"))
    with pytest.raises(StoreFull, match="2 subscriptions of one client"):
        store.create(3, OWNER, CLIENT, [])
    store.create(3, OWNER, "10.0.0.9", targets("a"))
    with pytest.raises(StoreFull, match="3 targets of a subscription, got 4"):
        store.extend(1, OWNER, targets("c", "d", "a"), 3)
    kept = store.read(1, OWNER)
    assert kept is not None
    assert kept.events == dict(enumerate(targets("a", "b"), 1))
    with pytest.raises(StoreFull, match="3 targets of one client"):
        store.extend(1, OWNER, targets("c", "a"), 3)
    assert store.delete(2, OWNER)
    assert store.extend(1, OWNER, targets("c", "a"), 3) is not None
    assert store.delete(1, OWNER)
    assert store.create(4, OWNER, CLIENT, []) is not None


def test_gateways_with_one_redis_share_a_secret(redis: RedisServer) -> None:
    stores = [open_store(Config(store=redis.url), None) for _ in range(3)]
    offered = [bytes([number]) * 32 for number in range(3)]
    with ThreadPoolExecutor(3) as threads:
        found = set(threads.map(lambda number: stores[number].secret(offered[number]), range(3)))
    for store in stores:
        disconnect(store)
    assert len(found) == 1
    assert found <= set(offered)


def test_secret_of_one_machine_is_that_of_its_gateway(tmp_path: Path) -> None:
    assert open_store(Config(), tmp_path).secret(b"own") == b"own"


def test_four_workers_make_and_extend_at_the_same_moment(open_one: Open) -> None:
    stores = [open_one() for _ in range(4)]
    named = targets(*map(str, range(20)))

    def work(number: int) -> dict[int, Target]:
        store = stores[number % 4]
        store.create(number + 1, OWNER, CLIENT, named[:10])
        found = stores[(number + 1) % 4].extend(number + 1, OWNER, named[5:], 100)
        assert found is not None
        return found.events

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(work, range(200)))
    assert all(events == found[0] for events in found)
    assert sorted(found[0].values()) == sorted(named)


def test_many_targets_of_a_subscription(store: Opened) -> None:
    named = targets(*map(str, range(10_000)))
    assert list(store.create(1, OWNER, CLIENT, named).events.values()) == named
    store.store.keep([1])
    assert store.read(1, OWNER) is not None


def test_many_targets_are_added_read_and_removed_in_short_calls(store: Opened) -> None:
    """Each call holds up the other clients of the store, and its answer is decoded in one piece."""
    named = targets(*map(str, range(10_000)))
    store.create(1, OWNER, CLIENT, named)
    assert store.calls > 2 * 10_000 / 250  # added and read
    assert list(store.remove(1, OWNER, named[5_000:]).events.values()) == named[:5_000]
    position, sizes = None, []
    while position != 0:
        events, position = store.store.events(1, position or 0)
        sizes.append(len(events))
    assert max(sizes) < 2 * 250


def test_targets_are_added_all_or_none(store: Opened) -> None:
    named = targets(*map(str, range(1_000)))
    store.create(1, OWNER, CLIENT, named[:300])
    with pytest.raises(StoreFull, match="900 targets of a subscription"):
        store.extend(1, OWNER, named[200:], 900)
    kept = store.read(1, OWNER)
    assert kept is not None
    assert list(kept.events.values()) == named[:300]


def test_targets_of_forgotten_subscriptions_are_deleted_a_few_at_a_time(tmp_path: Path) -> None:
    store = Opened(open_store(Config(), tmp_path))
    for id in range(1, 4):
        store.create(id, OWNER, CLIENT, targets(*(f"{id}_{number}" for number in range(1_000))))
    with sqlite3.connect(tmp_path / "subscriptions.sqlite") as file:
        file.execute("UPDATE subscriptions SET expires = 1")
    left = [_rows(tmp_path)]
    while left[-1] != (0, 0, 0):
        store.store.keep([])
        left.append(_rows(tmp_path))
        assert left[-2][0] - 2 * interface.AT_A_TIME <= left[-1][0] <= left[-2][0]
        assert len(left) < 20


def _rows(folder: Path) -> tuple[int, int, int]:
    with contextlib.closing(sqlite3.connect(folder / "subscriptions.sqlite")) as file:
        counted = "(SELECT COUNT(*) FROM uses), (SELECT COUNT(*) FROM events), (SELECT COUNT(*) FROM subscriptions)"
        return file.execute(f"SELECT {counted}").fetchone()


def test_redis_that_is_away_is_told_in_time_and_used_again(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        opened = Opened(open_store(Config(store=server.url), tmp_path))
        store = opened.store
        opened.create(1, OWNER, CLIENT, [])
        server.stop()
        for call in (store.check, lambda: opened.read(1, OWNER), lambda: opened.create(2, OWNER, CLIENT, [])):
            with pytest.raises(StoreError, match="Redis: "):
                call()
        server.start()
        store.check()
        assert opened.create(3, OWNER, CLIENT, targets("one")).events
        disconnect(store)


def test_password_of_redis_is_not_told() -> None:
    store = open_store(Config(store="redis://:secret@127.0.0.1:1/0"), None)
    with pytest.raises(StoreError) as raised:
        store.check()
    assert "secret" not in str(raised.value)


def test_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="SQLite: unable to open database file"):
        open_store(Config(), tmp_path / "missing").check()


def test_limits_are_those_of_the_documentation() -> None:
    assert (interface.MOST_SUBSCRIPTIONS, interface.MOST_TARGETS) == (5_000, 100_000)
