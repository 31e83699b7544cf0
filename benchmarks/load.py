"""Load by wrk, which has to be installed (Debian: wrk)."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SCRIPT = Path(__file__).parent / "drive.lua"

# What a browser sends with each request of a page, besides Host and Accept.
BROWSER = {
    "Connection": "keep-alive",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate",
    "Referer": "http://127.0.0.1/panels/vacuum/",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "Priority": "u=4",
}

# How long a request may take before it counts as an error, and how much longer than it should wrk may take to end.
_TIMEOUT = 10

_PARTS = {"p50": 0.5, "p99": 0.99, "max": 1.0}


@dataclasses.dataclass(frozen=True)
class Load:
    """errors: requests that were not answered, late, or with a status of 400 and more; p50, p99, max: milliseconds.

    bytes: received, headers included.
    """

    requests: int
    bytes: int
    seconds: float
    errors: int
    p50: float
    p99: float
    max: float


def latencies(found: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and the maximum."""
    ranked = sorted(found) or [0.0]
    return {name: ranked[int(part * (len(ranked) - 1))] for name, part in _PARTS.items()}


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
