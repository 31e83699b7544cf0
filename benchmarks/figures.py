"""What was measured, and what it comes to: medians, and ratios of what was measured in the same round."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.load import Load


@dataclasses.dataclass(frozen=True)
class Round(Load):
    """Of one contestant. cpu: seconds of all its processes; peak: bytes resident.

    hub_lag: how late the hubs of its workers were, p99 in milliseconds; None where there is no hub.
    """

    cpu: float
    peak: int
    hub_lag: float | None = None

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_per_request(self) -> float:
        """Microseconds of processor time."""
        return 1e6 * self.cpu / max(1, self.requests)

    @property
    def steadiness(self) -> float:
        """p99 to p50; NaN without an answer."""
        return self.p99 / (self.p50 or math.nan)


Figure = Callable[[Round], float]


@dataclasses.dataclass(frozen=True)
class Row:
    """All rounds of one contestant with one load. body: bytes of an answer; rest: bytes resident before the load."""

    workload: str
    title: str
    link: str
    contestant: str
    connections: int
    workers: int
    values: int
    body: float
    rest: int
    rounds: list[Round]

    def median(self, figure: Figure) -> float:
        return statistics.median(map(figure, self.rounds))

    @property
    def hub_lag(self) -> float:
        """NaN where there is no hub."""
        return self.median(lambda r: math.nan if r.hub_lag is None else r.hub_lag)

    @property
    def errors(self) -> int:
        return sum(each.errors for each in self.rounds)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, and the least and the largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, one: Row, other: Row, figure: Figure) -> Ratio:
        """Round by round, as what disturbs a machine for a while disturbs both."""
        each = [figure(a) / (figure(b) or math.nan) for a, b in zip(one.rounds, other.rounds, strict=True)]
        return cls(statistics.median(each), min(each), max(each))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


class Rows:
    """All rows of a run."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.all = list(rows)

    @classmethod
    def from_json(cls, rows: list[dict[str, Any]]) -> Rows:
        return cls([Row(**{**row, "rounds": [Round(**each) for each in row["rounds"]]}) for row in rows])

    def find(
        self, workload: str, connections: int | None = None, contestant: str = "gateway", link: str = "lan"
    ) -> Row | None:
        """With any number of connections, for None."""
        for row in self.all:
            found = row.workload, row.contestant, row.link
            if found == (workload, contestant, link) and connections in (None, row.connections):
                return row
        return None

    def beside(self, row: Row, contestant: str) -> Row | None:
        """Return the row of another contestant with the same load."""
        return self.find(row.workload, row.connections, contestant, row.link)
