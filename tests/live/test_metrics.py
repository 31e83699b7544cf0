"""Metrics of four workers are those of one server."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import parser

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import Gateway, served, wait_until
from .test_workers import ask, figures

pytestmark = pytest.mark.slow

WORKERS = 4
PATH = "/rc3/hosts/{}/devices/sys/tg_test/1/attributes/double_scalar/value"


@pytest.fixture(scope="module")
def four(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    settings = {"MTANGO_WORKERS": str(WORKERS), "MTANGO_DEVICE_LIMIT": "16", "MTANGO_QUEUE_TIMEOUT": "30"}
    with served(command, tmp_path_factory.mktemp("metrics") / "log", **settings) as gateway:
        wait_until(lambda: all_run(gateway))
        yield gateway


def all_run(gateway: Gateway) -> bool:
    """A worker that does not yet would not see a signal that it is sent."""
    workers = figures(gateway)["workers"]
    return len(workers) == WORKERS and all(worker["resource"]["max_resident_mem"] for worker in workers)


def scrape(gateway: Gateway, name: str, **labels: str) -> float:
    """The sum of the samples of that name, over a new connection, of whichever worker takes it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/metrics", timeout=30) as reply:
        families = parser.text_string_to_metric_families(reply.read().decode())
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def requests(gateway: Gateway, path: str) -> float:
    route = "/tango/rest" if not path else "/tango/rest/rc3/hosts/<host>/<port>/devices/<domain>/<family>/<member>"
    name, rest = "mtango_http_requests_total", "" if not path else f"/attributes/<attribute>/{path.rpartition('/')[2]}"
    return scrape(gateway, name, route=route + rest, method="GET", status="200")


def ask_often(gateway: Gateway, path: str) -> int:
    with ThreadPoolExecutor(16) as threads:
        return sum(threads.map(lambda number: ask(gateway, path, 125, kept=number % 2 == 0), range(16)))


def test_requests_and_calls_of_all_workers_are_counted(four: Gateway, tango_system: EmbeddedTango) -> None:
    path = PATH.format(tango_system.tango_host.replace(":", "/")).replace("value", "history")  # those are not shared
    calls = scrape(four, "mtango_tango_calls_total", kind="history")
    for url in ("", path):
        before = requests(four, url)
        assert ask_often(four, url) == 2000
        assert [requests(four, url) for _ in range(20)] == [before + 2000] * 20
    assert scrape(four, "mtango_tango_calls_total", kind="history", outcome="ok") == calls + 2000
    assert scrape(four, "mtango_workers") == WORKERS


def test_a_worker_that_is_killed_takes_no_count_with_it(four: Gateway) -> None:
    before = requests(four, "")
    for times in range(1, 4):
        assert ask_often(four, "") == 2000
        victim = figures(four)["workers"][0]["pid"]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda victim=victim: victim not in {worker["pid"] for worker in figures(four)["workers"]})
        assert requests(four, "") == before + 2000 * times
        wait_until(lambda: all_run(four))
    assert scrape(four, "mtango_http_request_duration_seconds_count", route="/tango/rest") == requests(four, "")


def test_a_reload_keeps_the_counts(four: Gateway) -> None:
    before, old = requests(four, ""), {worker["pid"] for worker in figures(four)["workers"]}
    four.process.send_signal(signal.SIGHUP)

    def replaced() -> bool:
        pids = {worker["pid"] for worker in figures(four)["workers"]}
        return len(pids) == WORKERS and not pids & old

    wait_until(replaced)
    assert requests(four, "") == before
