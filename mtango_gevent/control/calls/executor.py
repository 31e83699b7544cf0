"""PyTango's green mode: an executor whose calls go through a bulkhead.

PyTango's own executor compares patched thread ids, takes itself for foreign in nearly every greenlet of a patched
process, and then blocks the hub.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tango.gevent_executor import GeventExecutor
from tango.green import AbstractExecutor

from mtango_gevent.control.calls.bulkhead import Bulkhead
from mtango_gevent.control.calls.call import calling
from mtango_gevent.control.calls.concurrency import Concurrency


class BulkheadExecutor(GeventExecutor):
    """The executor of green objects, those of a program that embeds the gateway included."""

    def __init__(self, bulkhead: Bulkhead, concurrency: Concurrency) -> None:
        AbstractExecutor.__init__(self)  # GeventExecutor's own would make a hub and a pool here and now
        self._bulkhead, self._concurrency = bulkhead, concurrency

    @property
    def loop(self) -> Any:
        """The loop into which PyTango's `submit` brings callbacks from any thread."""
        return self._concurrency.loop

    def in_executor_context(self) -> bool:
        return self._concurrency.in_hub()

    def run(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        wait: bool | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Call `fn`, as PyTango documents it: wait=False gives an AsyncResult, and `timeout`, in seconds, takes the
        place of the bulkhead's deadline and raises gevent.Timeout."""
        if calling.get():
            return fn(*args, **(kwargs or {}))
        function = functools.partial(fn, *args, **(kwargs or {}))
        if not self.in_executor_context() or (wait is not False and timeout is None):
            return self._bulkhead.call("other", function)
        call = self._bulkhead.prepare("other", function)
        self._bulkhead.start(call)
        return call.result if wait is False else call.result.get(timeout=timeout)
