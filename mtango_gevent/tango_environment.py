"""Settings of Tango in the environment, with values for a gateway. Tango reads them when it is imported, or later."""

from __future__ import annotations

import os
from importlib.util import find_spec

TRUE = {"on", "1", "true", "yes", "y"}  # as PyTango reads it

SERVICE_NAME = "mtango-gevent"  # of the gateway among the services of a trace


def telemetry_is_enabled() -> bool:
    """Return whether the environment switches the telemetry of Tango on, and with it tracing."""
    return os.environ.get("TANGO_TELEMETRY_ENABLE", "").lower() in TRUE


def can_trace() -> bool:
    """Return whether requests may belong to traces: telemetry is on, and OpenTelemetry is installed."""
    return telemetry_is_enabled() and is_installed("opentelemetry.trace")


def is_installed(module: str) -> bool:
    """Return whether a module could be imported; the packages that contain it are imported for that."""
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # of its parent; of a module that is not to be loaded
        return False


def prepare_environment() -> None:
    """Set what the environment leaves open. Called before `tango` is imported."""
    # How many events may wait for the threads that receive them: beyond it events are lost. Tango's own number is
    # 1000, a burst of thousands of attributes is longer. An event of a scalar takes about 300 bytes.
    os.environ.setdefault("TANGO_EVENT_BUFFER_HWM", "20000")

    if telemetry_is_enabled():
        _prepare_telemetry()
    else:
        # Where opentelemetry-api is installed, PyTango 10.3 looks in each call whether telemetry has been enabled
        # since: 0.08 ms with the GIL held, as it reads ten settings and Tango's configuration files for each.
        os.environ.setdefault("PYTANGO_DISABLE_TELEMETRY_PATCHING", "on")


def _prepare_telemetry() -> None:
    """Give cppTango's spans the name of the gateway, and have them sent every second, not every five.

    Those of the last period are lost when a worker stops while a call hangs.
    """
    name = os.environ.get("OTEL_SERVICE_NAME") or SERVICE_NAME
    os.environ.setdefault("PYTANGO_TELEMETRY_CLIENT_SERVICE_NAME", name)
    os.environ.setdefault("OTEL_BSP_SCHEDULE_DELAY", "1000")
