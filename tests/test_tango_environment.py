"""Settings of Tango in the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SETTINGS = ("TANGO_EVENT_BUFFER_HWM", "PYTANGO_DISABLE_TELEMETRY_PATCHING", "TANGO_TELEMETRY_ENABLE")


def run_child(code: str, **given: str) -> str:
    """Return what a process prints that was started with those settings and has imported the gateway."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, "-c", f"import mtango_gevent, os; {code}"]
    return subprocess.run(
        command, env={**kept, **given}, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def environment_of_child(**given: str) -> dict[str, str]:
    values = run_child(f"print(*[os.environ.get(name, '-') for name in {SETTINGS}])", **given)
    return dict(zip(SETTINGS, values.split(), strict=True))


def test_telemetry_of_pytango_is_left_out_where_nobody_has_enabled_it() -> None:
    assert environment_of_child()["PYTANGO_DISABLE_TELEMETRY_PATCHING"] == "on"
    assert environment_of_child(TANGO_TELEMETRY_ENABLE="off")["PYTANGO_DISABLE_TELEMETRY_PATCHING"] == "on"


@pytest.mark.parametrize("enabled", ["on", "1", "True"])
def test_telemetry_of_pytango_stays_where_somebody_has_enabled_it(enabled: str) -> None:
    assert environment_of_child(TANGO_TELEMETRY_ENABLE=enabled)["PYTANGO_DISABLE_TELEMETRY_PATCHING"] == "-"


def test_settings_in_the_environment_win() -> None:
    given = {"TANGO_EVENT_BUFFER_HWM": "7", "PYTANGO_DISABLE_TELEMETRY_PATCHING": "off"}
    assert environment_of_child(**given).items() >= given.items()


def test_calls_of_pytango_do_not_look_for_telemetry() -> None:
    assert run_child("import tango; print(hasattr(tango.DeviceProxy.read_attributes, '__trace_kwargs__'))") == "False"
