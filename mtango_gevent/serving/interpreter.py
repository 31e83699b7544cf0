"""Command lines of Python processes that import the same packages as this process."""

from __future__ import annotations

import os
import sys
from importlib import resources


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs `module`; start it with `environment()`."""
    return [sys.executable, "-m", module, *arguments]


def gateway_command() -> list[str]:
    """Return the command line of the gateway, as `gunicorn -c gunicorn.conf.py wsgi:application` in a checkout."""
    configuration = resources.files("mtango_gevent") / "gunicorn.conf.py"
    return command("gunicorn", "-c", str(configuration), "mtango_gevent:create_app()")


def environment() -> dict[str, str]:
    """Return the variables of this process, with the module search path of this process as PYTHONPATH.

    A new interpreter does not know a path that this process got in another way, as in a PEX file.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
