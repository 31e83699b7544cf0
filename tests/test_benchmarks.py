"""`make bench` measures, judges and reports. Speed itself is not tested."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import plot, report, verdicts
from benchmarks.figures import Ratio, Round, Row, Rows

ROOT = Path(__file__).parents[1]
ROUND = Round(requests=1000, seconds=1.0, errors=0, p50=1.0, p99=3.0, max=9.0, cpu=0.2, peak=100 << 20)


def row(workload: str, contestant: str, per_second: int = 1000, connections: int = 32, **other: float) -> Row:
    """Three rounds with that many requests."""
    each = dataclasses.replace(ROUND, requests=per_second, **other)
    return Row(workload, f"the {workload}", contestant, connections, 1, 1, 1 << 20, 50 << 20, [each] * 3)


def words(*rows: Row, cores: int = 2) -> dict[str, str]:
    return {verdict.about: verdict.word for verdict in verdicts.judge(Rows(rows), cores)}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run that is as short as can be."""
    if not shutil.which("wrk"):
        pytest.skip("wrk is not installed (Debian: wrk)")
    folder = tmp_path_factory.mktemp("bench")
    options = ["--rounds", "1", "--seconds", "1", "--workloads", "write", "events", "--out", str(folder)]
    # against itself, as there is no other checkout
    command = [sys.executable, "-m", "benchmarks", *options, "--against", str(ROOT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.timing
def test_every_yardstick_is_measured_without_failures(results: Path) -> None:
    rows = json.loads((results / "figures.json").read_text())["rows"]
    assert [(row["workload"], row["contestant"]) for row in rows] == [
        *[("write", who) for who in ("gateway", "before", "bare", "gunicorn", "fastapi", "loop")],
        *[("events", who) for who in ("gateway", "before", "fastapi")],
    ]
    for row in rows:
        (each,) = row["rounds"]
        assert each["errors"] == 0, row
        assert each["requests"] > 0, row
        assert 0 < each["p50"] <= each["p99"] <= each["max"], row
        assert each["peak"] > 10 << 20, row


@pytest.mark.slow
@pytest.mark.timing
def test_run_records_the_machine_and_the_versions(results: Path) -> None:
    found = json.loads((results / "figures.json").read_text())
    assert found["machine"]["cores"] > 0
    assert {"python", "pytango", "gunicorn", "fastapi", "wrk"} <= set(found["versions"])
    assert found["commits"]["gateway"] == found["commits"]["before"]
    assert found["date"] in (results / "table.md").read_text()


@pytest.mark.slow
@pytest.mark.timing
def test_the_table_has_a_line_for_each_row_and_the_plot_can_be_read(results: Path) -> None:
    lines = (results / "table.md").read_text().splitlines()
    assert sum(line.startswith("| PUT of a scalar ") for line in lines) == 6
    ElementTree.parse(results / "ratios.svg")


def test_ratio_compares_figures_of_the_same_round() -> None:
    """A machine that is half as fast for a round disturbs no ratio."""
    one, other = row("scalar", "gateway"), row("scalar", "bare")
    for rows, speeds in ((one, (800, 400, 800)), (other, (1000, 500, 1000))):
        rows.rounds[:] = [dataclasses.replace(ROUND, requests=speed) for speed in speeds]
    assert Ratio.of(one, other, lambda r: r.per_second) == Ratio(0.8, 0.8, 0.8)


def test_requirements_are_judged() -> None:
    found = words(row("scalar", "gateway", 800), row("scalar", "bare", 1000), row("scalar", "fastapi", 700))
    assert found == {
        "one scalar: requests/s, to bare": "holds",
        "one scalar: requests/s, to fastapi": "FAILS",
        "one scalar, 32 connections: p99, to p50": "holds",
    }


@pytest.mark.parametrize(("per_second", "word"), [(2000, "holds"), (1999, "FAILS")])
def test_raw_numbers_are_compared_with_json(per_second: int, word: str) -> None:
    about = "image 251 x 251, 32 connections: requests/s as octet-stream, to JSON"
    assert words(row("raw", "gateway", per_second), row("raw", "json", 1000))[about] == word


def test_two_workers_are_judged_where_there_are_processors_for_them() -> None:
    rows = row("scalar", "gateway", 1000), row("scalar2", "gateway", 1100)
    about = "one scalar: requests/s with two workers, to one"
    assert words(*rows, cores=2)[about] == "not judged, 2 cores"
    assert words(*rows, cores=4)[about] == "FAILS"


def test_memory_is_judged_for_each_request_in_flight() -> None:
    about = "image 251 x 251: memory per request, to its body"
    assert words(row("image", "gateway", peak=(50 + 64) << 20))[about] == "holds"
    assert words(row("image", "gateway", peak=(50 + 65) << 20))[about] == "FAILS"


def test_a_lost_request_is_one_too_many() -> None:
    assert words(row("scalar", "gateway", connections=256, errors=1))["256 connections: requests lost"] == "FAILS"


def test_one_connection_is_compared_with_plain_pytango() -> None:
    rows = row("scalar", "gateway", connections=1, p50=0.4), row("scalar", "loop", connections=1, p50=0.1)
    assert words(*rows)["one connection: p50 above plain PyTango's, ms"] == "holds"


def test_missing_measurements_have_no_verdict() -> None:
    assert words() == {}


def test_a_table_and_a_plot_of_nothing_are_empty() -> None:
    about = report.circumstances({}, 1, 1)
    assert "What must hold" in report.as_text(about, Rows([]), [])
    ElementTree.fromstring(plot.draw(Rows([]), "a & b"))
