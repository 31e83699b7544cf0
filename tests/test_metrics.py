"""Metrics that several workers count, in real processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mtango_gevent import metrics as module
from mtango_gevent.metric_table import BUCKETS, FIGURES, METRICS
from mtango_gevent.metrics import OTHER, Metrics, grouped, own
from mtango_gevent.scoreboard import Scoreboard

from .metric_values import metric_value, metric_values

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python 3.12, where threads run

fork = multiprocessing.get_context("fork")

FAILURES, WAITS = "mtango_http_failures_total", "mtango_tango_slot_wait_seconds"


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    board = Scoreboard(4)
    board.make_folder()
    yield board
    board.remove_folder()


def in_worker(board: Scoreboard, work: Callable[..., object], *arguments: object) -> tuple[int, Any]:
    """Return the number of a slot, and a process that does `work` with its metrics."""

    def run() -> None:
        module.begin(board, number)
        work(own(), *arguments)

    number = board.reserve()
    assert number is not None
    process = fork.Process(target=run)
    process.start()
    return number, process


def after_worker(board: Scoreboard, work: Callable[..., object], *arguments: object) -> None:
    """Have a worker do `work` and end."""
    number, process = in_worker(board, work, *arguments)
    process.join()
    assert process.exitcode == 0
    board.release(number)


def read(board: Scoreboard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the figures as a worker would read them, which adds none to them."""
    receiver, sender = fork.Pipe()

    def look(metrics: Metrics) -> None:
        total, workers = metrics.read()
        sender.send((total, [worker for worker in workers if worker["pid"] != os.getpid()]))

    after_worker(board, look)
    return receiver.recv()


def values(board: Scoreboard, name: str, *labels: str) -> dict[str, float]:
    receiver, sender = fork.Pipe()
    after_worker(board, lambda metrics: sender.send(metric_values(metrics, name, *labels)))
    return receiver.recv()


def count(metrics: Metrics, times: int) -> None:
    for _ in range(times):
        metrics.count(FAILURES)


def test_counts_of_all_workers_are_added(board: Scoreboard) -> None:
    for times in (1000, 2000, 3000):
        _, process = in_worker(board, count, times)
        process.join()
    total, workers = read(board)
    assert total["failures"] == 6000
    assert sorted(worker["failures"] for worker in workers) == [1000, 2000, 3000]


def test_counters_of_a_killed_worker_stay_and_its_gauges_go(board: Scoreboard) -> None:
    ready = fork.Event()

    def work(metrics: Metrics) -> None:
        count(metrics, 500)
        metrics.publish("pool", {"threads": 7})
        ready.set()
        signal.pause()

    number, process = in_worker(board, work)
    assert ready.wait(30)
    assert read(board)[0]["pool"]["threads"] == 7
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert read(board)[0]["failures"] == 500
    board.release(number)
    total, workers = read(board)
    assert (total["failures"], total["pool"]["threads"], workers) == (500, 0, [])


def test_no_count_is_lost_when_workers_are_killed_while_they_count(board: Scoreboard) -> None:
    """The worker tells each count after it was made: the metric is at most one ahead."""
    told = 0
    for _ in range(20):
        receiver, sender = fork.Pipe(duplex=False)

        def work(metrics: Metrics, sender: Any = sender) -> None:
            for number in range(1, 1_000_000):
                metrics.count("mtango_tango_calls_total", "read", str(number // 50))  # with new labels now and then
                sender.send_bytes(number.to_bytes(4, "little"))

        number, process = in_worker(board, work)
        sender.close()
        for _ in range(300):
            receiver.recv_bytes()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        last = 300
        try:
            while True:
                last = int.from_bytes(receiver.recv_bytes(), "little")
        except EOFError:
            pass
        told += last
        board.release(number)
    assert told <= sum(values(board, "mtango_tango_calls_total", "outcome").values()) <= told + 20


def test_a_new_worker_in_a_slot_begins_at_zero_and_the_total_goes_on(board: Scoreboard) -> None:
    for _ in range(20):
        after_worker(board, count, 10)
    _, process = in_worker(board, count, 1)
    process.join()
    total, (worker,) = read(board)
    assert (total["failures"], worker["failures"]) == (201, 1)
    assert len(list(board.folder.glob("*.db"))) <= 8


def test_labelled_counts_and_times_outlive_their_worker(board: Scoreboard) -> None:
    def work(metrics: Metrics) -> None:
        for _ in range(100):
            metrics.count("mtango_tango_calls_total", "read", "ok")
            metrics.observe(0.5, WAITS)

    for _ in range(3):
        after_worker(board, work)
    in_worker(board, work)[1].join()
    assert values(board, "mtango_tango_calls_total", "kind") == {"read": 400}
    assert values(board, f"{WAITS}_count") == {"": 400}
    assert values(board, f"{WAITS}_sum") == {"": 200}


def test_threads_of_one_process_lose_no_count(board: Scoreboard) -> None:
    def work(metrics: Metrics) -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: count(metrics, 5000), range(8)))

    after_worker(board, work)
    assert read(board)[0]["failures"] == 40_000
    metrics = own()
    work(metrics)
    assert metric_value(metrics, FAILURES) == 40_000


