"""Pipes where PyTango has them: up to 10.0; later versions dropped the type, the decorator and the client's calls."""

from __future__ import annotations

import warnings
from typing import Any

import tango
import tango.server

HAVE_PIPES = hasattr(tango.CmdArgType, "DevPipeBlob")


def pipes(**settings: dict[str, Any]) -> dict[str, Any]:
    """The pipes of a class by their name, from the arguments of `tango.server.pipe`; none where there are no pipes."""
    if not HAVE_PIPES:
        return {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pipe - scheduled for removal", DeprecationWarning)
        return {name: tango.server.pipe(**arguments) for name, arguments in settings.items()}
