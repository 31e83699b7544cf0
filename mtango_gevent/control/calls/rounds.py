"""Rounds: calls that are quick, made by one thread at the end of the hub's turn, while the hub waits.

To wake a thread, and to take turns with it for the GIL ever after, costs three times what a read costs that is answered
at once, as most are. So the hub stands back for those that come in the same turn, and is the faster for it; for no
longer than `PATIENCE`, though. Who has not had a turn by then goes the usual way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent

from mtango_gevent.control.calls.threads import Call, ThreadPool

if TYPE_CHECKING:
    from mtango_gevent.control.calls.executor import Green

# Seconds within which a call has to be answered to be quick: above that it is cheaper to let others run meanwhile.
QUICK = 0.0004

# Seconds for which the hub waits.
PATIENCE = 0.002


class Rounds:
    """Of one hub."""

    def __init__(self, green: Green, pool: ThreadPool) -> None:
        self._green, self._pool = green, pool
        self._gathered: list[Call] = []  # in this turn, which began to gather then:
        self._began = 0.0
        self.has_company = False  # whether several have been waiting at the same time lately

    def make(self, call: Call) -> bool:
        """Whether it has been made, or is being made still; if not, it has left no trace.

        Who is alone is answered sooner by a thread, and does not wait for others to come.
        """
        if not self.has_company and not self._pool.in_flight:
            return False
        if not self._gathered:
            self._began = time.perf_counter()
            self._green.loop.run_callback(self._make_gathered)
        self._gathered.append(call)
        gevent.sleep(0)
        return call.in_thread or call.result.ready()

    def _make_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        has_room = {bulkhead: bulkhead.has_room for bulkhead in {call.bulkhead for call in gathered}}
        calls = [call for call in gathered if has_room[call.bulkhead] and not call.result.ready()]  # or it was given up
        self.has_company = len(calls) + sum(call.joined for call in calls) > 1
        if not self.has_company:
            return
        try:
            ended, running = self._pool.make_now(calls, PATIENCE)
        except RuntimeError:  # the machine has no thread, which the usual way says
            return
        for call in ended:
            self._note_begin(call)
            call.finish()
        if running:
            running.bulkhead.overdraw(running)
            self._note_begin(running)

    def _note_begin(self, call: Call) -> None:
        self._green.metrics.observe(call.began - self._began, "mtango_tango_slot_wait_seconds")
        call.bulkhead.begun(call)
