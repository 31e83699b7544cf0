"""Measure streams at saturation: `python -m benchmarks.streams`; see docs/how-to/benchmark.md.

One worker sends the events of a few attributes to many streams. The device sends faster and faster until the worker
drops events or falls behind; what the clients then receive is the result.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import tango

from benchmarks.contestants import GATEWAY, ROOT, running
from benchmarks.workloads import Workload
from mtango_gevent.demo.embedded import EmbeddedTango

DEVICE = "bench/events/1"
SERVER = [sys.executable, str(Path(__file__).parent / "devices.py"), "events"]
WORKLOAD = Workload("streams", "streams", [])
LIMITS = (("MTANGO_STREAM_LIMIT", "10000"), ("MTANGO_STREAM_CLIENT_LIMIT", "10000"))


def main() -> None:
    options = _options()
    with EmbeddedTango() as system:
        os.environ["TANGO_HOST"] = system.tango_host
        system.add_server(SERVER, "MtangoBench/events", {DEVICE: "Events"})
        print("| transport | streams | offered/s | records/s | CPU us per record | KiB/s | MiB |")
        print("|---|---|---|---|---|---|---|")
        for transport in options.transports:
            for rate in options.rates:
                _measure(system, transport, options.streams, options.attributes, rate, options.seconds)


def _measure(system: EmbeddedTango, transport: str, streams: int, attributes: int, rate: int, seconds: int) -> None:
    with running(dataclasses.replace(GATEWAY, settings=LIMITS), WORKLOAD, system) as server:
        targets = [
            {"host": system.tango_host, "device": DEVICE, "attribute": f"sent{number}", "type": "change"}
            for number in range(attributes)
        ]
        command = [sys.executable, "-m", "benchmarks.stream_clients", str(server.port), transport, str(streams)]
        clients = subprocess.Popen(
            [*command, str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert clients.stdin
        assert clients.stdout
        clients.stdin.write(json.dumps(targets))
        clients.stdin.close()
        clients.stdout.readline()
        tango.DeviceProxy(DEVICE).command_inout("Send", [attributes, rate * (seconds + 4), rate])
        cpu = server.usage.cpu()
        found: dict[str, Any] = json.loads(clients.stdout.readline())
        cpu = server.usage.cpu() - cpu
        clients.wait(10)
        each = found["records"] / found["seconds"]
        per_record = cpu / (found["seconds"] + 1) / each * 1e6 if each else 0
        print(
            f"| {transport} | {streams} | {streams * attributes * rate} | {each:.0f} | {per_record:.1f}"
            f" | {found['bytes'] / found['seconds'] / 1024:.0f} | {server.usage.memory() / 2**20:.0f} |",
            flush=True,
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description="Streams of one worker.")
    parser.add_argument("--transports", nargs="*", choices=["sse", "websocket"], default=["sse", "websocket"])
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--attributes", type=int, default=20, help="that each stream follows, at most 100")
    parser.add_argument("--rates", type=int, nargs="*", default=[10, 20, 40, 80], help="events/s of each attribute")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    return parser.parse_args()


if __name__ == "__main__":
    main()
