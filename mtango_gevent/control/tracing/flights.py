"""Single flight with OpenTelemetry: the span of a caller that joins a call has a link to that of the call.

Imported where tracing is on only, as OpenTelemetry may not be installed.
"""

from __future__ import annotations

from typing import Any, TypeVar

from opentelemetry import trace

from mtango_gevent.control.single_flight import Flight, SingleFlight

T = TypeVar("T")


class TracedFlights(SingleFlight):
    def _begin(self, flight: Flight[Any]) -> None:
        super()._begin(flight)
        flight.span = trace.get_current_span().get_span_context()

    def _wait(self, flight: Flight[Any], *arguments: Any) -> None:
        try:
            super()._wait(flight, *arguments)
        except Exception:  # too late
            _link(flight)
            raise

    def _outcome(self, flight: Flight[T]) -> T | None:
        _link(flight)
        return super()._outcome(flight)


def _link(flight: Flight[Any]) -> None:
    """Link the span of the current request to the one of a call."""
    span = trace.get_current_span()
    if span.is_recording() and flight.span is not None and flight.span.is_valid:
        span.add_link(flight.span)
