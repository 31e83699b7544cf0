"""Measure the gateway beside its yardsticks: `python -m benchmarks`; see docs/how-to/benchmark.md.

The exit status is 1 if a request of the gateway failed or a workload was not measured; what does not hold is said, and
fails nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import pages, plot, race, report
from benchmarks.contestants import GATEWAY, ROOT, Contestant, authenticated, before
from benchmarks.credentials import MAKERS
from benchmarks.figures import Rows
from benchmarks.link import DELAYS
from benchmarks.scene import prepared
from benchmarks.workloads import JSON, Workload, workloads
from mtango_gevent.demo.embedded import EmbeddedTango


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of what stops the servers
    options = _options()
    if not shutil.which("wrk"):
        sys.exit("benchmarks: wrk is not installed (Debian: wrk)")
    rivals = [before(options.against)] if options.against else []
    rivals += map(authenticated, options.auth)
    checkouts = {GATEWAY.name: ROOT, **{rival.name: rival.folder for rival in rivals}}
    about, rows = report.circumstances(checkouts, options), Rows([])
    until, is_complete = _bound(options.minutes), True
    try:
        for link in options.links:
            with prepared(link) as system:
                for workload in _chosen(options, link):
                    is_complete &= _measure(workload, rivals, system, options, until, rows)
    finally:
        _write(options.out, about, rows)
    if options.publish and is_complete:
        for name, page in (("figures.json", pages.FIGURES), ("ratios.svg", pages.DRAWING)):
            shutil.copyfile(options.out / name, page)
    return int(not is_complete or any(row.errors for row in rows.all if row.contestant == GATEWAY.name))


def _measure(
    workload: Workload,
    rivals: list[Contestant],
    system: EmbeddedTango,
    options: argparse.Namespace,
    until: float,
    rows: Rows,
) -> bool:
    """Return whether the workload was measured: whatever is wrong with one, the others are worth measuring."""
    print(f"{workload.title}, {workload.link} ...", file=sys.stderr, flush=True)
    # Clients of streams have no credentials, and another checkout may not have other media types than JSON.
    asked = [rival for rival in rivals if workload.accept == JSON and not (workload.events and rival.method)]
    try:
        if time.monotonic() > until:
            _give_up()
        rows.all.extend(race.run(workload, asked, system, options.rounds, options.seconds, options.starts))
    except Exception as error:
        print(f"{workload.title} was not measured: {error!r}", file=sys.stderr, flush=True)
        return False
    return True


def _bound(minutes: int) -> float:
    """Have the run give up what it measures after so many minutes; return when that is."""
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(60 * minutes)
    return time.monotonic() + 60 * minutes


def _give_up(*_: object) -> None:
    raise TimeoutError("the run takes longer than --minutes")


def _chosen(options: argparse.Namespace, link: str) -> Iterator[Workload]:
    """Yield the workloads as the options want them. Yardsticks and streams are measured on the first link only."""
    is_first = link == options.links[0]
    for workload in workloads(options.streams, options.attributes, options.rates):
        if (options.workloads and workload.name not in options.workloads) or (workload.events and not is_first):
            continue
        yield dataclasses.replace(
            workload,
            link=link,
            connections=workload.connections if workload.events else (*options.connections,) or workload.connections,
            yardsticks=workload.yardsticks if is_first and not options.no_yardsticks else (),
            browser=workload.browser and not options.one_header,
            log=not options.no_log,
        )


def _write(folder: Path, about: dict[str, Any], rows: Rows) -> None:
    text = report.as_text(about, rows)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(text)
    (folder / "figures.json").write_text(report.as_json(about, rows))
    (folder / "ratios.svg").write_text(plot.draw(rows, f"{about['date']}, {about['machine']['processor']}"))
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The gateway beside its yardsticks.")
    names = list(dict.fromkeys(workload.name for workload in workloads(0, 0, [0])))
    option = parser.add_argument
    option("--rounds", type=_count, default=5, help="of each contestant with each load")
    option("--starts", type=_count, default=1, help="of each contestant, each time for so many rounds")
    option("--seconds", type=_count, default=1, help="of each round, as wrk counts in whole ones")
    option("--workloads", nargs="*", choices=names, metavar="NAME", help="; ".join(names))
    option("--connections", type=_count, nargs="*", default=[], help="numbers of connections, for every workload")
    option("--links", nargs="*", choices=list(DELAYS), default=["lan"], help="; ".join(DELAYS))
    option("--one-header", action="store_true", help="Host alone in place of a browser's eleven")
    option("--no-log", action="store_true", help="without an access log, for all contestants")
    option("--no-yardsticks", action="store_true", help="the gateway, and another checkout, alone")
    option("--against", type=_checkout, metavar="DIR", help="another checkout, in the same rounds")
    methods = list(MAKERS)
    option("--auth", nargs="*", choices=methods, default=[], help="the gateway with these methods, in the same rounds")
    option("--streams", type=_count, default=100, help="of the workloads sse and websocket")
    option("--attributes", type=_count, default=20, help="that each stream follows, at most 100")
    option("--rates", type=_count, nargs="*", default=[10], help="events/s of each attribute")
    option("--minutes", type=_count, default=25, help="after which the rest is left out")
    option("--out", type=Path, default=ROOT / "build/bench", metavar="DIR", help="where results go")
    option("--publish", action="store_true", help="put a complete run into docs/explanation; then run `make docs`")
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {number}")
    return number


def _checkout(text: str) -> Path:
    folder = Path(text).absolute()
    if not (folder / "mtango_gevent/__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no checkout of mtango-gevent")
    return folder


if __name__ == "__main__":
    sys.exit(main())
