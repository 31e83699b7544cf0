"""The tables of docs/explanation/performance.md and capacity.md, of the run that `--publish` has put beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from benchmarks import tables
from benchmarks.figures import Figure, Row, Rows

_FOLDER = Path(__file__).parents[1] / "docs/explanation"
FIGURES, DRAWING = _FOLDER / "figures.json", _FOLDER / "speed.svg"

# Requests per second of 10,000 pages with twenty values each that are refreshed every second.
_EACH_VALUE, _EACH_PAGE = 200_000, 10_000


def published(part: str) -> str:
    """Return a table by its name, the name of a function of this module."""
    if not FIGURES.exists():
        return "The figures of this version have not been published yet."
    about = json.loads(FIGURES.read_text())
    rows = Rows.from_json(about["rows"])
    return {
        "conditions": lambda: f"{tables.conditions(about)}\n![The ratios as bars]({DRAWING.name})",
        "lan": lambda: _speeds(rows, "lan"),
        "loopback": lambda: _speeds(rows, "loopback"),
        "verdicts": lambda: tables.verdict_table(about, rows),
        "connections": lambda: _connections(rows),
        "devices": lambda: _devices(rows),
        "payloads": lambda: _payloads(rows),
        "example": lambda: _example(rows),
    }[part]()


def _speeds(rows: Rows, link: str) -> str:
    columns = ("Workload", "connections", "requests/s", "p50 ms", "p99 ms", "hub lag ms", "CPU us")
    ratios: list[tuple[str, str, Figure]] = [
        ("requests/s to fastapi", "fastapi", lambda r: r.per_second),
        ("CPU to bare_tango", "bare_tango", lambda r: r.cpu_per_request),
        ("requests/s to the version before", "before", lambda r: r.per_second),
    ]
    shown = [each for each in ratios if any((row.link, row.contestant) == (link, each[1]) for row in rows.all)]
    lines = [
        (
            row.title,
            f"{row.connections}",
            _per_second(row),
            f"{row.median(lambda r: r.p50):.2f}",
            f"{row.median(lambda r: r.p99):.1f}",
            tables.hub_lag(row),
            f"{row.median(lambda r: r.cpu_per_request):.0f}",
            *(_ratio(rows, row, contestant, figure) for _, contestant, figure in shown),
        )
        for row in rows.all
        if (row.link, row.contestant) == (link, "gateway")
    ]
    return tables.table((*columns, *(title for title, _, _ in shown)), lines)


def _ratio(rows: Rows, row: Row, contestant: str, figure: Figure) -> str:
    other = rows.beside(row, contestant)
    return f"{tables.ratio_to(rows, other, figure)}" if other else ""


def _connections(rows: Rows) -> str:
    found = [row for row in rows.all if (row.workload, row.link, row.contestant) == ("scalar", "lan", "gateway")]
    lines = [(f"{row.connections}", _per_second(row), _ms(row, "p50"), _ms(row, "p99")) for row in found]
    return tables.table(("Connections", "requests/s", "p50 ms", "p99 ms"), lines)


def _devices(rows: Rows) -> str:
    lines = [
        (row.title, _per_second(row), f"{row.median(lambda r: r.cpu_per_request) / 1000:.2f}")
        for row in _found(rows, "scalar", "forty", "spread", "wall", "mix", "write", "command")
    ]
    return tables.table(("Values", "requests/s", "CPU ms per request"), lines)


def _payloads(rows: Rows) -> str:
    lines = [
        (
            row.title,
            f"{row.body:,.0f}",
            _per_second(row),
            f"{row.values * row.median(lambda r: r.per_second):,.0f}",
            f"{row.median(lambda r: r.bytes / r.seconds) / 1e6:,.1f}",
        )
        for row in _found(rows, "scalar", "twenty", "spectrum", "image", "frame")
    ]
    return tables.table(("Payload", "bytes", "requests/s", "values/s", "MB/s"), lines)


def _example(rows: Rows) -> str:
    asked = [
        ("scalar", "each value by itself, of values that many clients read", _EACH_VALUE),
        ("twenty", "twenty values in one request, of pages that many clients read", _EACH_PAGE),
        ("pages", "the same, no page like another", _EACH_PAGE),
    ]
    lines: list[tuple[str, ...]] = []
    for workload, way, wanted in asked:
        for row in _found(rows, workload):
            workers = math.ceil(wanted / (row.median(lambda r: r.per_second) * 2 / 3))
            lines.append((way, f"{wanted:,}", _per_second(row), f"{workers}"))
    return tables.table(("How a page asks", "requests/s", "of one worker", "workers, two thirds full"), lines)


def _found(rows: Rows, *workloads: str) -> Iterator[Row]:
    """Yield the gateway's rows over the LAN, with 32 connections where there are rows with several numbers."""
    for workload in workloads:
        row = rows.find(workload, 32) or rows.find(workload)
        if row:
            yield row


def _per_second(row: Row) -> str:
    return f"{row.median(lambda r: r.per_second):,.0f}"


def _ms(row: Row, name: str) -> str:
    return f"{row.median(lambda r: getattr(r, name)):.1f}"
