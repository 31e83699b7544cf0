"""What a device says reaches no header and no log line as it is."""

from __future__ import annotations

import re
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import Gateway, served, wait_until

pytestmark = pytest.mark.slow

DEVICE = "test/rude/1"
PATHS = [
    *("", "/state", "/attributes", "/attributes?range=0-1", "/attributes/text", "/attributes/text/value"),
    *("/attributes/fails/value", "/attributes/value?attr=fails&attr=text", "/attributes/fails/change?timeout=1"),
    *("/commands", "/commands/Fail", "/properties"),
]


@pytest.fixture(scope="session")
def rude_path(tango_system: EmbeddedTango, host_path: str) -> str:
    command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), "rude"]
    tango_system.add_server(command, "Slow/rude", {DEVICE: "Rude"})
    return f"{host_path}/devices/{DEVICE}"


def ask(gateway: Gateway, path: str, method: str = "GET") -> bytes:
    """The body, after a look at the headers."""
    request = urllib.request.Request(gateway.base + path, method=method)
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert all(value.isascii() and value.isprintable() for value in reply.headers.values())
        assert "X-Injected" not in reply.headers
        return reply.read()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_that_a_device_says_gets_out_of_its_place(rude_path: str, tmp_path: Path, log_format: str) -> None:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    with served(command, tmp_path / "log", MTANGO_LOG_FORMAT=log_format) as gateway:
        for path in PATHS:
            assert orjson.loads(ask(gateway, rude_path + path)) is not None
        assert b"X-Injected" in ask(gateway, f"{rude_path}/commands/Fail", "PUT")
        ask(gateway, f"{rude_path}/commands/Fail?async", "PUT")
        wait_until(lambda: "async command Fail" in gateway.log.read_text("utf-8"))
    lines = gateway.log.read_text("utf-8").splitlines()
    assert sum("X-Injected" in line for line in lines) >= 2
    for line in lines:
        assert line.isprintable(), line
        if log_format == "json":
            orjson.loads(line)
        else:
            assert re.match(r"\[20[0-9-]+ [0-9:]+ [+0-9]+\] \[[0-9]+\] \[[A-Z]+\] ", line), line
