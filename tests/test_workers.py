"""The memory that workers share, between real processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mtango_gevent.workers import CACHES, COUNTERS, GAUGES, Board, grouped, own

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python 3.12, where threads run

fork = multiprocessing.get_context("fork")


@pytest.fixture
def board() -> Board:
    return Board(4)


def in_worker(board: Board, work: Callable[..., object], *arguments: object) -> tuple[int, multiprocessing.Process]:
    """(number of its part, a process that does `work` with its figures)."""
    number = board.reserve()
    process = fork.Process(target=lambda: work(board.begin(number), *arguments))
    process.start()
    return number, process


def count(figures, times: int) -> None:
    for _ in range(times):
        figures.count("requests")


def test_what_all_have_counted_is_the_sum(board: Board) -> None:
    started = [in_worker(board, count, times) for times in (1000, 2000, 3000)]
    for _, process in started:
        process.join()
    total, workers = board.read()
    assert total["requests"] == 6000
    assert sorted(worker["requests"] for worker in workers) == [1000, 2000, 3000]
    assert {worker["pid"] for worker in workers} == {process.pid for _, process in started}


def test_the_counts_of_a_worker_that_is_killed_stay_and_its_gauges_go(board: Board) -> None:
    ready = fork.Event()

    def work(figures) -> None:
        count(figures, 500)
        figures.set("pool.threads", 7)
        ready.set()
        signal.pause()

    number, process = in_worker(board, work)
    assert ready.wait(30)
    assert board.read()[0]["pool.threads"] == 7
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert board.read()[0]["requests"] == 500
    board.release(number)
    total, workers = board.read()
    assert (total["requests"], total["pool.threads"], workers) == (500, 0, [])


def test_a_part_is_used_again_from_the_beginning(board: Board) -> None:
    for _ in range(20):
        number, process = in_worker(board, count, 10)
        process.join()
        board.release(number)
    number, process = in_worker(board, count, 1)
    process.join()
    total, (worker,) = board.read()
    assert (total["requests"], worker["requests"]) == (201, 1)


def test_beyond_the_last_part_a_worker_does_without(board: Board) -> None:
    assert [board.reserve() for _ in range(6)] == [1, 2, 3, 4, None, None]
    board.release(None)
    board.release(2)
    assert board.reserve() == 2


def test_threads_of_one_process_lose_no_count() -> None:
    figures = own()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: count(figures, 5000), range(8)))
    assert figures.get("requests") == 40_000


def test_a_cache_that_is_to_be_emptied_counts_as_empty_and_is_told_once() -> None:
    board = Board(2)
    first, second = (board.begin(board.reserve()) for _ in range(2))
    for figures in (first, second):
        for cache in CACHES:
            figures.set(f"{cache}.currsize", 5)
    assert list(second.to_clean()) == []
    board.clean("devices")
    assert board.read()[0]["devices.currsize"] == 0
    assert board.read()[0]["attributes.currsize"] == 10
    assert list(second.to_clean()) == ["devices"]
    assert list(second.to_clean()) == []
    assert list(first.to_clean()) == ["devices"]


def test_a_worker_that_starts_after_a_cleaning_has_nothing_to_clean(board: Board) -> None:
    board.clean(*CACHES)
    assert list(board.begin(board.reserve()).to_clean()) == []


def test_figures_are_grouped_with_times_in_seconds() -> None:
    assert grouped({"a": 1, "b.c": 2, "b.d.e": 3, "resource.user_time": 1_500_000}) == {
        "a": 1,
        "b": {"c": 2, "d": {"e": 3}},
        "resource": {"user_time": 1.5},
    }


def test_a_figure_is_a_counter_or_a_gauge() -> None:
    assert not set(COUNTERS) & set(GAUGES)


def test_labelled_counts_of_all_are_summed_and_outlive_their_worker(board: Board) -> None:
    def work(figures) -> None:
        for _ in range(100):
            figures.count_labelled("calls", "read")
            figures.time_labelled(0.5, "times")

    for _ in range(3):
        number, process = in_worker(board, work)
        process.join()
        board.release(number)
    work(board.begin(board.reserve()))
    rows = board.read_series()
    assert rows[("calls", "read")] == [400]
    assert sum(rows[("times",)][:-1]) == 400
    assert rows[("times",)][-1] == 400 * 500_000
