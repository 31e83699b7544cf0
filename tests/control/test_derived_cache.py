"""What is kept of the database's answers."""

from __future__ import annotations

from typing import Any

import gevent

from mtango_gevent.control.calls import Concurrency
from mtango_gevent.control.derived_cache import DerivedCache, size_of_texts
from tests.hub_thread import in_hub_thread

MEMORY = 100_000


def new_lists() -> tuple[DerivedCache, list[list[str]]]:
    """Return empty lists, and what `make` below has been called with."""
    return DerivedCache(MEMORY, Concurrency()), []


def upper(lists: DerivedCache, made: list[list[str]], names: list[str], key: object = "key") -> list[str]:
    def make() -> list[str]:
        made.append(names)
        return [name.upper() for name in names]

    return lists.get(key, (names,), make, size_of_texts)


def test_list_is_made_once_for_equal_contents() -> None:
    lists, made = new_lists()
    first = upper(lists, made, ["a", "b"])
    assert upper(lists, made, ["a", "b"]) is first
    assert made == [["a", "b"]]


def test_list_is_made_anew_when_the_content_differs_and_when_it_is_as_before() -> None:
    lists, made = new_lists()
    for names in (["a"], ["a", "b"], ["b", "a"], ["a"]):
        assert upper(lists, made, names) == [name.upper() for name in names]
    assert len(made) == 4


def test_lists_of_different_keys_are_different() -> None:
    lists, made = new_lists()
    assert upper(lists, made, ["a"], "one") is not upper(lists, made, ["a"], "two")


def test_memory_is_bounded() -> None:
    lists, made = new_lists()
    for number in range(20):
        upper(lists, made, ["a"] * 100, number)
    assert len(lists._entries) < 10
    assert upper(lists, made, ["a"] * 2000) == ["A"] * 2000  # larger than the memory: not kept
    upper(lists, made, ["a"] * 100, 19)
    assert len(made) == 21
    lists.clear()
    upper(lists, made, ["a"] * 100, 19)
    assert len(made) == 22


def test_memory_of_sources_is_bounded() -> None:
    cache = DerivedCache(MEMORY, Concurrency())
    for number in range(20):
        cache.get(number, ((["a"] * 100, {"a": "b"}),), lambda: ["A"], size_of_texts)
    assert 0 < len(cache._entries) < 6


def test_sources_are_compared_as_a_whole() -> None:
    cache, sources = DerivedCache(1 << 30, Concurrency()), list[Any]()
    names = [str(number) for number in range(12_000)]
    for source in ([*names], [*names], [*names[:-1], "x"], names[:-1], ([*names], {"1": "a"}), ([*names], {"1": "b"})):
        cache.get("key", (source,), lambda source=source: sources.append(source) or [1], size_of_texts)
    assert len(sources) == 5


@in_hub_thread
def test_concurrent_callers_with_the_same_content_share_one_call() -> None:
    concurrency, made, names = Concurrency(), [], ["a"]
    concurrency.in_hub()
    lists = DerivedCache(MEMORY, concurrency)

    def make() -> list[str]:
        made.append(1)
        gevent.sleep(0.01)
        return ["A"]

    callers = [gevent.spawn(lists.get, "key", (names,), make, size_of_texts) for _ in range(3)]
    assert [caller.get(timeout=10) for caller in callers] == [["A"]] * 3
    assert made == [1]


def test_sorted_in_turns_is_sorted() -> None:
    names = [f"{letter}{number * 7919 % 1000}" for number in range(1000) for letter in "aB"]
    assert Concurrency().sorted_in_turns(names, str.lower) == sorted(names, key=str.lower)
    assert Concurrency().sorted_in_turns([], str.lower) == []
