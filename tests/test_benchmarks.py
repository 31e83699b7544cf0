"""`make bench` measures, judges and reports. Speed itself is not tested."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import gevent
import pytest
from gevent import monkey

from benchmarks import hub_lag, load, pages, plot, report, verdicts
from benchmarks.figures import Ratio, Round, Row, Rows
from benchmarks.workloads import LISTED, workloads
from tests.patched_process import in_patched_process

ROOT = Path(__file__).parents[1]
ROUND = Round(requests=1000, bytes=10**6, seconds=1.0, errors=0, p50=1.0, p99=3.0, max=9.0, cpu=0.2, peak=100 << 20)
OPTIONS = argparse.Namespace(rounds=5, starts=1, seconds=1, one_header=False, no_log=False)


def row(
    workload: str, contestant: str, per_second: int = 1000, connections: int = 32, link: str = "lan", **other: float
) -> Row:
    """Three rounds with that many requests."""
    each = dataclasses.replace(ROUND, requests=per_second, **other)
    return Row(workload, f"the {workload}", link, contestant, connections, 1, 1, 1 << 20, 50 << 20, [each] * 3)


def words(*rows: Row, cores: int = 2) -> dict[str, str]:
    return {verdict.about: verdict.word for verdict in verdicts.judge(Rows(rows), cores)}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run that is as short as can be."""
    for program in ("wrk", "cc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("bench")
    streams = ["--streams", "2", "--attributes", "2"]
    options = [
        "--rounds",
        "1",
        "--seconds",
        "2",
        "--connections",
        "4",
        "--workloads",
        "mix",
        "devices",
        "events",
        "sse",
        "websocket",
        *streams,
    ]
    # against itself, as there is no other checkout
    command = [sys.executable, "-m", "benchmarks", *options, "--against", str(ROOT), "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.timing
def test_every_contestant_is_measured_without_failures(results: Path) -> None:
    rows = Rows.from_json(json.loads((results / "figures.json").read_text())["rows"]).all
    assert [(row.workload, row.contestant) for row in rows] == [
        *[("mix", contestant) for contestant in ("gateway", "before", "bare_tango", "fastapi")],
        *[("devices", contestant) for contestant in ("gateway", "before", "bare_tango", "fastapi")],
        *[("events", contestant) for contestant in ("gateway", "before", "fastapi")],
        *[(transport, contestant) for transport in ("sse", "websocket") for contestant in ("gateway", "before")],
    ]
    for row in rows:
        (each,) = row.rounds
        assert each.errors == 0, row
        assert each.requests > 0, row
        assert each.bytes > each.requests, row
        assert 0 < each.p50 <= each.p99 <= each.max, row
        assert each.peak > 10 << 20, row
        assert (each.hub_lag is None) == (row.contestant == "fastapi"), row


@pytest.mark.slow
@pytest.mark.timing
def test_streams_bring_the_records_that_devices_send(results: Path) -> None:
    rows = Rows.from_json(json.loads((results / "figures.json").read_text())["rows"])
    for transport in ("sse", "websocket"):
        row = rows.find(transport)
        assert row
        assert 10 <= row.rounds[0].requests <= 2 * 2 * 10 * 4, "two streams of two attributes with ten events a second"


@pytest.mark.slow
@pytest.mark.timing
def test_run_records_the_machine_and_the_versions(results: Path) -> None:
    found = json.loads((results / "figures.json").read_text())
    assert found["machine"]["cores"] > 0
    assert {"python", "pytango", "gunicorn", "fastapi", "uvloop", "httptools", "wrk"} <= set(found["versions"])
    assert found["commits"]["gateway"] == found["commits"]["before"]
    assert found["date"] in (results / "table.md").read_text()
    assert "11 headers, access log on" in (results / "table.md").read_text()


@pytest.mark.slow
@pytest.mark.timing
def test_the_table_has_a_line_for_each_row_and_the_plot_can_be_read(results: Path) -> None:
    lines = (results / "table.md").read_text().splitlines()
    assert sum(line.startswith("| list of 1,000 devices ") for line in lines) == 4
    ElementTree.parse(results / "ratios.svg")


@in_patched_process
def test_hub_lag_is_high_while_the_hub_is_held() -> None:
    """Each look at the clock that the hub missed counts, not only the one that was late for all of them."""
    file = Path(tempfile.mkdtemp()) / "lags"
    lags = hub_lag.Lags(file)
    assert lags.p99() is None
    write = runpy.run_path(str(hub_lag.CONFIGURATION))["_write_lags"]
    writer = gevent.spawn(write, os.open(file, os.O_WRONLY | os.O_APPEND))
    gevent.sleep(0.1)
    lags.begin()
    monkey.get_original("time", "sleep")(0.3)
    gevent.sleep(0.1)
    writer.kill()
    assert 100 < (lags.p99() or 0) < 10_000
    assert (file.stat().st_size) // 8 >= 60
    shutil.rmtree(file.parent)


def test_a_browser_sends_eleven_headers() -> None:
    assert len({*load.BROWSER, "Host", "Accept"}) == 11


def test_mix_has_seven_reads_two_writes_and_a_command_of_ten_requests() -> None:
    (mix,) = [workload for workload in workloads(1, 1, [1]) if workload.name == "mix"]
    kinds = [(each.method, "/commands/" in each.path) for each in mix.requests]
    share = {kind: kinds.count(kind) / len(kinds) for kind in kinds}
    assert share == {("GET", False): 0.7, ("PUT", False): 0.2, ("PUT", True): 0.1}


def test_wall_asks_for_and_follows_the_same_two_hundred_values() -> None:
    polled, followed = (each for each in workloads(1, 1, [1]) if each.name.startswith("wall"))
    assert followed.events
    asked = {each.path for each in polled.requests}
    assert len(asked) == 200
    assert asked == {
        f"/{device}/attributes/sent{number}/value"
        for device in followed.events.devices
        for number in range(followed.events.attributes)
    }
    assert polled.connections == followed.connections == (8,)


def test_lists_have_a_thousand_and_ten_thousand_devices() -> None:
    assert sorted(LISTED.values()) == [1_000, 10_000]


def test_ratio_compares_figures_of_the_same_round() -> None:
    """A machine that is half as fast for a round disturbs no ratio."""
    one, other = row("scalar", "gateway"), row("scalar", "bare")
    for rows, speeds in ((one, (800, 400, 800)), (other, (1000, 500, 1000))):
        rows.rounds[:] = [dataclasses.replace(ROUND, requests=speed) for speed in speeds]
    assert Ratio.of(one, other, lambda r: r.per_second) == Ratio(0.8, 0.8, 0.8)


def test_requirements_are_judged() -> None:
    rows = [row("forty", "gateway", 999, cpu=0.3, hub_lag=2.9), row("forty", "bare_tango", 999, cpu=0.2, hub_lag=1.0)]
    assert words(*rows, row("forty", "fastapi", 1000)) == {
        "forty scalars: requests/s, to fastapi": "DOES NOT HOLD",
        "forty scalars: CPU per request, to bare_tango": "holds",
        "forty scalars: hub lag, p99, ms": "holds",
    }


def test_requirements_are_those_of_the_local_network() -> None:
    assert words(row("forty", "gateway", link="loopback"), row("forty", "fastapi", link="loopback")) == {}


def test_wall_is_judged_by_values_for_each_second_of_processor_time() -> None:
    about = "wall of 200: values per CPU second, WebSocket to polling"
    polled = row("wall", "gateway", 1000, 8, cpu=0.5)
    assert words(polled, row("wallstream", "gateway", 5000, 8, cpu=0.25))[about] == "holds"
    assert words(polled, row("wallstream", "gateway", 5000, 8, cpu=0.26))[about] == "DOES NOT HOLD"


def test_the_slowest_workload_is_compared_with_the_version_before() -> None:
    rows = [
        row(workload, contestant, speed, link="loopback")
        for workload, gateway, before in (("forty", 1000, 900), ("image", 94, 100), ("write", 96, 100))
        for contestant, speed in (("gateway", gateway), ("before", before))
    ]
    (verdict,) = verdicts.judge(Rows(rows), 2)
    assert (verdict.spread, verdict.word) == ("0.94 (the image)", "DOES NOT HOLD")


@pytest.mark.parametrize(("per_second", "word"), [(2000, "holds"), (1999, "DOES NOT HOLD")])
def test_raw_numbers_are_compared_with_json(per_second: int, word: str) -> None:
    about = "image 251 x 251, 32 connections: requests/s as octet-stream, to JSON"
    assert words(row("raw", "gateway", per_second), row("raw", "json", 1000))[about] == word


def test_two_workers_are_judged_where_there_are_processors_for_them() -> None:
    rows = row("scalar", "gateway", 1000), row("scalar2", "gateway", 1100)
    about = "one scalar: requests/s with two workers, to one"
    assert words(*rows, cores=2)[about] == "not judged, 2 cores"
    assert words(*rows, cores=4)[about] == "DOES NOT HOLD"


def test_memory_is_judged_for_each_request_in_flight() -> None:
    about = "image 251 x 251: memory per request, to its body"
    assert words(row("image", "gateway", peak=(50 + 64) << 20))[about] == "holds"
    assert words(row("image", "gateway", peak=(50 + 65) << 20))[about] == "DOES NOT HOLD"


def test_a_lost_request_is_one_too_many() -> None:
    assert (
        words(row("scalar", "gateway", connections=256, errors=1))["256 connections: requests lost"] == "DOES NOT HOLD"
    )


def test_one_connection_is_compared_with_plain_pytango() -> None:
    rows = row("scalar", "gateway", connections=1, p50=0.4), row("scalar", "loop", connections=1, p50=0.1)
    assert words(*rows)["one connection: p50 above plain PyTango's, ms"] == "holds"


def test_missing_measurements_have_no_verdict() -> None:
    assert words() == {}


def test_a_table_and_a_plot_of_nothing_are_empty() -> None:
    about = report.circumstances({}, OPTIONS)
    assert "What must hold" in report.as_text(about, Rows([]))
    ElementTree.fromstring(plot.draw(Rows([]), "a & b"))


def test_pages_show_the_published_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FIGURES", tmp_path / "figures.json")
    assert pages.published("lan") == "The figures of this version have not been published yet."
    rows = [
        *[row("scalar", contestant, 500) for contestant in ("gateway", "bare_tango", "fastapi")],
        *[row(workload, "gateway", 250) for workload in ("twenty", "pages", "image")],
        *[row("forty", contestant, link="loopback") for contestant in ("gateway", "before")],
    ]
    pages.FIGURES.write_text(report.as_json(report.circumstances({}, OPTIONS), Rows(rows)))
    line = pages.published("lan").splitlines()[2]
    assert re.split(r" *\| *", line)[1:-1] == [
        *("the scalar", "32", "500", "1.00", "3.0", "", "400", "1.00 (1.00-1.00)", "1.00 (1.00-1.00)"),
    ]
    assert "requests/s to the version before" in pages.published("loopback")
    assert "one scalar: requests/s, to fastapi" in pages.published("verdicts")
    assert re.search(r"200,000 +\| 500 +\| 600 ", pages.published("example"))
    for part in ("conditions", "connections", "devices", "payloads"):
        assert "|" in pages.published(part) or "11 headers" in pages.published(part)
