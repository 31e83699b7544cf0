"""Run test functions in a process of their own that is patched as a gunicorn gevent worker is.

The process that runs pytest is never patched: device servers and plain threads of other tests depend on that.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

ROOT = Path(__file__).parents[1]
CHILD = "from gevent import monkey; monkey.patch_all(); from tests.patched_process import main; main()"


def in_patched_process(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test function in a patched process, which finds the embedded Tango by TANGO_HOST.

    The values of its arguments have to be JSON. The test fails if the process writes to standard error, as it does with
    the traceback and the local variables of an assertion that fails.
    """

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        command = [sys.executable, "-c", CHILD, test.__module__, test.__name__, json.dumps(arguments)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
        print(ended.stdout, end="")
        assert (ended.stderr, ended.returncode) == ("", 0), f"in a patched process:\n{ended.stderr}"

    return pytest.mark.usefixtures("tango_system")(run)


def main() -> None:
    """Call the test function that sys.argv names, in a greenlet."""
    module, name, arguments = sys.argv[1:]
    test = inspect.unwrap(getattr(importlib.import_module(module), name))
    succeeded = gevent.spawn(_succeeds, test, json.loads(arguments)).get()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(not succeeded)  # an orderly end would wait for calls in flight, and CORBA's threads do not survive it


def _succeeds(test: Callable[..., None], arguments: dict[str, Any]) -> bool:
    try:
        test(**arguments)
    except BaseException as error:
        print(*traceback.TracebackException.from_exception(error, capture_locals=True).format(), file=sys.stderr)
        return False
    return True
