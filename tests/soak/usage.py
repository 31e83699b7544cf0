"""Memory, descriptors and threads of the worker, and their growth."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

import psutil


@dataclasses.dataclass(frozen=True)
class Usage:
    """rss, uss: MiB."""

    rss: float
    uss: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> Usage:
        memory = process.memory_full_info()
        return cls(memory.rss / 2**20, memory.uss / 2**20, process.num_fds(), process.num_threads())

    @classmethod
    def median(cls, usages: Sequence[Usage]) -> Usage:
        each = zip(*map(dataclasses.astuple, usages), strict=True)
        return cls(*(statistics.median(values) for values in each))

    def __str__(self) -> str:
        memory = f"RSS {self.rss:.1f} MiB, USS {self.uss:.1f} MiB"
        return f"{memory}, {self.descriptors:g} descriptors, {self.threads:g} threads"


# How much more the last third of the quiet phases may use than the first: caches and buffers fill for a while, and
# the pool has as many threads as the worst moment needed, but what leaks at each request or fault exceeds this.
ALLOWED = Usage(rss=12, uss=8, descriptors=10, threads=10)

# With fewer quiet phases than that nothing can be said.
ENOUGH = 6


def growth(phases: Sequence[Usage]) -> Usage:
    """From the first third of the phases to the last, by their medians."""
    third = len(phases) // 3
    first, last = Usage.median(phases[:third]), Usage.median(phases[-third:])
    before, after = dataclasses.astuple(first), dataclasses.astuple(last)
    return Usage(*(new - old for old, new in zip(before, after, strict=True)))


def excess(grown: Usage) -> list[str]:
    """What has grown by more than it may."""
    return [
        f"{name} has grown by {by:g}, and {allowed:g} is allowed"
        for (name, by), allowed in zip(dataclasses.asdict(grown).items(), dataclasses.astuple(ALLOWED), strict=True)
        if by > allowed
    ]
