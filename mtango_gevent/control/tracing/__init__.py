"""Tracing with OpenTelemetry: on where Tango's telemetry is switched on, and costs nothing where it is not.

Only `active`, `flights` and `spans` import OpenTelemetry, which need not be installed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from mtango_gevent.control.calls import BulkheadExecutor, Call, ThreadPool
from mtango_gevent.control.single_flight import SingleFlight
from mtango_gevent.control.tracing.telemetry import Telemetry

__all__ = ["Telemetry", "Tracing", "open_tracing"]

Job = Callable[[], object]

logger = logging.getLogger(__name__)


class Tracing:
    """The parts of an application that differ where it is traced. These are the plain ones.

    tracer: makes the spans of requests, None without tracing.
    """

    tracer: Any = None
    make_call: Callable[..., Call] = Call
    make_executor: type[BulkheadExecutor] = BulkheadExecutor
    flights: type[SingleFlight] = SingleFlight

    def carried(self, job: Job) -> Job:
        """Return a job that belongs to the trace of this request when it is done later."""
        return job

    def finish(self, pool: ThreadPool, seconds: float) -> None:
        """Send the spans that are left, for that time at most. pool: its threads end."""


def open_tracing() -> Tracing:
    """Return the parts of a new application, and log why it is not traced where it was to be."""
    telemetry = Telemetry()
    if not telemetry.is_asked_for:
        return Tracing()
    level = logging.WARNING if telemetry.problem else logging.INFO
    logger.log(level, "tracing: %s", telemetry.describe())
    if not telemetry.passes_context:
        return Tracing()
    from mtango_gevent.control.tracing.active import ActiveTracing

    return ActiveTracing(telemetry)
