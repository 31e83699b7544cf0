"""`make soak` with each fault once, which is too short to judge growth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timing


def test_soak_with_every_fault_once_ends_without_complaints() -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "1"]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "too short a run" in ended.stdout
    assert "Traceback" not in ended.stderr
