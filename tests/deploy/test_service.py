"""The systemd unit. No systemd runs here: it is read by systemd's own checker, and what it relies on is tried."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.live.conftest import served

from .conftest import adapted

checker = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that exists."""
    path = tmp_path / "mtango-gevent.service"
    path.write_text(adapted("mtango-gevent.service", {"/opt/mtango-gevent/bin/mtango-gevent": shutil.which("true")}))
    return path


@checker
def test_systemd_finds_no_fault_with_the_unit(unit: Path) -> None:
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@checker
def test_the_unit_is_hardened(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(unit)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout  # exposure of 2.0 at most, of 10


def test_the_server_tells_systemd_when_it_listens(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        command = [sys.executable, "-m", "mtango_gevent", "serve"]
        with served(command, tmp_path / "log", NOTIFY_SOCKET=str(tmp_path / "notify")):
            assert b"READY=1" in systemd.recv(4096).splitlines()
