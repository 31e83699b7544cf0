"""How late the hubs of a server's workers are, as hub_lag_conf.py has written it."""

from __future__ import annotations

from array import array
from pathlib import Path

CONFIGURATION = Path(__file__).with_name("hub_lag_conf.py")


class Lags:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._begin = 0
        file.write_bytes(b"")

    def begin(self) -> None:
        """Leave out what has been written so far."""
        self._begin = self._file.stat().st_size

    def p99(self) -> float | None:
        """Return milliseconds; None if nothing was written, as by a server without a hub."""
        found = array("d", self._file.read_bytes()[self._begin :])
        return 1000 * sorted(found)[len(found) * 99 // 100] if found else None
