"""Mixed load with faults for as long as it is told to, and a verdict: `python -m tests.soak --minutes 5`.

It runs an embedded Tango with a few more servers, a gateway with one worker, and some hundreds of requests per second.
Quiet phases take turns with faults. The exit status is 1 if an answer was wrong, a request hung, the worker was lost or
stalled, a device did not come back after a fault, or the worker's memory, threads or descriptors grew.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil

from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from tests.live.conftest import Gateway, served
from tests.soak.faults import Faults
from tests.soak.load import Load
from tests.soak.requests import SENDER, Target
from tests.soak.results import Results
from tests.soak.usage import ENOUGH, Usage, excess, growth
from tests.tracked_server import TrackedServer

CLIENTS, LISTENERS = 12, 6
HUNG = "soak/hung/1"
DEMO = ("sys/tg_test/1", "demo/motor/1", "demo/camera/1", "demo/powersupply/1")
DEVICES = Path(__file__).parents[1] / "devices.py"

# Seconds after the end of a fault until all devices answer: three times the promise, as two cores are shared.
RECOVERY_SECONDS = 15.0


class Soak:
    def __init__(self, system: EmbeddedTango, gateway: Gateway, arguments: argparse.Namespace) -> None:
        names = [f"soak/slow/{number}" for number in range(1, CLIENTS + 1)]
        servers = [
            TrackedServer(_add(system, "one", {**dict.fromkeys(names[::2], "Slow"), HUNG: "Slow"})),
            TrackedServer(_add(system, "two", {**dict.fromkeys(names[1::2], "Slow"), SENDER: "Sender"})),
        ]
        base = "/tango/rest/rc3/hosts/" + system.tango_host.replace(":", "/")
        self._target = Target(base, {name: servers[number % 2] for number, name in enumerate(names)})
        self._gateway, self._results = gateway, Results()
        self._worker = gateway.worker()
        self._load = Load(gateway.port, self._target, self._results, arguments.rate, LISTENERS)
        servers.append(TrackedServer(system.device_server))
        self._faults = Faults(gateway.port, self._target, self._results, TrackedServer(system.database), servers, HUNG)
        self._until = time.monotonic() + 60 * arguments.minutes
        self._quiet_seconds = min(20.0, 60 * arguments.minutes / 30)
        self._phases: list[Usage] = []

    def run(self) -> bool:
        """Return whether there was no complaint."""
        began = time.monotonic()
        try:
            with self._load:
                self._recover("the start")
                self._be_quiet()
                while time.monotonic() < self._until:
                    self._inject_faults()
                    print(self._results.table(), flush=True)
        except BaseException:
            print(self._results.table(), flush=True)
            raise
        seconds = time.monotonic() - began
        print(
            f"{self._results.requests} requests in {seconds:.0f} s, {self._results.requests / seconds:.0f} per second"
        )
        self._judge_growth()
        self._judge_log()
        print(f"{len(self._results.wrong)} complaints" if self._results.wrong else "all was well")
        return not self._results.wrong

    def _inject_faults(self) -> None:
        """Inject every fault once, with a quiet phase after each."""
        for sentence, inject in self._faults.all:
            if time.monotonic() > self._until:
                return
            self._results.quiet, self._load.longest_gap = False, 0.0
            inject()
            self._recover(sentence)
            self._be_quiet()

    def _recover(self, sentence: str) -> None:
        """Wait until all devices answer."""
        began = time.monotonic()
        paths = [f"{self._target.device(name)}/attributes/quick/value" for name in [*self._target.slow, HUNG]]
        paths += [f"{self._target.device(name)}/state" for name in (*DEMO, SENDER)]
        paths += [f"{self._target.base}/devices?wildcard=soak/*"]
        lost = list(paths)
        while lost and time.monotonic() < began + 2 * RECOVERY_SECONDS:
            lost = [path for path in lost if "errors" in str(self._ask(path))]
            time.sleep(0.05)
        seconds = time.monotonic() - began
        if lost or seconds > RECOVERY_SECONDS:
            self._results.complain(
                f"{sentence}: after {seconds:.1f} s these are {'still' if lost else 'just not'} away: {lost}"
            )
        gap = 1000 * self._load.longest_gap
        print(f"{sentence}: back after {seconds:.1f} s, longest answer of /healthz {gap:.0f} ms", flush=True)

    def _be_quiet(self) -> None:
        time.sleep(2)  # for requests that began before
        self._results.quiet = True
        usages, until = [], time.monotonic() + self._quiet_seconds
        while time.monotonic() < until:
            time.sleep(1)
            self._check_worker()
            usages.append(Usage.of(self._worker))
        self._phases.append(Usage.median(usages[len(usages) // 2 :]))
        pool = self._ask("/tango/rest/sys/stats")["pool"]
        print(
            f"quiet {len(self._phases)}: {self._results.requests} requests, {self._phases[-1]}, pool {pool}", flush=True
        )
        if pool["abandoned"]:
            self._results.complain(f"calls are still abandoned: {pool}")

    def _ask(self, path: str) -> dict:
        return self._gateway.get(path.removeprefix("/tango/rest"))  # pyright: ignore[reportReturnType]

    def _check_worker(self) -> None:
        children = psutil.Process(self._gateway.process.pid).children()
        if [child.pid for child in children] != [self._worker.pid]:
            end = self._gateway.log.read_text(errors="replace")[-4000:]
            sys.exit(f"the worker {self._worker.pid} was lost, there is {children}; the end of the log:\n{end}")

    def _judge_growth(self) -> None:
        warm = self._phases[1 + len(self._faults.all) :]  # each fault has happened once
        if len(warm) < ENOUGH:
            print(f"growth: too short a run to judge it, {len(warm)} quiet phases after the warm-up")
            return
        grown = growth(warm)
        print(f"growth over {len(warm)} quiet phases after the warm-up: {grown}")
        for sentence in excess(grown):
            self._results.complain(sentence)

    def _judge_log(self) -> None:
        for line in self._gateway.log.read_text(errors="replace").splitlines():
            if "Traceback" in line or "WORKER TIMEOUT" in line:
                self._results.complain(f"the log says: {line}")


def _add(system: EmbeddedTango, instance: str, devices: dict[str, str]) -> ServerProcess:
    return system.add_server([sys.executable, str(DEVICES), instance], f"Slow/{instance}", devices)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long, a little more than that")
    parser.add_argument("--rate", type=float, default=300, help="requests per second, about")
    parser.add_argument("--log", type=Path, help="where the gateway's log is kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedTango() as system:
        os.environ["TANGO_HOST"] = system.tango_host
        command = [sys.executable, "-m", "mtango_gevent", "serve"]
        with served(command, arguments.log or Path(folder) / "log", MTANGO_WORKERS="1") as gateway:
            well = Soak(system, gateway, arguments).run()
    sys.exit(not well)


if __name__ == "__main__":
    main()
