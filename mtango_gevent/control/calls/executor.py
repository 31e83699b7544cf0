"""The only way to make a blocking Tango call.

PyTango's gevent green mode asks an executor to run a call elsewhere and to wait for it cooperatively. Its own executor
takes itself for foreign in nearly every greenlet of a patched process, and then blocks the hub. The ones here, the
`Bulkhead`s, know their thread by its native id. Each device has one, with its limits, over the bounded
`ThreadPool` of the
worker. What PyTango does not make green goes through `Bulkhead.run` by hand.

In a thread without a hub (legacy WSGI hosting; the pool's own threads) a call simply blocks its thread.
Nothing starts before the first call, so nothing crosses a fork.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import gevent
import tango
from gevent import monkey
from gevent._hub_local import get_hub_if_exists  # the public get_hub() would make one
from tango.gevent_executor import set_global_executor

from mtango_gevent.config import Config
from mtango_gevent.control.calls.bulkhead import Bulkhead
from mtango_gevent.control.calls.partitions import Partitions
from mtango_gevent.control.calls.rounds import Rounds
from mtango_gevent.control.calls.signal import GreenletSignal, Signal, ThreadSignal, Waker
from mtango_gevent.control.calls.threads import Call, ThreadPool, calling
from mtango_gevent.errors import tango_failure
from mtango_gevent.metrics import Metrics

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Of how many processes this one is a child, as threads do not survive a fork.
_forks = 0

# The unpatched ones, whatever has been patched by now.
_get_ident = monkey.get_original("_thread", "get_ident")
_start_thread = monkey.get_original("_thread", "start_new_thread")
_sleep = monkey.get_original("time", "sleep")


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


def _run(function: Callable[..., None], *arguments: Any) -> None:
    """Nothing may escape: gevent would print the arguments, and to print a proxy is to call its device."""
    try:
        function(*arguments)
    except Exception:
        logger.exception("%s failed", function.__qualname__)


def _run_in_thread(function: Callable[..., None], *arguments: Any) -> None:
    with tango.EnsureOmniThread():
        _run(function, *arguments)


class Green:
    """The pool of this worker, the bulkheads over it, and what is counted about them."""

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self.config = config
        self.metrics = metrics
        self._home: tuple[int, int] | None = None  # (native thread id, forks until then) of the hub that is served
        self._pool: ThreadPool | None = None
        self._rounds: Rounds | None = None
        self._waker: Waker | None = None
        self.loop: Any = None  # that hub's
        self.refused = self.timed_out = 0
        # The one that all others lead into. It is also PyTango's executor for green objects that were made without a
        # bulkhead, those of a program that embeds the gateway: to them none of the gateway's times applies.
        self.threads = Bulkhead(self, "the gateway's threads", config.pool_size, refusal="MTANGO_PoolExhausted").timed(
            None, None
        )
        self.partitions = Partitions(self)

    def info(self) -> dict[str, int]:
        """Figures of the pool: threads started, calls in flight, and how many calls went wrong for want of time."""
        pool = self._pool
        return {
            "threads": pool.threads if pool else 0,
            "in_flight": pool.in_flight if pool else 0,
            "maxsize": self.config.pool_size,
            "abandoned": pool.abandoned if pool else 0,
            "refused": self.refused,
            "timed_out": self.timed_out,
        }

    def at_home(self) -> bool:
        """Whether the caller is a greenlet of the hub that the pool serves; the first one to ask decides which."""
        here = _get_ident(), _forks
        if here == self._home:
            return True
        if self._home is not None and self._home[1] == here[1]:
            return False
        if get_hub_if_exists() is None:
            return False
        self._home, self._pool, self.loop = here, ThreadPool(), gevent.get_hub().loop  # the first call of the worker
        self._waker, self._rounds = Waker(self.loop), Rounds(self, self._pool)
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

    # --- calls ---

    def start(self, call: Call, bulkhead: Bulkhead) -> None:
        """Start `call` in a thread, with slots of `bulkhead` and all it leads into, or make it in a round, if
        it is quick.

        Raises DevFailed when there are none in time, or no call is to be made now.
        """
        assert self._pool is not None
        assert self._rounds is not None
        call.bulkhead.admit(call.kind)
        if call.quick and self._rounds.make(call):
            return
        try:
            if self._take_slots(call, bulkhead):
                call.bulkhead.admit(call.kind)  # again: others may have found out meanwhile that nobody answers
            self._pool.submit(call)
        except BaseException as error:
            call.give_slots_back()
            if isinstance(error, RuntimeError):  # of the machine: no more threads
                self._refuse(call, "MTANGO_PoolExhausted", f"the machine has no thread for the call: {error}")
            raise
        call.bulkhead.begun(call)

    def join(self, call: Call) -> None:
        """One more is to wait for it."""
        call.joined += 1
        if self._rounds:
            self._rounds.has_company = True

    def wait(self, call: Call, bulkhead: Bulkhead) -> Any:
        """The call's value, or its error. Raises DevFailed at the deadline; the thread then ends when it can."""
        if call.quick and not call.in_thread and not call.result.ready():
            gevent.sleep(0)  # it is there when the turn ends, and needs no timer
        if call.result.ready():
            return call.result.get()
        timer = gevent.Timeout.start_new(bulkhead.deadline)
        given_up = None
        try:
            bulkhead.watch(call)
        except tango.DevFailed as silence:
            given_up = f"no answer from {bulkhead.name}: {silence.args[0].desc}"
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
        finally:
            timer.close()
        if call.result.ready():  # perhaps in between the timer's end and this
            return call.result.get()
        self.timed_out += 1
        call.count("timed_out")
        failure = tango_failure(
            "MTANGO_CallTimedOut", given_up or f"no answer from {bulkhead.name} within {bulkhead.deadline:g} s"
        )
        if call.in_thread and not call.abandoned:
            assert self._pool is not None
            self._pool.abandon(call)
            call.bulkhead.given_up(call, failure)
        raise failure

    def make_here(self, call: Call) -> Any:
        """Make `call` in this thread, which it blocks. Raises DevFailed where none is to be made now."""
        call.bulkhead.admit(call.kind)
        call.began = time.perf_counter()
        call.bulkhead.begun(call)
        token = calling.set(True)
        try:
            call.run()
        finally:
            calling.reset(token)
        return call.conclude()

    def _take_slots(self, call: Call, bulkhead: Bulkhead) -> bool:
        """One of `bulkhead` and of each that it leads into, in that order, so that who waits holds nothing of others.

        Whether that took a while. Raises DevFailed where it takes longer than callers of `bulkhead` have patience.
        """
        began, waited = time.perf_counter(), False
        each: Bulkhead | None = bulkhead
        while each is not None:
            if not each.slots.take():
                waited = True
                self._wait_for_slot(call, each, bulkhead.queue_timeout, began)
            call.slots.append(each.slots)
            each = each.parent
        call.began = time.perf_counter()
        self.metrics.observe(call.began - began, "mtango_tango_slot_wait_seconds")
        return waited

    def _wait_for_slot(self, call: Call, bulkhead: Bulkhead, patience: float | None, began: float) -> None:
        left = None if patience is None else max(0.0, patience - (time.perf_counter() - began))
        if bulkhead.slots.acquire(left):
            return
        waited = time.perf_counter() - began
        self.metrics.observe(waited, "mtango_tango_slot_wait_seconds")
        description = f"none of {bulkhead.slots.limit} calls to {bulkhead.name} ended within {waited:.1f} s"
        self._refuse(call, bulkhead.refusal, description)

    def _refuse(self, call: Call, reason: str, description: str) -> NoReturn:
        self.refused += 1
        call.began = 0.0
        call.count("refused")
        call.bulkhead.refused()
        raise tango_failure(reason, description)
