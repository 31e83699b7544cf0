"""Counts of calls: the one place where the calls write metrics."""

from __future__ import annotations

from mtango_gevent.metrics import Metrics


class CallCounter:
    """Counts every call once."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.refused = self.timed_out = 0

    def count(self, kind: str, outcome: str, seconds: float | None, device: str) -> None:
        """Count a call that has ended or timed out. seconds: its duration, None for one that was not made."""
        labels = [device] if self._metrics.device_label else []
        self._metrics.count("mtango_tango_calls_total", kind, outcome, *labels)
        if seconds is not None:
            self._metrics.observe(seconds, "mtango_tango_call_duration_seconds", kind)

    def waited(self, seconds: float) -> None:
        """Count a wait for the places of bulkheads."""
        self._metrics.observe(seconds, "mtango_tango_slot_wait_seconds")
