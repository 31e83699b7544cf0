"""A run as a table for people and as JSON for programs."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks import verdicts
from benchmarks.contestants import GATEWAY
from benchmarks.figures import Figure, Ratio, Row, Rows
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
        "headers": 2 if options.one_header else 11,
        "log": not options.no_log,
    }


def as_json(about: dict[str, Any], rows: Rows) -> str:
    """Return JSON with a line for each row."""
    head = json.dumps(about, indent=1).removesuffix("\n}")
    lines = ",\n".join(json.dumps(dataclasses.asdict(row)) for row in rows.all)
    return f'{head},\n "rows": [\n{lines}\n]\n}}\n'


def as_text(about: dict[str, Any], rows: Rows) -> str:
    """Markdown."""
    tables = [
        f"## {link}\n\n{table(_COLUMNS, (_line(rows, row) for row in rows.all if row.link == link))}\n"
        for link in dict.fromkeys(row.link for row in rows.all)
    ]
    return "\n".join([conditions(about), *tables, verdict_table(about, rows)])


def conditions(about: dict[str, Any]) -> str:
    """Return how the run was made."""
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    commits = ", ".join(f"{name} {commit}" for name, commit in about["commits"].items())
    return f"""\
{about["date"]}; {machine["processor"]}, {machine["cores"]} cores, {machine["system"]}, load before {machine["load"]}.
{versions}; {commits}; scalars of the {about["scalars"]} server.
Medians of {about["rounds"]} rounds of {about["seconds"]} s, {about["headers"]} headers, \
access log {"on" if about["log"] else "off"}.
"""


def verdict_table(about: dict[str, Any], rows: Rows) -> str:
    found = verdicts.judge(rows, about["machine"]["cores"])
    return table(("What must hold", "bound", "found", ""), map(_verdict, found)) + "\n"


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
        "" if math.isnan(row.hub_lag) else f"{row.hub_lag:.1f}",
        f"{row.median(lambda r: r.cpu_per_request):.0f}",
        f"{row.median(lambda r: r.bytes / r.seconds) / 1e6:.1f}",
        f"{row.median(lambda r: r.peak) / 2**20:.0f}",
        f"{row.errors}",
        str(ratio_to(rows, row, lambda r: r.per_second) or ""),
        str(ratio_to(rows, row, lambda r: r.cpu_per_request) or ""),
    )


def ratio_to(rows: Rows, row: Row, figure: Figure) -> Ratio | None:
    """The gateway's figure to this one's; None for itself, and where it had other connections."""
    gateway = rows.beside(row, GATEWAY.name)
    return Ratio.of(gateway, row, figure) if gateway and gateway is not row else None


def _verdict(verdict: verdicts.Verdict) -> Sequence[str]:
    found = verdict.spread or f"{verdict.found:.2f}"
    return verdict.about, f"{verdict.wanted} {verdict.bound:g}", found, verdict.word


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
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
