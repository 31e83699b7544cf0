"""Scenarios that need a process which is patched as a gunicorn gevent worker is (see patched.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

ROOT = Path(__file__).parents[2]


@pytest.fixture
def patched(tango_system: EmbeddedTango) -> Callable[..., dict]:
    """Run a scenario; what it prints besides its result is a failure."""

    def run(scenario: str, *arguments: object) -> dict:
        command = [sys.executable, "-m", "tests.control.patched", scenario, *map(str, arguments)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert ended.stderr == ""
        return json.loads(ended.stdout)

    return run
