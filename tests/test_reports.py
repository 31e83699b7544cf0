"""What the workers tell each other of their devices."""

from __future__ import annotations

from typing import Any

from mtango_gevent.reports import Reports, merged


def row(name: str, state: str = "closed", calls: int = 1, **others: Any) -> dict[str, Any]:
    known = {"open_since": None, "next_try": None, "last_error": None, "last_error_time": None, "server": "s"}
    counts = {"in_flight": 0, "waiting": 0, "seconds": 0.5, "timeouts": 0}
    return {"name": name, "state": state, "calls": calls, **counts, **known, **others}


def test_the_newest_of_each_worker_is_read() -> None:
    reports = Reports(3)
    reports.write(0, [row("a"), row("b")])
    reports.write(2, [row("c")])
    reports.write(0, [row("d")])
    assert [each["name"] for each in reports.read()] == ["d", "c"]
    reports.write(2, ())
    assert [each["name"] for each in reports.read()] == ["d"]


def test_there_are_as_many_rows_as_there_is_room_for() -> None:
    reports = Reports(1)
    reports.write(0, [row(f"device/{number}", last_error="x" * 200) for number in range(10_000)])
    names = [each["name"] for each in reports.read()]
    assert 1000 < len(names) < 10_000
    assert names[:2] == ["device/0", "device/1"]


def test_what_a_worker_was_killed_at_is_not_read() -> None:
    reports = Reports(2)
    reports.write(0, [row("a")])
    reports.write(1, [row("b")])
    reports._bytes[0] |= 1
    assert [each["name"] for each in reports.read()] == ["b"]
    reports.write(0, [row("c")])
    assert [each["name"] for each in reports.read()] == ["c", "b"]


def test_of_several_workers_the_worst_state_counts_and_the_last_error() -> None:
    (found,) = merged(
        [
            row("a", calls=2, in_flight=1, last_error="old", last_error_time=1.0),
            row("a", "open", open_since=5.0, last_error="older", last_error_time=0.5),
            row("a", last_error="new", last_error_time=2.0),
        ]
    )
    assert (found["state"], found["open_since"], found["calls"], found["in_flight"]) == ("open", 5.0, 4, 1)
    assert (found["last_error"], found["seconds"]) == ("new", 1.5)
    assert [each["name"] for each in merged([row("b"), row("a")])] == ["a", "b"]
