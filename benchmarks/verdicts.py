"""What must hold, and whether it does."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterator

from benchmarks.figures import Figure, Ratio, Round, Row, Rows
from benchmarks.workloads import LOOP

# Two workers, the load and the devices have to have a processor each before a second worker can show what it brings.
CORES_FOR_TWO_WORKERS = 4

_COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt}

# Workload, its name in a sentence, and the least ratio of requests/s to the yardstick "fastapi".
_TO_FASTAPI = [
    ("forty", "forty scalars", 1.0),
    ("scalar", "one scalar", 1.5),
    ("twenty", "twenty in one request", 2.5),
    ("image", "image 251 x 251", 3.0),
    ("write", "PUT of a scalar", 1.0),
    ("command", "a command", 1.0),
    ("devices", "list of 1,000 devices", 2.0),
]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """found is NaN where it was not measured; `skipped` says why it is not judged."""

    about: str
    wanted: str
    bound: float
    found: float
    spread: str = ""
    skipped: str = ""

    @property
    def word(self) -> str:
        if self.skipped or math.isnan(self.found):
            return self.skipped or "not measured"
        return "holds" if _COMPARE[self.wanted](self.found, self.bound) else "DOES NOT HOLD"


def judge(rows: Rows, cores: int) -> list[Verdict]:
    """Those of the workloads that were run."""
    return [verdict for verdict in _all(rows, cores) if verdict.skipped or not math.isnan(verdict.found)]


def _all(rows: Rows, cores: int) -> Iterator[Verdict]:
    """On the link "lan", unless another one is named."""
    for workload, title, bound in _TO_FASTAPI:
        connections = 32 if workload == "scalar" else None
        one, other = rows.find(workload, connections), rows.find(workload, connections, "fastapi")
        yield _ratio(f"{title}: requests/s, to fastapi", ">=", bound, one, other)
    scalar, forty, many = rows.find("scalar", 32), rows.find("forty"), rows.find("scalar", 256)
    bare = rows.find("forty", None, "bare_tango")
    yield _ratio("forty scalars: CPU per request, to bare_tango", "<=", 1.5, forty, bare, _cpu)
    yield Verdict("forty scalars: hub lag, p99, ms", "<", 3, forty.hub_lag if forty else math.nan)
    wall, polled = rows.find("wallstream"), rows.find("wall")
    yield _ratio(
        "wall of 200: values per CPU second, WebSocket to polling", ">=", 10, wall, polled, lambda r: 1 / _cpu(r)
    )
    yield _added("one connection: p50 above plain PyTango's, ms", "<=", 0.35, rows)
    yield Verdict("256 connections: requests lost", "<=", 0, many.errors if many else math.nan)
    yield _steadiness("256 connections: p99, to p50", "<=", 4, many)
    two = _ratio("one scalar: requests/s with two workers, to one", ">=", 1.6, rows.find("scalar2"), scalar)
    few = "" if cores >= CORES_FOR_TWO_WORKERS or math.isnan(two.found) else f"not judged, {cores} cores"
    yield dataclasses.replace(two, skipped=few)
    for connections in (1, 32):
        raw, in_json = rows.find("raw", connections), rows.find("raw", connections, "json")
        about = f"image 251 x 251, {connections} connections: requests/s as octet-stream, to JSON"
        yield _ratio(about, ">=", 2.0, raw, in_json)
    yield _memory("image 251 x 251: memory per request, to its body", "<=", 2, rows.find("image", 32))
    yield _slowest("loopback: requests/s of the slowest workload, to the version before", 0.95, rows)
    off = "forty scalars: CPU per request with all that is off by default, to the version before"
    yield _ratio(off, "<=", 1.05, forty, rows.find("forty", None, "before"), _cpu)


def _cpu(each: Round) -> float:
    return each.cpu_per_request


def _per_second(each: Round) -> float:
    return each.per_second


def _ratio(
    about: str, wanted: str, bound: float, one: Row | None, other: Row | None, figure: Figure = _per_second
) -> Verdict:
    if one is None or other is None:
        return Verdict(about, wanted, bound, math.nan)
    ratio = Ratio.of(one, other, figure)
    return Verdict(about, wanted, bound, ratio.median, str(ratio))


def _slowest(about: str, bound: float, rows: Rows) -> Verdict:
    found = [
        (Ratio.of(row, before, _per_second).median, row.title)
        for row in rows.all
        if row.link == "loopback" and row.contestant == "gateway" and (before := rows.beside(row, "before"))
    ]
    ratio, title = min(found, default=(math.nan, ""))
    return Verdict(about, ">=", bound, ratio, f"{ratio:.2f} ({title})")


def _steadiness(about: str, wanted: str, bound: float, row: Row | None) -> Verdict:
    found = row.median(lambda r: r.steadiness) if row else math.nan
    return Verdict(about, wanted, bound, found)


def _memory(about: str, wanted: str, bound: float, row: Row | None) -> Verdict:
    """By how much the memory grew at most, for each of the requests that were in flight at a time."""
    found = (max(each.peak for each in row.rounds) - row.rest) / row.connections / row.body if row else math.nan
    return Verdict(about, wanted, bound, found)


def _added(about: str, wanted: str, bound: float, rows: Rows) -> Verdict:
    here, plain = rows.find("scalar", 1), rows.find("scalar", 1, LOOP)
    found = here.median(lambda r: r.p50) - plain.median(lambda r: r.p50) if here and plain else math.nan
    return Verdict(about, wanted, bound, found)
