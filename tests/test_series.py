"""Rows of counts and times in an area of memory."""

from __future__ import annotations

import pytest

from mtango_gevent.series import AREA, LIMITS, OTHER, Series, copy, read, seconds


@pytest.fixture
def area() -> memoryview:
    return memoryview(bytearray(8 * AREA)).cast("q")


def test_an_area_that_nobody_has_written_has_no_rows(area: memoryview) -> None:
    assert read(area) == read(copy(area)) == {}


def test_rows_are_counted_each_for_itself(area: memoryview) -> None:
    rows = Series(area)
    for _ in range(3):
        rows.count(("requests", "/a", "200"))
    rows.count(("requests", "/ä", "404"))
    rows.count(("alone",))
    assert read(copy(area)) == {("requests", "/a", "200"): [3], ("requests", "/ä", "404"): [1], ("alone",): [1]}


def test_a_time_is_in_the_class_whose_limit_it_does_not_pass(area: memoryview) -> None:
    rows = Series(area)
    for duration in (0.0, LIMITS[0], 0.0011, LIMITS[-1], 1000.0):
        rows.time(("duration",), duration)
    (numbers,) = read(area).values()
    assert numbers[:-1] == [2, 1, *[0] * (len(LIMITS) - 3), 1, 1]
    assert seconds(numbers[-1]) == pytest.approx(sum((0.001, 0.0011, 60, 1000)))


def test_rows_go_on_where_they_were_and_are_added_to_others(area: memoryview) -> None:
    Series(area).count(("a", "1"))
    Series(area).count(("a", "1"))
    total = Series(memoryview(bytearray(8 * AREA)).cast("q"))
    total.time(("b",), 1)
    total.add(read(area))
    total.add(read(area))
    assert read(total._area)[("a", "1")] == [4]
    assert sum(read(total._area)[("b",)][:-1]) == 1


def test_labels_without_end_end_as_other_and_no_count_is_lost(area: memoryview) -> None:
    rows = Series(area)
    for number in range(20_000):
        rows.count(("calls", "read", f"a/b/{number}"))
        rows.count(("calls", "write", f"a/b/{number}"))
    found = read(area)
    assert sum(numbers[0] for numbers in found.values()) == 40_000
    assert 1000 < len(found) < 20_000
    assert found[("calls", "read", OTHER)][0] > 10_000
    rows.count(("calls", "read", "a/b/0"))
    assert read(area)[("calls", "read", "a/b/0")] == [2]
    assert area[0] <= AREA * 0.8


def test_an_area_that_is_full_refuses_nobody(area: memoryview) -> None:
    rows = Series(area)
    for number in range(20_000):
        rows.time((f"name {number}", "label"), 1)
    assert area[0] <= AREA
    assert len(read(area)) > 100
