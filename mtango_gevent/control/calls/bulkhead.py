"""Bulkheads: the ways to devices, each with its limits. What goes wrong on one is kept from the others.

Every call is counted here, once: those that it makes itself, in its thread, are parts of it.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tango.gevent_executor import GeventExecutor
from tango.green import AbstractExecutor

from mtango_gevent.control.calls.rounds import PATIENCE, QUICK
from mtango_gevent.control.calls.semaphore import Slots
from mtango_gevent.control.calls.threads import Call, calling
from mtango_gevent.errors import DevFailed

if TYPE_CHECKING:
    from mtango_gevent.control.calls.executor import Green
    from mtango_gevent.control.calls.server_health import ServerHealth

# Seconds, waiting for the GIL included, within which a call has to end to be tried in a round.
_WORTH_A_TRY = 0.005

# Seconds between two looks at whether the server of a call is known not to answer.
_LOOK_EVERY = 0.1

# Things whose times are known, of one bulkhead.
_MOST_TIMES = 1000

T = TypeVar("T", bound=Callable[..., Any])

# What PyTango's green methods do; of their names what comes after `__DeviceProxy__`.
_KINDS = {
    "read_attribute": "read",
    "read_attributes": "read",
    "write_attribute": "write",
    "command_inout": "command",
    "read_pipe": "pipe",
    "write_pipe": "pipe",
}


class Spent:
    """Time that Tango calls have taken, waiting for their turn included; in seconds."""

    __slots__ = ("tango_seconds",)

    def __init__(self) -> None:
        self.tango_seconds = 0.0


_spent: ContextVar[Spent | None] = ContextVar("spent", default=None)


# Has the time of this greenlet's (or thread's) calls counted, from here on.
count_time = _spent.set


def _counted(make: T) -> T:
    """The time that it takes is counted. No context manager, as those cost more than all else here."""

    @functools.wraps(make)
    def make_and_count(*arguments: Any) -> Any:
        spent, began = _spent.get(), time.perf_counter()
        try:
            return make(*arguments)
        finally:
            if spent:
                spent.tango_seconds += time.perf_counter() - began

    return cast(T, make_and_count)


class Bulkhead(GeventExecutor):
    """An executor in PyTango's sense that admits `limit` calls at a time; `queue` may wait, all if None.

    parent: the wider bulkhead that it leads into, in which its calls count too.
    queue_timeout: seconds to wait for slots; deadline: seconds for a call. None is without end.
    kind: what its calls are counted as; None is what each of them does. refusal: the reason when there is no slot.
    """

    device = ""  # whose calls it has, if it is one's
    server: ServerHealth | None = None  # its, once it is known
    patience: float | None = None  # seconds without an answer after which the server is pinged, and given up if silent

    def __init__(
        self,
        green: Green,
        name: str,
        limit: int,
        parent: Bulkhead | None = None,
        kind: str | None = None,
        queue: int | None = None,
        refusal: str = "MTANGO_DeviceBusy",
    ) -> None:
        AbstractExecutor.__init__(self)  # GeventExecutor's own would make a hub and a pool here and now
        self._green = green
        self.name = name
        self.kind = kind
        self.refusal = refusal
        self.slots = Slots(limit, queue)
        self._seconds: dict[Hashable, float] = {}
        self.timed(green.config.queue_timeout, green.config.call_deadline)
        self.parent = parent

    def timed(self, queue_timeout: float | None, deadline: float | None) -> Bulkhead:
        """Itself, with other times than those of the settings."""
        self.queue_timeout, self.deadline = queue_timeout, deadline
        return self

    @property
    def loop(self) -> Any:
        """Into which PyTango's own `submit` brings callbacks, from whatever thread they come."""
        return self._green.loop

    def in_executor_context(self) -> bool:
        return self._green.at_home()

    @property
    def has_room(self) -> bool:
        """Whether this bulkhead and all it leads into have room for a call that is back at once, see Slots."""
        return self.slots.has_room and (self.parent is None or self.parent.has_room)

    def overdraw(self, call: Call) -> None:
        """Have a slot of each of them taken for a call that is not."""
        each: Bulkhead | None = self
        while each is not None:
            each.slots.overdraw()
            call.slots.append(each.slots)
            each = each.parent

    def run(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        wait: bool | None = None,
        timeout: float | None = None,
        kind: str | None = None,
        through: Bulkhead | None = None,
        what: Hashable = None,
    ) -> Any:
        """Call `fn` off the hub and wait for it cooperatively; without a hub, call it here.

        wait=False gives an AsyncResult; timeout, in seconds, takes the place of the bulkhead's deadline and raises
        gevent.Timeout: both as PyTango documents it. kind: what the call is counted as, if not by the bulkhead
        or the name
        of `fn`. through: the bulkhead whose limits and times hold, if it is another one. what: as that of the call.
        Raises besides what `fn` raises, DevFailed (MTANGO_DeviceBusy, MTANGO_CircuitOpen, MTANGO_PoolExhausted,
        MTANGO_CallTimedOut).
        """
        if calling.get():
            return fn(*args, **(kwargs or {}))
        kind = kind or self.kind or _KINDS.get(getattr(fn, "__name__", "").rpartition("__")[2], "other")
        return self._make(Call(self, kind, fn, args, kwargs or {}, what), through or self, wait, timeout)

    @_counted
    def _make(self, call: Call, way: Bulkhead, wait: bool | None, timeout: float | None) -> Any:
        if not self.in_executor_context():
            return self._green.make_here(call)
        self._green.start(call, way)
        if wait is False:
            return call.result
        return self._green.wait(call, way) if timeout is None else call.result.get(timeout=timeout)

    @_counted
    def start(self, call: Call) -> None:
        self._green.start(call, self)

    def join(self, call: Call) -> None:
        self._green.join(call)

    @_counted
    def wait(self, call: Call) -> Any:
        return self._green.wait(call, self)

    def watch(self, call: Call) -> None:
        """Wait for the end of a call. Raises DevFailed as soon as its server is known not to answer."""
        result = call.result
        if self.patience is not None:
            result.wait(self.patience)
            if not result.ready():
                self.trouble()
            while not result.ready():
                self.check()
                result.wait(_LOOK_EVERY)
        result.wait()

    def count(self, kind: str, outcome: str, seconds: float | None) -> None:
        """A call that has ended, or been given up; seconds: how long it took, None where it was not made."""
        green = self._green
        device = [self.device] if green.config.metrics_devices else []
        green.metrics.count("mtango_tango_calls_total", kind, outcome, *device)
        if seconds is not None:
            green.metrics.observe(seconds, "mtango_tango_call_duration_seconds", kind)

    def admit(self, kind: str) -> None:
        """Raises DevFailed, MTANGO_CircuitOpen, counted as of that kind, where no call is to be made."""
        try:
            self.check()
        except DevFailed:
            self.count(kind, "open", None)
            raise

    # --- how long what takes ---

    def is_quick(self, what: Hashable) -> bool:
        """Whether it is to be expected that this is answered at once."""
        return self._seconds.get(what, math.inf) < QUICK

    def note_time(self, what: Hashable, seconds: float, in_round: bool) -> None:
        """Of a call that has ended, in its thread. Beside the hub it had to wait for the GIL: then a short time says
        little, but that it may be worth another try in a round."""
        if len(self._seconds) >= _MOST_TIMES:  # of names that somebody makes up
            self._seconds.clear()
        known = self._seconds.get(what, 0.0)
        if in_round:
            self._seconds[what] = known + (min(seconds, PATIENCE) - known) / 16
        elif seconds < _WORTH_A_TRY:
            self._seconds[what] = 0.995 * known

    # --- what is known of whether anybody answers: here of the server, a DeviceBulkhead knows more ---

    def check(self) -> None:
        """Raises DevFailed, MTANGO_CircuitOpen, where no call is to be made."""
        if self.server:
            self.server.check()

    def begun(self, call: Call) -> None:
        """The call has a thread."""

    def refused(self) -> None:
        """A call has had no slots in time."""
        self.trouble()

    def given_up(self, call: Call, failure: DevFailed) -> None:
        """The call has not ended, and nobody waits for it any more."""
        self.trouble()

    def ended(self, call: Call, error: BaseException | None) -> None:
        """The call has ended, given up or not."""

    def trouble(self) -> None:
        """Somebody does not answer; a device's bulkheads have its server looked after."""