def test_a_worker_without_a_slot_counts_for_itself(board: Scoreboard) -> None:
    module.begin(board, None)
    metrics = own()
    count(metrics, 3)
    assert metrics.read()[0]["failures"] == 3
    assert not list(board.folder.iterdir())


def test_a_pending_clear_makes_a_cache_count_as_empty(board: Scoreboard) -> None:
    in_worker(board, lambda metrics: module.CacheMetrics(metrics, "devices", 9).size(5))[1].join()
    assert read(board)[0]["devices"]["currsize"] == 5
    board.request_clear("devices")
    assert read(board)[0]["devices"] == {"hits": 0, "misses": 0, "currsize": 0, "maxsize": 9}


def test_labels_without_end_end_as_other_and_no_count_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CHILDREN", 1000)
    metrics = own(device_label=True)
    for number in range(2000):
        metrics.count("mtango_tango_calls_total", "read", "ok", f"a/b/{number}")
        metrics.count("mtango_tango_calls_total", "write", "ok", f"a/b/{number}")
    found = metric_values(metrics, "mtango_tango_calls_total", "kind", "device")
    assert sum(found.values()) == 4000
    assert 900 < len(found) <= 1002
    assert found[f"read {OTHER}"] > 1000
    metrics.count("mtango_tango_calls_total", "read", "ok", "a/b/0")
    assert metric_values(metrics, "mtango_tango_calls_total", "kind", "device")["read a/b/0"] == 2


def test_labels_are_limited_over_all_workers_of_a_slot(board: Scoreboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CHILDREN", 100)

    def work(metrics: Metrics, first: int) -> None:
        for number in range(first, first + 80):
            metrics.count("mtango_tango_calls_total", "read", f"{number}")

    for first in (0, 50, 100):
        after_worker(board, work, first)
    found = values(board, "mtango_tango_calls_total", "outcome")
    assert sum(found.values()) == 240
    assert len(found) < 100
    assert (found["49"], found["50"]) == (1, 2)


def test_a_duration_is_in_the_buckets_whose_limit_it_does_not_pass() -> None:
    metrics = own()
    for duration in (0.0, BUCKETS[0], 0.0011, BUCKETS[-1], 1000.0):
        metrics.observe(duration, WAITS)
    found = metric_values(metrics, f"{WAITS}_bucket", "le")
    assert list(found.values()) == [2, *[3] * (len(BUCKETS) - 2), 4, 5]
    assert metric_value(metrics, f"{WAITS}_sum") == pytest.approx(0.001 + 0.0011 + 60 + 1000)


def test_figures_are_grouped_with_times_in_seconds() -> None:
    assert grouped({"a": 1.0, "b.c": 2, "b.d.e": 3, "resource.user_time": 1.5}) == {
        "a": 1,
        "b": {"c": 2, "d": {"e": 3}},
        "resource": {"user_time": 1.5},
    }


def test_each_figure_is_a_metric() -> None:
    names = {name for name, _, _ in METRICS}
    assert {name for name, *_ in FIGURES.values()} - names == {"mtango_hidden_now", "mtango_hidden_total"}


def test_worker_without_the_folder_counts_for_itself_and_one_that_can_makes_it_anew(board: Scoreboard) -> None:
    board.remove_folder()
    after_worker(board, lambda metrics: metrics.count(FAILURES))
    assert board.folder is not None
    assert board.folder.is_dir()
    board.remove_folder()
    board.folder.write_text("no folder")
    after_worker(board, lambda metrics: metrics.count(FAILURES))
    board.folder.unlink()


def test_older_figures_that_are_published_late_count_nothing() -> None:
    metrics = own()
    for received in (10, 12, 10, 12):
        metrics.publish("events", {"received": received})
    assert metric_value(metrics, "mtango_events_received_total") == 12
