"""The demo, as `make run` starts it, for the examples of the documentation."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import free_port
from tests.live.conftest import wait_until

from .pages import ROOT


@dataclasses.dataclass(frozen=True)
class Demo:
    """A running demo. The examples name it as 127.0.0.1:8000, and its Tango as 127.0.0.1:10000."""

    port: int
    tango_port: int
    commands: Path
    """A folder with the command `mtango-gevent` of this checkout."""

    def adapt(self, text: str) -> str:
        """Return a text of the documentation with the ports of this demo."""
        return text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")

    def restore(self, text: str) -> str:
        """Return an answer of this demo with the ports that the documentation has."""
        text = text.replace(f"127.0.0.1:{self.port}", "127.0.0.1:8000")
        return re.sub(rf"127\.0\.0\.1([:/]){self.tango_port}\b", r"127.0.0.1\g<1>10000", text)

    def environment(self) -> dict[str, str]:
        """Return the environment of a user whose Tango is this demo and who has the virtual environment active."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("MTANGO_")}
        return {
            **ours,
            "PATH": f"{self.commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TANGO_HOST": f"127.0.0.1:{self.tango_port}",
            "no_proxy": "127.0.0.1",
        }


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    port, folder = free_port(), tmp_path_factory.mktemp("demo")
    log, program = folder / "log", folder / "mtango-gevent"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mtango_gevent "$@"\n', "utf-8")
    program.chmod(0o755)
    command = [sys.executable, "-m", "mtango_gevent", "demo", "--bind", f"127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "Try:" in log.read_text() or process.poll() is not None)
        found = re.search(r"TANGO_HOST=127\.0\.0\.1:(\d+)", log.read_text())
        assert found, log.read_text()
        yield Demo(port, int(found[1]), folder)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
