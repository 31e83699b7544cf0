"""What must hold, and whether it does."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterator
from typing import Any

from benchmarks.figures import Ratio, Row, Rows
from benchmarks.workloads import LOOP

# Two workers, the load and the devices have to have a processor each before a second worker can show what it brings.
CORES_FOR_TWO_WORKERS = 4

_COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt}


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
        return "holds" if _COMPARE[self.wanted](self.found, self.bound) else "FAILS"

    def as_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "word": self.word}


def judge(rows: Rows, cores: int) -> list[Verdict]:
    """Those of the workloads that were run."""
    return [verdict for verdict in _all(rows, cores) if verdict.skipped or not math.isnan(verdict.found)]


def _all(rows: Rows, cores: int) -> Iterator[Verdict]:
    scalar, forty, image = rows.find("scalar", 32), rows.find("forty"), rows.find("image")
    yield _ratio("one scalar: requests/s, to bare", ">=", 0.70, scalar, rows.find("scalar", 32, "bare"))
    stock = rows.find("scalar", 32, "gunicorn")
    yield _ratio("one scalar: requests/s, to gunicorn's own gevent worker", ">=", 0.70, scalar, stock)
    yield _ratio("one scalar: requests/s, to fastapi", ">=", 1.2, scalar, rows.find("scalar", 32, "fastapi"))
    yield _steadiness("one scalar, 32 connections: p99, to p50", "<=", 4, scalar)
    two = _ratio("one scalar: requests/s with two workers, to one", ">=", 1.6, rows.find("scalar2"), scalar)
    few = "" if cores >= CORES_FOR_TWO_WORKERS or math.isnan(two.found) else f"not judged, {cores} cores"
    yield dataclasses.replace(two, skipped=few)
    yield _ratio("forty scalars: requests/s, to fastapi", ">=", 1.2, forty, rows.find("forty", None, "fastapi"))
    yield _ratio("forty scalars: CPU per request, to one scalar's", "<=", 1.5, forty, scalar, lambda r: r.cpu_per_1000)
    yield _values("twenty in one request: values/s, to single reads", ">=", 10, rows.find("twenty"), scalar)
    yield _ratio("image 251 x 251: requests/s, to fastapi", ">=", 1.0, image, rows.find("image", None, "fastapi"))
    for connections in (1, 32):
        raw, in_json = rows.find("raw", connections), rows.find("raw", connections, "json")
        about = f"image 251 x 251, {connections} connections: requests/s as octet-stream, to JSON"
        yield _ratio(about, ">=", 2.0, raw, in_json)
    yield _memory("image 251 x 251: memory per request, to its body", "<=", 2, rows.find("image", 32))
    many = rows.find("scalar", 256)
    yield Verdict("256 connections: requests lost", "<=", 0, many.errors if many else math.nan)
    yield _steadiness("256 connections: p99, to p50", "<", 5, many)
    yield _added("one connection: p50 above plain PyTango's, ms", "<", 0.5, rows)


def _ratio(about: str, wanted: str, bound: float, one: Row | None, other: Row | None, figure: Any = None) -> Verdict:
    if one is None or other is None:
        return Verdict(about, wanted, bound, math.nan)
    ratio = Ratio.of(one, other, figure or (lambda r: r.per_second))
    return Verdict(about, wanted, bound, ratio.median, str(ratio))


def _values(about: str, wanted: str, bound: float, one: Row | None, other: Row | None) -> Verdict:
    verdict = _ratio(about, wanted, bound, one, other)
    if one is None or other is None:
        return verdict
    return dataclasses.replace(verdict, found=verdict.found * one.values / other.values, spread="")


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
