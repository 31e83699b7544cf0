"""Measure the gateway beside its yardsticks: `python -m benchmarks`; see docs/how-to/benchmark.md.

The exit status is 1 if a request of the gateway failed or a workload was not measured; what does not hold is said, and
fails nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks import plot, race, report, verdicts
from benchmarks.contestants import GATEWAY, ROOT, authenticated, before
from benchmarks.credentials import MAKERS
from benchmarks.figures import Rows
from benchmarks.link import DELAYS
from benchmarks.scene import prepared
from benchmarks.workloads import WORKLOADS


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of what stops the servers
    options = _options()
    if not shutil.which("wrk"):
        sys.exit("benchmarks: wrk is not installed (Debian: wrk)")
    rivals = [before(options.against)] if options.against else []
    rivals += map(authenticated, options.auth)
    checkouts = {GATEWAY.name: ROOT, **{rival.name: rival.folder for rival in rivals}}
    about, rows = report.circumstances(checkouts, options.rounds * options.starts, options.seconds), Rows([])
    failed = False
    for link in options.links:
        with prepared(link) as system:
            for workload in (
                each.over(link, options.no_yardsticks, tuple(options.connections))
                for each in WORKLOADS
                if each.name in options.workloads
            ):
                print(workload.title, "...", file=sys.stderr, flush=True)
                try:
                    rows.all.extend(race.run(workload, rivals, system, options.rounds, options.seconds, options.starts))
                except Exception as error:  # whatever it was, the others are still worth measuring
                    print(f"{workload.title} was not measured: {error!r}", file=sys.stderr, flush=True)
                    failed = True
    _write(options.out, about, rows)
    return int(failed or any(row.errors for row in rows.all if row.contestant == GATEWAY.name))


def _write(folder: Path, about: dict[str, Any], rows: Rows) -> None:
    found = verdicts.judge(rows, about["machine"]["cores"])
    text = report.as_text(about, rows, found)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(text)
    (folder / "figures.json").write_text(json.dumps(report.as_dict(about, rows, found), indent=1) + "\n")
    (folder / "ratios.svg").write_text(plot.draw(rows, f"{about['date']}, {about['machine']['processor']}"))
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The gateway beside its yardsticks.")
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--rounds", type=int, default=5, help="of each contestant with each load")
    parser.add_argument("--starts", type=int, default=1, help="of each contestant, each time for so many rounds")
    parser.add_argument("--seconds", type=int, default=2, help="of each round, as wrk counts in whole ones")
    parser.add_argument("--workloads", nargs="*", choices=names, metavar="NAME", help="; ".join(names))
    parser.add_argument(
        "--connections", type=int, nargs="*", default=[], help="numbers of connections, for every workload"
    )
    parser.add_argument("--links", nargs="*", choices=list(DELAYS), default=["loopback"], help="; ".join(DELAYS))
    parser.add_argument("--no-yardsticks", action="store_true", help="the gateway, and another checkout, alone")
    parser.add_argument("--against", type=_checkout, metavar="DIR", help="another checkout, in the same rounds")
    parser.add_argument(
        "--auth", nargs="*", choices=list(MAKERS), default=[], help="the gateway with these methods, in the same rounds"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench", metavar="DIR", help="where results go")
    options = parser.parse_args()
    if min(options.rounds, options.seconds, options.starts) < 1:
        parser.error("--rounds, --seconds and --starts are whole numbers from 1 on")
    options.workloads = options.workloads or names
    return options


def _checkout(text: str) -> Path:
    folder = Path(text).absolute()
    if not (folder / "mtango_gevent/__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no checkout of mtango-gevent")
    return folder


if __name__ == "__main__":
    sys.exit(main())
