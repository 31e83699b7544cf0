"""Load by the clients of streams, in a process of their own; see stream_clients.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import Load
from benchmarks.workloads import Events

_ROOT = Path(__file__).parents[1]
_END_SECONDS = 10

# Seconds in which the streams come to run evenly after the first event.
_SETTLE_SECONDS = 1


@contextmanager
def opened(port: int, events: Events, streams: int, seconds: int) -> Iterator[Callable[[], Load]]:
    """Open streams and have the devices send; a call of what it gives counts what the clients receive."""
    import tango

    targets = [
        {"host": os.environ["TANGO_HOST"], "device": device, "attribute": f"sent{number}", "type": "change"}
        for device in events.devices
        for number in range(events.attributes)
    ]
    command = [sys.executable, "-m", "benchmarks.stream_clients", str(port), events.transport, str(streams)]
    clients = subprocess.Popen(
        [*command, str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
    )
    assert clients.stdin
    assert clients.stdout
    say, hear = clients.stdin, clients.stdout

    def count() -> Load:
        print(file=say, flush=True)
        return Load(**json.loads(hear.readline()))

    try:
        print(json.dumps(targets), file=say, flush=True)
        hear.readline()
        turns = events.rate * (seconds + _SETTLE_SECONDS)
        for device in events.devices:
            tango.DeviceProxy(device).command_inout("Send", [events.attributes, turns, events.rate])
        time.sleep(_SETTLE_SECONDS)
        yield count
        clients.wait(_END_SECONDS)
    finally:
        clients.kill()
        clients.wait()
