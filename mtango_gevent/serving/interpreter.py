"""Run a module in a Python process of its own, which imports the same packages as this process."""

from __future__ import annotations

import os
import sys


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs `module`; start it with `environment()`."""
    return [sys.executable, "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return the variables of this process, with the module search path of this process as PYTHONPATH.

    A new interpreter does not know a path that this process got in another way, as in a PEX file.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
