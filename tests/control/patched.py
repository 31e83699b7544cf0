"""Run by the tests in a process of its own, patched as a gunicorn gevent worker is: one scenario, by name.

Prints one line of JSON. The process that runs the tests stays as it is.
"""

from gevent import monkey

monkey.patch_all()

import json
import sys
import time

import gevent
import tango
import tango.gevent
from mtango_gevent.config import Config
from mtango_gevent.control.calls import threads
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import list_hosts

native_sleep = monkey.get_original("time", "sleep")


class NativeEvent:
    """An event for native threads. The original threading.Event has the lock of gevent inside before gevent 26.8."""

    def __init__(self):
        self._lock = monkey.get_original("_thread", "allocate_lock")()
        self._lock.acquire()
        self.set = self._lock.release

    def wait(self, seconds=-1):
        """Return whether the event was set within `seconds`; -1 is for ever."""
        was_set = self._lock.acquire(timeout=seconds)
        if was_set:
            self._lock.release()
        return was_set


def make(**settings):
    client = TangoClient(Config(**settings))
    return client, list_hosts(client)[0]


class Outcome:
    def __init__(self, value=None, exception=None):
        self.value, self.exception = value, exception


class Item:
    """As much of a value that was read as who keeps it looks at."""

    has_failed, w_value = False, None

    def __init__(self, value):
        self.value = value


def _outcome(function, arguments):
    try:
        return Outcome(function(*arguments))
    except tango.DevFailed as failure:
        return Outcome(exception=failure)


def outcomes(function, count, *arguments):
    greenlets = [gevent.spawn(_outcome, function, arguments) for _ in range(count)]
    return [greenlet.get() for greenlet in greenlets]


def failed(found):
    return sorted(outcome.exception.args[0].reason for outcome in found if outcome.exception)


def rounds():
    """Quick calls that come together are made by one thread; what is not quick after all holds up nobody else."""
    client, _ = make(device_limit=2, queue_timeout=10, call_deadline=10)
    bulkheads, ident = (
        [client.bulkhead(f"a/b/{number}") for number in range(3)],
        monkey.get_original("_thread", "get_ident"),
    )
    release = NativeEvent()

    def make_quickly(bulkhead, function):
        bulkhead.note_time("test", 0.0, in_round=False)
        call = threads.Call(bulkhead, "test", function, (), {}, "test")
        bulkhead.start(call)
        return bulkhead.wait(call)

    def together(*functions):
        return [
            gevent.spawn(make_quickly, bulkheads[number % 3], function) for number, function in enumerate(functions)
        ]

    def values(found):
        return [each.get(timeout=10) for each in found]

    gevent.spawn(client.green.at_home).join()
    fewest = min(len(set(values(together(*[ident] * 6)))) for _ in range(10))  # the machine may hold one up
    held = together(ident, release.wait, ident, ident, release.wait, ident)
    others = values([held[number] for number in (0, 2, 3, 5)])
    info, slots, in_flight = (
        client.green.info(),
        [bulkhead.slots.taken for bulkhead in bulkheads],
        bulkheads[1].circuit.in_flight,
    )
    held += together(ident, release.wait, ident)[1:2]  # one more than it has slots
    while bulkheads[1].slots.taken < 3:
        gevent.sleep(0)
    full = together(ident, ident)
    full[0].join()
    waiting = [each.ready() for each in full]
    release.set()
    ended = values([held[1], held[4], held[6], full[1]])[:3]
    return {
        "threads": fewest, "others": len(others), "info": info, "slots": slots, "in_flight": in_flight,
        "waiting": waiting, "ended": ended, "after": client.green.info(),
        "slots_after": [bulkhead.slots.taken for bulkhead in bulkheads],
        "calls": [(bulkhead.circuit.calls, bulkhead.circuit.in_flight) for bulkhead in bulkheads],
    }  # fmt: skip


def threadless():
    """The machine has no thread, for quick calls as for others; then it has."""
    client, _ = make()
    bulkhead, start_thread = client.bulkhead("a/b/c"), threads._start_thread
    bulkhead.note_time("test", 0.0, in_round=False)

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    threads._start_thread = refuse
    refused = [failure.exception.args[0] for failure in outcomes(lambda: bulkhead.run(int, ("7",), what="test"), 3)]
    threads._start_thread = start_thread
    found = [outcome.value for outcome in outcomes(lambda: bulkhead.run(int, ("7",), what="test"), 3)]
    reasons = sorted({error.reason for error in refused})
    return {"refused": reasons, "found": found, "slots": bulkhead.slots.taken, "info": client.green.info()}


def quick():
    """(device): what was answered at once is asked in a round, until it is slow for some time; joiners come with it."""
    client, host = make()
    device = Device(host, sys.argv[2])
    bulkhead = client.bulkhead(device._url())

    def take(seconds):
        device.run_command(device.describe_command("TakeSeconds"), seconds)

    def reads():
        rows = client.figures.board.read_series()
        return sum(row[0] for key, row in rows.items() if key[:2] == ("mtango_tango_calls_total", "read"))

    def longest_turn():
        """How long the hub is held, at most, while two read."""
        readers, longest, last = [gevent.spawn(device.read_value, "slow") for _ in range(2)], 0.0, time.perf_counter()
        while not all(reader.ready() for reader in readers):
            gevent.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        return longest

    take(0.0)
    for _ in range(10):
        device.read_value("slow")
    quick = [bulkhead.is_quick("slow"), bulkhead.is_quick("quick")]
    before = reads()
    found = outcomes(device.read_value, 10, "slow")
    made = reads() - before
    take(0.3)
    turns = []
    while bulkhead.is_quick("slow") and len(turns) < 20:
        turns.append(longest_turn())
    values = {outcome.value.items.value for outcome in found}
    return {"quick": quick, "made": made, "values": sorted(values), "turns": turns}


print(json.dumps(gevent.spawn(globals()[sys.argv[1]]).get()))
