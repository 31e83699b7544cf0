"""The only way to make a blocking Tango call.

PyTango's gevent green mode asks an executor to run a call elsewhere and to wait for it cooperatively. Its own executor
takes itself for foreign in nearly every greenlet of a patched process, and then blocks the hub. The ones here know
their thread by its native id. Each device has a `Lane`, an executor with the device's limits, over the bounded
`ThreadPool` of the worker. What PyTango does not make green goes through `Lane.run` by hand.

In a thread without a hub (legacy WSGI hosting; the pool's own threads) a call simply blocks its thread.
Every call is counted here, once: those that it makes itself, in its thread, are parts of it.
Nothing starts before the first call, so nothing crosses a fork.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

import gevent
import tango
from gevent import monkey
from gevent._hub_local import get_hub_if_exists  # the public get_hub() would make one
from gevent.event import AsyncResult
from gevent.lock import Semaphore
from tango.gevent_executor import GeventExecutor, set_global_executor
from tango.green import AbstractExecutor

from mtango_gevent.config import Config
from mtango_gevent.control.signal import GreenletSignal, Signal, ThreadSignal, Waker
from mtango_gevent.errors import DevFailed, came_too_late, tango_failure
from mtango_gevent.workers import Figures

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The unpatched ones, whatever has been patched by now.
_get_ident = monkey.get_original("_thread", "get_ident")
_start_thread = monkey.get_original("_thread", "start_new_thread")
_SimpleQueue = monkey.get_original("queue", "SimpleQueue")
_sleep = monkey.get_original("time", "sleep")


def _run(function: Callable[..., None], *arguments: Any) -> None:
    """Nothing may escape: gevent would print the arguments, and to print a proxy is to call its device."""
    try:
        function(*arguments)
    except Exception:
        logger.exception("%s failed", function.__qualname__)


def _run_in_thread(function: Callable[..., None], *arguments: Any) -> None:
    with tango.EnsureOmniThread():
        _run(function, *arguments)


# What PyTango's green methods do; of their names what comes after `__DeviceProxy__`.
_KINDS = {
    "read_attribute": "read",
    "read_attributes": "read",
    "write_attribute": "write",
    "command_inout": "command",
    "read_pipe": "pipe",
    "write_pipe": "pipe",
}

# Whether this thread makes a call, in which others may be made.
_calling: ContextVar[bool] = ContextVar("calling", default=False)


def _outcome(error: BaseException) -> str:
    return "timed_out" if isinstance(error, DevFailed) and came_too_late(error) else "failed"


class Spent:
    """Time that Tango calls have taken, waiting for their turn included."""

    def __init__(self) -> None:
        self.seconds = 0.0


_spent: ContextVar[Spent | None] = ContextVar("spent", default=None)


def count_time() -> Spent:
    """Count the time of this greenlet's (or thread's) calls from here on."""
    spent = Spent()
    _spent.set(spent)
    return spent


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    spent, began = _spent.get(), time.perf_counter()
    try:
        yield
    finally:
        if spent:
            spent.seconds += time.perf_counter() - began


class Call:
    """One blocking call on its way through the pool; kind: what it is counted as, for the device of `lane`."""

    __slots__ = (
        *("_arguments", "_counted", "_error", "_function", "_keywords", "_kind", "_lane", "_value"),
        *("abandoned", "began", "on_end", "result"),
    )

    def __init__(
        self, lane: Lane, kind: str, function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        self._lane, self._kind, self._counted = lane, kind, False
        self._function, self._arguments, self._keywords = function, arguments, keywords
        self.began = 0.0  # when it had its slots
        self._value: Any = None
        self._error: BaseException | None = None
        self.result = AsyncResult()
        self.on_end: Callable[[], None] | None = None  # set while the call has a thread
        self.abandoned = False

    def run(self) -> None:
        """In a native thread."""
        try:
            self._value = self._function(*self._arguments, **self._keywords)
        except BaseException as error:  # whatever it is, it belongs to whoever asked
            self._error = error

    def finish(self) -> None:
        """In the hub: the thread is free again, and with it the slots."""
        assert self.on_end is not None
        self.on_end()
        self.count("ok" if self._error is None else _outcome(self._error))
        if self._error is None:
            self.result.set(self._value)
        else:
            self.result.set_exception(self._error)

    def count(self, outcome: str) -> None:
        """In the hub, and once: what comes back after it was given up has timed out."""
        if not self._counted:
            self._counted = True
            self._lane.count(self._kind, outcome, time.perf_counter() - self.began if self.began else None)


class ThreadPool:
    """Native threads that run calls, and one watcher that hands all finished ones back to the hub per wake-up."""

    def __init__(self) -> None:
        self.threads = 0
        self.in_flight = 0
        self._calls = _SimpleQueue()
        self._finished: deque[Call] = deque()
        self._watcher = gevent.get_hub().loop.async_()

    def submit(self, call: Call) -> None:
        """Run `call` in a thread, a new one if all are busy; how many there may be is the caller's affair."""
        if self.threads == self.in_flight:
            _start_thread(self._work, ())  # the machine may refuse: nothing has changed then
            self.threads += 1
        if self.in_flight == 0:  # an active watcher keeps the hub alive: only while there is something to wait for
            self._watcher.start(self._hand_back)
        self.in_flight += 1
        self._calls.put(call)

    def _work(self) -> None:
        _calling.set(True)
        with tango.EnsureOmniThread():
            while True:
                call = self._calls.get()
                call.run()
                self._finished.append(call)
                del call  # an idle thread must not keep the last image alive
                self._watcher.send()

    def _hand_back(self) -> None:
        while self._finished:
            self.in_flight -= 1
            self._finished.popleft().finish()
        if self.in_flight == 0:
            self._watcher.stop()


