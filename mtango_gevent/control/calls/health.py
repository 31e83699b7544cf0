"""Health: whether the target of calls answers, as far as it is known."""

from __future__ import annotations

import math

from mtango_gevent.control.calls.counter import CallCounter
from mtango_gevent.errors import DevFailed


class Health:
    """The health of a target that is never given up, such as the gateway's own work.

    device: the label of its calls in metrics.
    patience: seconds after which a call without an answer has the server checked, and fails if the server is silent.
    """

    patience = math.inf

    def __init__(self, counter: CallCounter, device: str = "") -> None:
        self.counter, self.device = counter, device

    def raise_if_open(self) -> None:
        """Raise DevFailed, MTANGO_CircuitOpen, where no call is to be made."""

    def started(self) -> None:
        """A call has a thread."""

    def withdrawn(self) -> None:
        """A call that was to have a thread has got none."""

    def on_timeout(self, began: float, failure: DevFailed) -> None:
        """A call that began then, by time.perf_counter(), has not ended by its deadline."""
        self.check_server()

    def ended(self, began: float, error: BaseException | None, abandoned: bool) -> None:
        """A call has ended, perhaps after its deadline."""

    def check_server(self) -> None:
        """Find out whether the server answers, without waiting for it."""
