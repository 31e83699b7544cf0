"""Calls and green mode with OpenTelemetry: a span for each call, which PyTango's own spans are children of.

Imported where tracing is on only, as OpenTelemetry may not be installed.
"""

from __future__ import annotations

import functools
import random
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import context, trace

from mtango_gevent.control.calls import BulkheadExecutor, Call, Health

# The names of PyTango's functions behind the methods of its classes.
_METHOD = re.compile(r"__(\w+?)__(\w+)")


class TracedCall(Call):
    """A call that carries the trace of its caller into its thread.

    Its span begins where the caller asks for it, and so has the wait for a place and a thread in it. A call without a
    request, such as a poll or a probe, has none, and tells PyTango not to record one.
    """

    __slots__ = ("_asked", "_context", "_tracer")

    def __init__(
        self,
        tracer: trace.Tracer,
        health: Health,
        kind: str,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
    ) -> None:
        super().__init__(health, kind, function, arguments)
        self._tracer, self._context, self._asked = tracer, context.get_current(), time.time_ns()

    def run(self) -> None:
        if trace.get_current_span(self._context).get_span_context().is_valid:
            self._run_in_span()
        else:
            token = context.attach(_untraced())
            try:
                super().run()
            finally:
                context.detach(token)

    def _run_in_span(self) -> None:
        device = self.health.device
        with self._tracer.start_as_current_span(
            f"tango {self.kind}" if device else self.kind,
            self._context,
            attributes={"tango.device.name": device} if device else None,
            start_time=self._asked,
        ) as span:
            super().run()
            if self._error is not None:
                _mark_failed(span, self._error)


def _untraced() -> context.Context:
    """Return the context of a new trace that is not to be recorded: PyTango would record a span without a parent."""
    ids = random.getrandbits(128) or 1, random.getrandbits(64) or 1
    return trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(*ids, is_remote=False)))


def _mark_failed(span: trace.Span, error: BaseException) -> None:
    """Note in a span that a call has failed, and its reason."""
    reasons = getattr(error, "args", ())
    reason = getattr(reasons[0], "reason", "") if reasons else ""
    span.set_attribute("error.type", str(reason) or type(error).__name__)
    span.set_status(trace.Status(trace.StatusCode.ERROR))


class TracedExecutor(BulkheadExecutor):
    """The executor that tells PyTango which code calls it: PyTango would name its span after this class."""

    def run(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        wait: bool | None = None,
        timeout: float | None = None,
    ) -> Any:
        if hasattr(fn, "__trace_kwargs__"):  # PyTango 10.3
            kwargs = {**(kwargs or {}), "trace_location": _location(fn)}
        return super().run(fn, args, kwargs, wait, timeout)


def _location(fn: Callable[..., Any]) -> tuple[str, int, str]:
    """Return file and line of the code that calls PyTango, and the name of PyTango's method."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("tango."):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno, _method(fn)


@functools.lru_cache(maxsize=256)
def _method(fn: Callable[..., Any]) -> str:
    name = getattr(fn, "__qualname__", "unknown")
    parts = _METHOD.fullmatch(name)
    return f"{parts[1]}.{parts[2]}" if parts else name
