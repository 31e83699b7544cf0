"""Spans that have ended, until a thread has sent them.

The SDK's own processor would encode hundreds of spans at once in the hub, as gevent makes a greenlet of its thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from mtango_gevent.control.calls import NativeEvent, NativeLock, start_thread

logger = logging.getLogger(__name__)

# Spans that wait at most; the oldest ones are dropped.
MOST = 4096

# Spans that are encoded at a time, with the GIL held for a part of it, and seconds between two times.
_BATCH, _PAUSE = 16, 0.002

# Seconds after which a span is sent.
_PERIOD = 1.0


class SpanQueue(SpanProcessor):
    """Hands spans to exporters in a native thread, which starts with the first span, and anew after a fork."""

    def __init__(self, exporters: Sequence[SpanExporter]) -> None:
        self._exporters = exporters
        self._spans: deque[ReadableSpan] = deque(maxlen=MOST)
        self._guard = NativeLock()
        self._process = 0
        self._fails = False
        self._dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        if len(self._spans) == MOST:
            self._dropped += 1
        self._spans.append(span)
        if self._process != os.getpid():
            self._start()

    def stop(self) -> None:
        """Have what is left sent, and no more after that."""
        if self._process == os.getpid():
            self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Return whether all has been sent, after that time at most."""
        return self._process != os.getpid() or self._done.wait(max(0.0, seconds))

    def shutdown(self) -> None:
        """End as the SDK ends a processor when a program does."""
        self.stop()
        self.wait(_PERIOD)

    def _start(self) -> None:
        with self._guard:
            if self._process == os.getpid():
                return
            self._stop, self._done = NativeEvent(), NativeEvent()
            with contextlib.suppress(RuntimeError):  # where the machine has no thread, a later span tries again
                start_thread(self._work, ())
                self._process = os.getpid()

    def _work(self) -> None:
        while not self._stop.wait(_PERIOD):
            self._send()
        self._send()
        self._done.set()

    def _send(self) -> None:
        for spans in self._batches():
            sent = [_export(exporter, spans) for exporter in self._exporters]
            self._note(all(sent))
        if self._dropped:
            logger.warning("%d spans dropped: they come faster than they can be sent", self._dropped)
            self._dropped = 0

    def _note(self, succeeds: bool) -> None:
        """Log the first failure of several, and the end of them."""
        if succeeds == self._fails:
            self._fails = not succeeds
            logger.warning("spans are sent again" if succeeds else "spans cannot be sent and are dropped")

    def _batches(self) -> Iterator[list[ReadableSpan]]:
        while self._spans:
            yield [self._spans.popleft() for _ in range(min(_BATCH, len(self._spans)))]
            self._stop.wait(_PAUSE)


def _export(exporter: SpanExporter, spans: list[ReadableSpan]) -> bool:
    try:
        return exporter.export(spans) is SpanExportResult.SUCCESS
    except Exception:
        logger.debug("spans not sent", exc_info=True)
        return False
