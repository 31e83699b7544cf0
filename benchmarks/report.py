"""A run as a table for people and as JSON for programs."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks import tables
from benchmarks.figures import Row, Rows
from benchmarks.scene import CPP_SERVER

_PACKAGES = ["pytango", "gunicorn", "gevent", "flask", "numpy", "orjson", "fastapi", "uvicorn", "uvloop", "httptools"]


def circumstances(checkouts: dict[str, Path], options: argparse.Namespace) -> dict[str, Any]:
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
        "rounds": options.rounds * options.starts,
        "seconds": options.seconds,
        "headers": 1 if options.one_header else 11,
        "log": not options.no_log,
    }


def as_json(about: dict[str, Any], rows: Rows) -> str:
    """Return JSON with a line for each row."""
    head = json.dumps(about, indent=1).removesuffix("\n}")
    lines = ",\n".join(json.dumps(dataclasses.asdict(row)) for row in rows.all)
    return f'{head},\n "rows": [\n{lines}\n]\n}}\n'


def as_text(about: dict[str, Any], rows: Rows) -> str:
    """Markdown."""
    links = [
        f"## {link}\n\n{tables.table(_COLUMNS, (_line(rows, row) for row in rows.all if row.link == link))}\n"
        for link in dict.fromkeys(row.link for row in rows.all)
    ]
    return "\n".join([tables.conditions(about), *links, tables.verdict_table(about, rows)])


_COLUMNS = (
    "Workload",
    "connections",
    "workers",
    "contestant",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "hub lag ms",
    "CPU us",
    "MB/s",
    "MiB",
    "errors",
    "requests/s to it",
    "CPU to it",
)


def _line(rows: Rows, row: Row) -> Sequence[str]:
    return (
        row.title,
        f"{row.connections}",
        f"{row.workers}",
        row.contestant,
        f"{row.median(lambda r: r.per_second):.0f}",
        f"{row.median(lambda r: r.p50):.2f}",
        f"{row.median(lambda r: r.p99):.2f}",
        tables.hub_lag(row),
        f"{row.median(lambda r: r.cpu_per_request):.0f}",
        f"{row.median(lambda r: r.bytes / r.seconds) / 1e6:.1f}",
        f"{row.median(lambda r: r.peak) / 2**20:.0f}",
        f"{row.errors}",
        str(tables.ratio_to(rows, row, lambda r: r.per_second) or ""),
        str(tables.ratio_to(rows, row, lambda r: r.cpu_per_request) or ""),
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit(folder: Path) -> str:
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
