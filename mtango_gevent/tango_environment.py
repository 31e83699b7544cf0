"""Settings of Tango in the environment, with values for a gateway. Tango reads them when it is imported, or later."""

from __future__ import annotations

import os

_ON = {"on", "1", "true", "yes", "y"}  # as PyTango reads it


def prepare_environment() -> None:
    """Set what the environment leaves open. Called before `tango` is imported."""
    # How many events may wait for the threads that receive them: beyond it events are lost. Tango's own number is
    # 1000, a burst of thousands of attributes is longer. An event of a scalar takes about 300 bytes.
    os.environ.setdefault("TANGO_EVENT_BUFFER_HWM", "20000")

    # Where opentelemetry-api is installed, PyTango 10.3 looks in each call whether telemetry has been enabled since:
    # 0.08 ms with the GIL held, as it reads ten settings and Tango's configuration files for each.
    if os.environ.get("TANGO_TELEMETRY_ENABLE", "").lower() not in _ON:
        os.environ.setdefault("PYTANGO_DISABLE_TELEMETRY_PATCHING", "on")
