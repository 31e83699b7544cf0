"""The scoreboard: slots, clears of caches, status of devices."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from mtango_gevent import scoreboard
from mtango_gevent.scoreboard import CACHES, Scoreboard, WorkerSlot, merged


def row(name: str, state: str = "closed", calls: int = 1, **others: Any) -> dict[str, Any]:
    known = {"open_since": None, "next_try": None, "last_error": None, "last_error_time": None, "server": "s"}
    counts = {"in_flight": 0, "waiting": 0, "seconds": 0.5, "failures": 0, "timeouts": 0}
    return {"name": name, "state": state, "calls": calls, **counts, **known, **others}


def occupied(board: Scoreboard) -> WorkerSlot:
    number = board.reserve()
    assert number is not None
    return board.occupy(number)


def names(board: Scoreboard) -> list[str]:
    return [each["name"] for each in board.read_devices()]


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scoreboard:
    monkeypatch.setattr(scoreboard, "_PARENT", tmp_path)
    board = Scoreboard(4)
    board.make_folder()
    return board


def test_there_are_no_more_slots_than_workers() -> None:
    board = Scoreboard(4)
    assert [board.reserve() for _ in range(6)] == [1, 2, 3, 4, None, None]
    board.release(None)
    board.release(2)
    assert board.reserve() == 2


def test_workers_are_those_that_have_started(board: Scoreboard) -> None:
    first, _ = occupied(board), board.reserve()
    assert [slot.pid for slot in board.workers()] == [os.getpid()]
    board.release(first.number)
    assert board.workers() == []


def test_each_worker_is_told_of_a_clear_once() -> None:
    board = Scoreboard(2)
    first, second = occupied(board), occupied(board)
    assert list(second.pending_clears()) == []
    board.request_clear("devices")
    assert (second.has_cleared("devices"), second.has_cleared("attributes")) == (False, True)
    assert list(second.pending_clears()) == ["devices"]
    assert list(second.pending_clears()) == []
    assert list(first.pending_clears()) == ["devices"]


def test_a_worker_that_starts_after_a_clear_has_none_pending() -> None:
    board = Scoreboard(4)
    board.request_clear(*CACHES)
    assert list(occupied(board).pending_clears()) == []


def test_the_newest_status_of_each_worker_is_read(board: Scoreboard) -> None:
    first, second = occupied(board), occupied(board)
    first.write_devices([row("a"), row("b")])
    second.write_devices([row("c")])
    first.write_devices([row("d")])
    assert names(board) == ["c", "d"]
    board.release(second.number)
    assert names(board) == ["d"]


def test_without_a_folder_the_status_is_that_of_the_only_worker() -> None:
    board = Scoreboard(1)
    occupied(board).write_devices([row("a")])
    assert names(board) == ["a"]


def test_the_status_of_a_worker_is_limited_to_its_first_devices(board: Scoreboard) -> None:
    occupied(board).write_devices(row(f"device/{number:05}") for number in range(10_000))
    assert names(board)[0] == "device/00000"
    assert len(names(board)) == 1000


def test_a_half_written_status_is_not_read(board: Scoreboard) -> None:
    slot = occupied(board)
    slot.write_devices([row("a")])
    (board.folder / f"devices_{slot.number}.new").write_bytes(b"[{")
    assert names(board) == ["a"]


def test_folders_of_killed_gateways_are_removed(board: Scoreboard) -> None:
    killed, young = (board.folder.with_name(f"mtango-gevent-{name}") for name in ("killed", "young"))
    for folder in (killed, young, board.folder):
        folder.mkdir(exist_ok=True)
        (folder / "counter_1.db").touch()
    long_ago = time.time() - 1000
    os.utime(killed, (long_ago, long_ago))
    os.utime(board.folder, (long_ago, long_ago))  # in use
    other = Scoreboard(1)
    other.make_folder()
    assert [folder.exists() for folder in (killed, young, board.folder)] == [False, True, True]
    other.remove_folder()
    assert not other.folder.exists()


def test_the_worst_state_of_several_workers_counts_and_the_last_error() -> None:
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