class Green:
    """The pool of this worker, the lanes over it, and what is counted about them."""

    def __init__(self, config: Config, figures: Figures) -> None:
        self._config = config
        self.figures = figures
        self.by_device = config.metrics_devices
        self._home: tuple[int, int] | None = None  # (native thread id, pid) of the hub that is served
        self._pool: ThreadPool | None = None
        self._waker: Waker | None = None
        self.loop: Any = None  # that hub's
        self._lanes: weakref.WeakValueDictionary[str, Lane] = weakref.WeakValueDictionary()
        self.abandoned = self.refused = self.timed_out = 0
        # The one that all others lead into. It is also PyTango's executor for green objects that were made without a
        # lane, those of a program that embeds the gateway: to them none of the gateway's times applies.
        self.threads = Lane(self, "the gateway's threads", config.pool_size, None, queue_timeout=None, deadline=None)

    def lane(
        self, name: str, limit: int, parent: Lane | None = None, patient: bool = False, kind: str | None = None
    ) -> Lane:
        """The lane of that name; if there is none, one for `limit` calls that leads into `parent`.

        patient: whoever takes it waits until the call is done, however long that is.
        kind: what its calls are counted as, in place of what they do.
        """
        lane = self._lanes.get(name)
        if lane is None:
            times = (None, None) if patient else (self._config.queue_timeout, self._config.call_deadline)
            lane = self._lanes[name] = Lane(self, name, limit, parent or self.threads, *times, kind)
        return lane

    def info(self) -> dict[str, int]:
        """Figures of the pool: threads started, calls in flight, and how many calls went wrong for want of time."""
        pool = self._pool
        return {
            "threads": pool.threads if pool else 0,
            "in_flight": pool.in_flight if pool else 0,
            "maxsize": self._config.pool_size,
            "abandoned": self.abandoned,
            "refused": self.refused,
            "timed_out": self.timed_out,
        }

    def at_home(self) -> bool:
        """Whether the caller is a greenlet of the hub that the pool serves; the first one to ask decides which."""
        here = _get_ident(), os.getpid()
        if here == self._home:
            return True
        if self._home is not None and self._home[1] == here[1]:
            return False
        if get_hub_if_exists() is None:
            return False
        self._home, self._pool, self.loop = here, ThreadPool(), gevent.get_hub().loop  # the first call of the worker
        self._waker = Waker(self.loop)
        set_global_executor(self.threads)
        return True

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Run `function` beside its caller, whom it does not hold up: in a greenlet, without a hub in a thread."""
        if self.at_home():
            gevent.spawn(_run, function, *arguments)
        else:
            _start_thread(_run_in_thread, (function, *arguments))

    def within(self, seconds: float, function: Callable[[], T]) -> T:
        """What `function` gives, if it is there in time; a thread cannot be interrupted. Raises TimeoutError."""
        if not self.at_home():
            return function()
        timer = gevent.Timeout.start_new(seconds)
        try:
            return function()
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            raise TimeoutError from None
        finally:
            timer.close()

    def sleep(self, seconds: float) -> None:
        """Hold up the caller, greenlet or thread, and nobody else."""
        (gevent.sleep if self.at_home() else _sleep)(seconds)

    def signal(self) -> Signal:
        """For the caller, greenlet or thread, to wait for."""
        if not self.at_home():
            return ThreadSignal()
        assert self._waker is not None
        return GreenletSignal(self._waker)

    def start(self, call: Call, lane: Lane) -> None:
        """Start `call` once its lane and all it leads into have a slot. Raises DevFailed when one has none in time."""
        assert self._pool is not None
        held: list[Lane] = []

        def free_slots() -> None:
            call.on_end = None
            for each in held:
                each.slots.release()
            self.abandoned -= call.abandoned

        try:
            self._take_slots(call, lane, held)
            call.on_end = free_slots
            self._pool.submit(call)
        except BaseException as error:
            free_slots()
            if isinstance(error, RuntimeError):  # of the machine: no more threads
                self._refuse(call, "MTANGO_PoolExhausted", f"the machine has no thread for the call: {error}")
            raise

    def wait(self, call: Call, lane: Lane) -> Any:
        """The call's value, or its error. Raises DevFailed at the deadline; the thread then ends when it can."""
        timer = gevent.Timeout.start_new(lane.deadline)
        try:
            return call.result.get()
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
        finally:
            timer.close()
        if call.result.ready():  # it came in between the timer's end and this
            return call.result.get()
        self.timed_out += 1
        call.count("timed_out")
        if call.on_end is not None and not call.abandoned:
            call.abandoned = True
            self.abandoned += 1
        raise tango_failure("MTANGO_CallTimedOut", f"no answer from {lane.name} within {lane.deadline:g} s")

    def _take_slots(self, call: Call, lane: Lane, held: list[Lane]) -> None:
        """One of `lane` and of each that it leads into, in that order, so that who waits holds nothing of others."""
        patience, began = lane.queue_timeout, time.perf_counter()
        each: Lane | None = lane
        while each is not None:
            left = None if patience is None else max(0.0, patience - (time.perf_counter() - began))
            if not each.slots.acquire(timeout=left):
                self.figures.time_labelled(time.perf_counter() - began, "mtango_tango_slot_wait_seconds")
                reason = "MTANGO_PoolExhausted" if each is self.threads else "MTANGO_DeviceBusy"
                self._refuse(call, reason, f"none of {each.limit} calls to {each.name} ended within {patience:g} s")
            held.append(each)
            each = each.parent
        call.began = time.perf_counter()
        self.figures.time_labelled(call.began - began, "mtango_tango_slot_wait_seconds")

    def _refuse(self, call: Call, reason: str, description: str) -> NoReturn:
        self.refused += 1
        call.began = 0.0
        call.count("refused")
        raise tango_failure(reason, description)


