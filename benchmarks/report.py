"""A run as a table for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.contestants import GATEWAY
from benchmarks.figures import Ratio, Row, Rows
from benchmarks.scene import CPP_SERVER
from benchmarks.verdicts import Verdict

_PACKAGES = ["pytango", "gunicorn", "gevent", "flask", "numpy", "orjson", "fastapi", "uvicorn", "uvloop"]


def circumstances(checkouts: dict[str, Path], rounds: int, seconds: int) -> dict[str, Any]:
    """Machine, date, versions."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.release()}",
            "load": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
            "wrk": subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split()[1],
        },
        "commits": {name: _commit(folder) for name, folder in checkouts.items()},
        "scalars": "C++ TangoTest" if CPP_SERVER else "Python",
        "rounds": rounds,
        "seconds": seconds,
    }


def as_dict(about: dict[str, Any], rows: Rows, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        **about,
        "rows": [dataclasses.asdict(row) | {"ratio": _ratio_or_none(rows, row)} for row in rows.all],
        "verdicts": [verdict.as_dict() for verdict in verdicts],
    }


def as_text(about: dict[str, Any], rows: Rows, verdicts: Sequence[Verdict]) -> str:
    """Markdown."""
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    commits = ", ".join(f"{name} {commit}" for name, commit in about["commits"].items())
    return f"""\
{about["date"]}; {machine["processor"]}, {machine["cores"]} cores, {machine["system"]}, load before {machine["load"]}.
{versions}; {commits}; scalars of the {about["scalars"]} server.
Medians of {about["rounds"]} rounds of {about["seconds"]} s.

{_table(_COLUMNS, (_line(rows, row) for row in rows.all))}

{_table(("What must hold", "bound", "found", ""), map(_verdict, verdicts))}
"""


_COLUMNS = (
    "Workload",
    "connections",
    "workers",
    "who",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "max ms",
    "CPU s/1000",
    "MiB",
    "errors",
    "gateway to this one",
)


def _line(rows: Rows, row: Row) -> Sequence[str]:
    ratio = ratio_of(rows, row)
    return (
        row.title,
        f"{row.connections}",
        f"{row.workers}",
        row.contestant,
        f"{row.median(lambda r: r.per_second):.0f}",
        f"{row.median(lambda r: r.p50):.2f}",
        f"{row.median(lambda r: r.p99):.2f}",
        f"{row.median(lambda r: r.max):.1f}",
        f"{row.median(lambda r: r.cpu_per_1000):.3f}",
        f"{row.median(lambda r: r.peak) / 2**20:.0f}",
        f"{row.errors}",
        str(ratio or ""),
    )


def ratio_of(rows: Rows, row: Row) -> Ratio | None:
    """The gateway's requests per second to this one's; None for itself, and where it had other connections."""
    gateway = rows.find(row.workload, row.connections, GATEWAY.name)
    return Ratio.of(gateway, row, lambda r: r.per_second) if gateway and gateway is not row else None


def _ratio_or_none(rows: Rows, row: Row) -> dict[str, float] | None:
    ratio = ratio_of(rows, row)
    return dataclasses.asdict(ratio) if ratio else None


def _verdict(verdict: Verdict) -> Sequence[str]:
    found = verdict.spread or f"{verdict.found:.2f}"
    return verdict.about, f"{verdict.wanted} {verdict.bound:g}", found, verdict.word


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """With columns as wide as they have to be, so that it can be read as it is."""
    cells = [columns, *lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    head, *rest = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    return "\n".join([head, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *rest])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit(folder: Path) -> str:
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
