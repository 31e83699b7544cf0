"""The yardstick "loop": plain PyTango in one thread. `python -m benchmarks.loop SECONDS`, with the calls on stdin."""

from __future__ import annotations

import json
import os
import sys
import time

import tango

from benchmarks.load import latencies
from benchmarks.usage import Usage


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
            took.append(1e3 * (now - before))
    cpu = usage.cpu() - cpu
    figures = {
        "requests": len(took),
        "bytes": 0,
        "seconds": now - began,
        "errors": 0,
        **latencies(took),
        "cpu": cpu,
        "peak": usage.peak(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(float(sys.argv[1]))