class Lane(GeventExecutor):
    """The way to one device: an executor in PyTango's sense that admits `limit` calls at a time.

    parent: the wider lane that it leads into, in which its calls count too.
    queue_timeout: seconds to wait for slots; deadline: seconds for a call. None is without end.
    kind: what its calls are counted as; None is what each of them does.
    """

    def __init__(
        self,
        green: Green,
        name: str,
        limit: int,
        parent: Lane | None,
        queue_timeout: float | None,
        deadline: float | None,
        kind: str | None = None,
    ) -> None:
        AbstractExecutor.__init__(self)  # GeventExecutor's own would make a hub and a pool here and now
        self._green = green
        self.name = name
        self.limit = limit
        self.parent = parent
        self.queue_timeout = queue_timeout
        self.deadline = deadline
        self.kind = kind
        self.slots = Semaphore(limit)

    @property
    def loop(self) -> Any:
        """Into which PyTango's own `submit` brings callbacks, from whatever thread they come."""
        return self._green.loop

    def in_executor_context(self) -> bool:
        return self._green.at_home()

    def run(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        wait: bool | None = None,
        timeout: float | None = None,
        kind: str | None = None,
    ) -> Any:
        """Call `fn` off the hub and wait for it cooperatively; without a hub, call it here.

        wait=False gives an AsyncResult; timeout, in seconds, takes the place of the lane's deadline and raises
        gevent.Timeout: both as PyTango documents it. kind: what the call is counted as, if not by the lane or the name
        of `fn`. Raises besides what `fn` raises, and DevFailed (MTANGO_DeviceBusy, MTANGO_PoolExhausted,
        MTANGO_CallTimedOut).
        """
        if _calling.get():
            return fn(*args, **(kwargs or {}))
        kind = kind or self.kind or _KINDS.get(getattr(fn, "__name__", "").rpartition("__")[2], "other")
        with _counted():
            if not self.in_executor_context():
                with self._calling_here(kind):
                    return fn(*args, **(kwargs or {}))
            call = Call(self, kind, fn, args, kwargs or {})
            self.start(call)
            if wait is False:
                return call.result
            return self._green.wait(call, self) if timeout is None else call.result.get(timeout=timeout)

    @contextlib.contextmanager
    def _calling_here(self, kind: str) -> Iterator[None]:
        """Around a call that blocks its thread."""
        calling, began, outcome = _calling.set(True), time.perf_counter(), "ok"
        try:
            yield
        except BaseException as error:
            outcome = _outcome(error)
            raise
        finally:
            _calling.reset(calling)
            self.count(kind, outcome, time.perf_counter() - began)

    def count(self, kind: str, outcome: str, seconds: float | None) -> None:
        """A call that has ended, or been given up; seconds: how long it took, None where it was not made."""
        device = [self.name if self.parent else ""] if self._green.by_device else []
        self._green.figures.count_labelled("mtango_tango_calls_total", kind, outcome, *device)
        if seconds is not None:
            self._green.figures.time_labelled(seconds, "mtango_tango_call_duration_seconds", kind)

    def start(self, call: Call) -> None:
        self._green.start(call, self)

    def wait(self, call: Call) -> Any:
        with _counted():
            return self._green.wait(call, self)
