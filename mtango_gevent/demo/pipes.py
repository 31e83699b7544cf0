"""Pipes, which PyTango has up to 10.0."""

from __future__ import annotations

import warnings
from typing import Any

import tango
import tango.server

HAVE_PIPES = hasattr(tango.CmdArgType, "DevPipeBlob")


def pipes(**settings: dict[str, Any]) -> dict[str, Any]:
    """Return the pipes of a class by name, from arguments of `tango.server.pipe`; none if PyTango has no pipes."""
    if not HAVE_PIPES:
        return {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pipe - scheduled for removal", DeprecationWarning)
        return {name: tango.server.pipe(**arguments) for name, arguments in settings.items()}
