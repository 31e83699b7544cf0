"""The yardstick "loop": plain PyTango in one thread. `python -m benchmarks.loop SECONDS`, with the calls on stdin."""

from __future__ import annotations

import json
import os
import sys
import time

import tango

from benchmarks.usage import Usage

PARTS = {"p50": 0.5, "p99": 0.99, "max": 1.0}


def main(seconds: float) -> None:
    made = [(getattr(tango.DeviceProxy(device), method), given) for device, method, given in json.load(sys.stdin)]
    for call, given in made:
        call(*given)
    took = []
    usage = Usage(os.getpid())
    cpu = usage.cpu()
    began = now = time.perf_counter()
    while now < began + seconds:
        for call, given in made:
            before = now
            call(*given)
            now = time.perf_counter()
            took.append(now - before)
    cpu = usage.cpu() - cpu
    ranked = sorted(took)
    figures = {
        "requests": len(took),
        "seconds": now - began,
        "errors": 0,
        **{name: 1e3 * ranked[int(part * (len(ranked) - 1))] for name, part in PARTS.items()},
        "cpu": cpu,
        "peak": usage.peak(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(float(sys.argv[1]))
