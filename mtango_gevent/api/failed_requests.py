"""The last failed requests, by which an operator finds the log line of a request id."""

from __future__ import annotations

from collections import deque
from typing import Any

from mtango_gevent.control.client import TangoClient

# Failed requests that a worker keeps.
_MOST_KEPT = 200


class FailedRequests:
    """The last failed requests of an application, and those of all workers."""

    def __init__(self, client: TangoClient) -> None:
        self._threads, self._slot = client.partitions.files, client.metrics.slot
        self._rows = deque[dict[str, Any]](maxlen=_MOST_KEPT)
        self._changed = False

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._changed = True

    def publish(self) -> None:
        """Publish the requests to all workers if one was added; other greenlets run meanwhile."""
        if not self._changed:
            return
        self._changed = False
        try:
            self._threads.call("file", self._slot.write_failures, list(self._rows))
        except BaseException:
            self._changed = True
            raise

    def read(self) -> list[dict[str, Any]]:
        """Return those of all workers, the newest first; those of others are up to two seconds old."""
        self.publish()
        return self._threads.call("file", self._slot.scoreboard.read_failures)
