"""Tables in Markdown, of which the report and the pages of the documentation consist."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import verdicts
from benchmarks.figures import Figure, Ratio, Row, Rows


def conditions(about: dict[str, Any]) -> str:
    """Return how the run was made."""
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    commits = ", ".join(f"{name} {commit}" for name, commit in about["commits"].items())
    headers = "a browser's 11 headers" if about["headers"] > 1 else "1 header"
    return f"""\
{about["date"]}; {machine["processor"]}, {machine["cores"]} cores, {machine["system"]}, load before {machine["load"]}.
{versions}; {commits}; scalars of the {about["scalars"]} server.
Medians of {about["rounds"]} rounds of {about["seconds"]} s, requests with {headers}, \
access log {"on" if about["log"] else "off"}.
"""


def verdict_table(about: dict[str, Any], rows: Rows) -> str:
    found = verdicts.judge(rows, about["machine"]["cores"])
    return table(("What must hold", "bound", "found", ""), map(_verdict, found)) + "\n"


def hub_lag(row: Row) -> str:
    return "" if math.isnan(row.hub_lag) else f"{row.hub_lag:.1f}"


def ratio_to(rows: Rows, row: Row, figure: Figure) -> Ratio | None:
    """The gateway's figure to this one's; None for itself, and where it had other connections."""
    gateway = rows.beside(row, "gateway")
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
