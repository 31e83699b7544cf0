"""A thousand streams, half of them server-sent events and half WebSockets, on two workers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.live.conftest import COMMAND, ROOT, Gateway, served, wait_until
from tests.pytango_process import PyTango

STREAMS, ATTRIBUTES, EVENTS = 1000, 20, 100


def resident(gateway: Gateway) -> int:
    return sum(worker.memory_info().rss for worker in psutil.Process(gateway.process.pid).children())


@pytest.mark.slow
@pytest.mark.timing
def test_thousand_streams_get_every_event_in_order(
    tango_system: EmbeddedTango, sender: str, pytango: PyTango, tmp_path: Path
) -> None:
    settings = {"MTANGO_STREAM_CLIENT_LIMIT": "1000", "MTANGO_WORKERS": "2"}
    with served(COMMAND, tmp_path / "log", **settings) as gateway:
        wait_until(lambda: len(gateway.get("/sys/stats")["workers"]) == 2)
        command = [sys.executable, "-m", "tests.live.streaming", str(gateway.port), tango_system.tango_host, sender]
        subprocess.run([*command, "100", str(ATTRIBUTES), "0"], check=True, cwd=ROOT)  # the first ones need more memory
        before, numbers = resident(gateway), map(str, (STREAMS, ATTRIBUTES, EVENTS))
        with subprocess.Popen([*command, *numbers], stdout=subprocess.PIPE, text=True, cwd=ROOT) as clients:
            assert clients.stdout
            assert clients.stdout.readline() == "ready\n"
            kib = (resident(gateway) - before) / STREAMS / 1024
            time.sleep(3)
            rows = gateway.get("/sys/streams")
            assert (len(rows), {row["attributes"] for row in rows}) == (STREAMS, {1})
            pytango.run(sender, "Send", [ATTRIBUTES, EVENTS, 10])
            stats: Any = gateway.get("/sys/stats")
            assert all(worker["events"]["subscriptions"] <= ATTRIBUTES for worker in stats["workers"])
            found = json.loads(clients.stdout.readline())
            clients.wait(30)
            left = time.monotonic()
            print(Counter(row["worker"] for row in rows), "KiB of a stream:", kib, found)
            assert found["good"] == STREAMS, found
            assert found["p99"] < 3 * 500, found
            assert kib < 60
            wait_until(lambda: not gateway.get("/sys/stats")["events"]["subscriptions"])
            print("released after", time.monotonic() - left)
            assert time.monotonic() - left < 3 * 5
