"""What the processes of a server use: processor time and memory."""

from __future__ import annotations

from pathlib import Path

import psutil


class Usage:
    """Of a process and all below it, which have to stay the same ones."""

    def __init__(self, pid: int) -> None:
        parent = psutil.Process(pid)
        self._processes = [parent, *parent.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds so far."""
        times = [process.cpu_times() for process in self._processes]
        return sum(each.user + each.system for each in times)

    def memory(self) -> int:
        """Bytes that are resident now."""
        return sum(process.memory_info().rss for process in self._processes)

    def forget_peak(self) -> None:
        """The kernel's way to begin a new peak (proc(5), clear_refs): exact, where samples would miss the moment."""
        for process in self._processes:
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Bytes that were resident at most since then, each process for itself."""
        return sum(_high_water(process.pid) for process in self._processes)


def _high_water(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise ProcessLookupError(pid)
