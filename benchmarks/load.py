"""Load by wrk, which has to be installed (Debian: wrk)."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SCRIPT = Path(__file__).parent / "drive.lua"

# How long a request may take before it counts as an error, and how much longer than it should wrk may take to end.
_TIMEOUT = 10


@dataclasses.dataclass(frozen=True)
class Load:
    """errors: requests that were not answered, late, or with a status of 400 and more; p50, p99, max: milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float
    max: float


def drive(
    port: int, requests: Sequence[tuple[str, str, str]], connections: int, seconds: int, headers: Mapping[str, str]
) -> Load:
    """Ask for `requests` (method, path, body) in turn over as many connections, each one as fast as it is answered."""
    sent = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={_TIMEOUT}s", "-s", str(SCRIPT), *sent]
    given = [part for request in requests for part in request]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}", "--", *given],
        capture_output=True,
        text=True,
        timeout=seconds + 3 * _TIMEOUT,
    )
    for line in done.stdout.splitlines():
        if line.startswith("figures "):
            return Load(**json.loads(line.removeprefix("figures ")))
    raise RuntimeError(f"wrk gave no figures, status {done.returncode}: {done.stdout}{done.stderr}")
