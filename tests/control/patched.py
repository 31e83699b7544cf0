"""Run by the tests in a process of its own, patched as a gunicorn gevent worker is: one scenario, by name.

Prints one line of JSON. The process that runs the tests stays as it is.
"""

from gevent import monkey

monkey.patch_all()

import contextlib
import json
import logging
import math
import os
import sys
import time

import gevent
import psutil
import tango
import tango.gevent
from mtango_gevent.serving.check import lets_others_run
from mtango_gevent.config import Config
from mtango_gevent.control import device_metadata as described
from mtango_gevent.control.calls import threads
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import list_hosts
from mtango_gevent.errors import tango_failure
from mtango_gevent.values.types import set_configuration
from tango.gevent_executor import GeventExecutor, set_global_executor

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


def yields():
    """Green calls let others run with our executor, and do not with PyTango's own."""
    _, host = make()
    ours = lets_others_run(host.info)
    set_global_executor(GeventExecutor())
    proxy = gevent.spawn(tango.gevent.DeviceProxy, "sys/database/2").get()

    stock = gevent.spawn(lets_others_run, lambda: proxy.command_inout("DbInfo")).get()
    return {"ours": ours, "stock": stock}


def limit():
    """Ten slow calls, two at a time, and nobody waits for longer than the queue's limit."""
    client, _ = make(device_limit=2, queue_timeout=0.3, call_deadline=10)
    bulkhead = client.bulkhead("a/b/c")
    most = now = 0

    def work():
        nonlocal most, now
        now += 1
        most = max(most, now)
        native_sleep(1)
        now -= 1

    began = time.monotonic()
    found = outcomes(bulkhead.run, 10, work)
    other = client.bulkhead("d/e/f").run(int, ("7",))
    return {
        "most": most,
        "failed": failed(found),
        "seconds": time.monotonic() - began,
        "other": other,
        "info": client.green.info(),
    }


def deadline():
    """A call that is late frees its caller at once, and its slot when its thread ends."""
    client, _ = make(device_limit=1, call_deadline=0.2, queue_timeout=0.1)
    bulkhead = client.bulkhead("a/b/c")
    release = NativeEvent()
    late = failed(outcomes(bulkhead.run, 1, release.wait))
    held = client.green.info()
    refused = failed(outcomes(bulkhead.run, 1, int))
    release.set()
    gevent.sleep(0)
    while client.green.info()["in_flight"]:
        gevent.sleep(0.01)
    return {
        "late": late,
        "held": held,
        "refused": refused,
        "after": bulkhead.run(int, ("7",)),
        "info": client.green.info(),
    }


def counted():
    """Every call is counted once, whatever becomes of it; those within it are a part of it."""
    client, _ = make(device_limit=1, queue_timeout=0.2, call_deadline=0.5)
    bulkhead = client.bulkhead("a/b/c")

    def fail():
        raise tango_failure("API_DeviceTimedOut", "of Tango")

    bulkhead.run(lambda: bulkhead.run(int, ("7",), kind="inner"), kind="outer")
    with contextlib.suppress(ValueError):
        bulkhead.run(int, ("x",))
    outcomes(bulkhead.run, 1, fail)
    outcomes(bulkhead.run, 2, native_sleep, (1,))
    native_sleep(0.7)
    gevent.sleep(0.1)
    outcomes(client.proxies.get, 3, "a/b/c", bulkhead, lambda: bulkhead, object)
    rows = client.figures.board.read_series()
    calls = {" ".join(key[1:]): numbers[0] for key, numbers in rows.items() if key[0] == "mtango_tango_calls_total"}
    waits = rows[("mtango_tango_slot_wait_seconds",)]
    return {"calls": calls, "waits": sum(waits[:-1]), "waited": waits[-1] / 1e6}


def opens():
    """A device that hangs: those who share a read are late, then nobody waits any more, until it is back."""
    logging.disable(logging.WARNING)  # which says so
    client, _ = make(call_deadline=1, open_after=2, retry_after=0.2)
    bulkhead, release, made, probed = client.bulkhead("a/b/c"), NativeEvent(), 0, 0

    def read(_):
        nonlocal made
        made += 1
        release.wait()
        return 7

    def probe():
        nonlocal probed
        probed += 1
        release.wait()

    def ask():
        return client.reads.get("a/b/c", "slow", bulkhead, lambda: None, read).items

    def timed(count):
        began = time.monotonic()
        return failed(outcomes(ask, count)), round(time.monotonic() - began, 1)

    bulkhead._probe = probe
    late = [timed(10), timed(10)]
    at_once, shown = timed(10), bulkhead.figures()
    while not probed:
        gevent.sleep(0.01)
    beside, half_open = timed(10), bulkhead.figures()["state"]
    release.set()
    while bulkhead.is_open:
        gevent.sleep(0.01)
    found = [outcome.value for outcome in outcomes(ask, 10)]
    while client.green.info()["in_flight"]:
        gevent.sleep(0.01)
    return {
        "late": late, "at_once": at_once, "shown": shown, "beside": beside, "half_open": half_open,
        "made": made, "probed": probed, "found": found, "after": bulkhead.figures(), "info": client.green.info(),
    }  # fmt: skip


def turns():
    """Of many open devices each is asked in its turn, however often the others' clients come."""
    logging.disable(logging.WARNING)
    client, _ = make(pool_size=20, open_after=1, retry_after=0.05, tango_timeout=0.1)  # two threads for probes
    hanging, began = set(range(10)), time.monotonic()

    def probe(number):
        if number in hanging:
            native_sleep(0.2)
            raise tango_failure("API_DeviceTimedOut", "too late")

    bulkheads = [client.bulkhead(f"a/b/{number}") for number in range(10)]
    for number, bulkhead in enumerate(bulkheads):
        bulkhead._probe = lambda number=number: probe(number)
        outcomes(bulkhead.run, 1, probe, (number,))
    opened = sum(bulkhead.is_open for bulkhead in bulkheads)
    hanging.discard(9)
    while bulkheads[9].is_open and time.monotonic() < began + 30:
        outcomes(bulkheads[0].run, 1, int)
        gevent.sleep(0.01)
    return {
        "opened": opened,
        "open": sum(bulkhead.is_open for bulkhead in bulkheads),
        "figures": client.bulkheads.info(),
    }


def silent():
    """A server whose ping does not come back: its devices are left alone, and others are not; then all is as before."""
    logging.disable(logging.WARNING)
    client, _ = make(call_deadline=0.2, retry_after=0.1)
    release = NativeEvent()
    client.bulkheads._ping = lambda url: url == "a/b/3" or release.wait()
    bulkheads = [client.bulkhead(name) for name in ("a/b/1", "a/b/2", "a/b/3")]
    for bulkhead, server in zip(bulkheads, ("frozen", "frozen", "healthy"), strict=True):
        client.bulkheads.lead(bulkhead, server)
    asking = sys.argv[2]
    first = bulkheads[0].metadata if asking == "metadata" else bulkheads[0]
    late = failed(outcomes(first.run, 1, release.wait) + outcomes(bulkheads[2].run, 1, native_sleep, (0.5,)))
    while not bulkheads[0].server.silent_since:
        gevent.sleep(0.01)
    refused = failed([*outcomes(bulkheads[1].run, 1, int), *outcomes(bulkheads[1].metadata.run, 1, int)])
    client.publish()
    figures = client.figures.get("circuits.servers")
    healthy = bulkheads[2].run(int, ("7",))
    states = [bulkhead.figures()["state"] for bulkhead in bulkheads]
    release.set()
    while bulkheads[0].server.silent_since:
        gevent.sleep(0.01)
    after = [bulkhead.run(int, ("7",)) for bulkhead in bulkheads]
    return {"late": late, "refused": refused, "healthy": healthy, "states": states, "after": after, "silent": figures}


def pool():
    """The last thread for calls taken: the next is refused, whatever its device; metadata has threads of its own."""
    client, _ = make(pool_size=9, queue_timeout=0.1)
    bulkheads = [client.bulkhead(f"a/b/{number}") for number in range(3)]
    release = NativeEvent()
    busy = [gevent.spawn(bulkhead.run, release.wait) for bulkhead in bulkheads[:2]]
    gevent.sleep(0)
    refused = failed(outcomes(bulkheads[2].run, 1, int))
    metadata = bulkheads[2].metadata.run(int, ("7",))
    release.set()
    gevent.joinall(busy)
    threads = client.green.info()["threads"]
    return {"refused": refused, "threads": threads, "metadata": metadata, "after": bulkheads[2].run(int, ("7",))}


def errors():
    """What a call raises reaches its caller, and prints nothing."""
    client, _ = make()
    bulkhead = client.bulkhead("a/b/c")
    try:
        bulkhead.run(int, ("x",))
    except ValueError as error:
        return {"error": str(error)}


def attempts():
    """Twenty callers of one device that is not connected make one attempt; all get its proxy."""
    client, host = make()
    made = 0

    def connect():
        nonlocal made
        made += 1
        native_sleep(0.3)
        return object()

    bulkhead = client.bulkhead("connecting")
    found = outcomes(client.proxies.get, 20, "a/b/c", bulkhead, lambda: bulkhead, connect)
    same = len({id(outcome.value) for outcome in found})
    broken = outcomes(Device(host, "no/such/device").read_state, 5)
    return {"made": made, "proxies": same, "failed": failed(broken), "currsize": client.figures.get("devices.currsize")}


def killed():
    """The first of those who wait for an attempt is killed before it has a slot: the others get an answer."""
    client, _ = make(device_limit=1, queue_timeout=10)
    bulkhead = client.bulkhead("connecting")
    release = NativeEvent()
    busy = gevent.spawn(bulkhead.run, release.wait)
    gevent.sleep(0.01)
    first = gevent.spawn(client.proxies.get, "a/b/c", bulkhead, lambda: bulkhead, object)
    gevent.sleep(0.01)
    others = [
        gevent.spawn(_outcome, client.proxies.get, ("a/b/c", bulkhead, lambda: bulkhead, object)) for _ in range(3)
    ]
    gevent.sleep(0.01)
    first.kill()
    found = [other.get(timeout=5) for other in others]
    release.set()
    busy.join()
    return {"failed": failed(found), "after": client.proxies.get("a/b/c", bulkhead, lambda: bulkhead, lambda: 7)}


def database():
    """The database's own device as the first that is asked for: its connection needs nothing from itself."""
    _, host = make()
    return {"state": Device(host, "SYS/database/2").read_state().items[0], "server": host.find_server("sys/database/2")}


def slow_names():
    """A name that is not resolved in time holds up its caller only, and is not asked for again at once."""
    client, _ = make()
    hub, ran = gevent.get_hub(), 0

    class Resolver:
        def getaddrinfo(self, *_, **__):
            gevent.sleep(60)

    def count():
        nonlocal ran
        while True:
            ran += 1
            gevent.sleep(0.01)

    def timed():
        began = time.monotonic()
        return client.addresses.are_same("127.0.0.1", "slow.invalid"), time.monotonic() - began

    client.green.at_home()
    assert client.addresses.are_same("127.0.0.1", "localhost")
    hub.resolver = Resolver()
    gevent.spawn(count)
    return {
        "first": timed(),
        "second": timed(),
        "known": client.addresses.are_same("127.0.0.1", "localhost"),
        "ran": ran,
    }


def contexts():
    """In the hub's greenlets a call goes to the pool; in a native thread it is made there."""
    client, _ = make()
    ident = monkey.get_original("_thread", "get_ident")
    bulkhead = client.bulkhead("a/b/c")
    hub_thread = ident()
    in_greenlet = gevent.spawn(bulkhead.run, ident).get()
    nested = bulkhead.run(lambda: (ident(), bulkhead.run(ident)))
    thread = gevent.get_hub().threadpool.spawn(lambda: (ident(), bulkhead.run(ident))).get()
    return {
        "pooled": in_greenlet != hub_thread and bulkhead.run(ident) != hub_thread,
        "nested": nested[0] == nested[1],
        "foreign": thread[0] == thread[1],
    }


def foreign():
    """Green objects of a program that embeds the gateway: PyTango's ways, and none of the gateway's limits."""
    client, _ = make(device_limit=1, queue_timeout=0.01, call_deadline=0.01)
    bulkhead = client.green.threads
    later = bulkhead.run(native_sleep, (0.2,), wait=False)
    together = failed(outcomes(bulkhead.run, 8, native_sleep, (0.1,)))
    try:
        bulkhead.run(native_sleep, (1,), timeout=0.01)
        timed_out = False
    except gevent.Timeout:
        timed_out = True
    # as PyTango brings event callbacks into the hub
    called = gevent.get_hub().threadpool.spawn(lambda: bulkhead.submit(lambda number: number + 1, 6).result()).get()
    return {"later": later.get(), "together": together, "timed_out": timed_out, "callback": called}


def shared():
    """Reads of the same in flight are one call, others are others; a failure is everybody's, and a copy for each."""
    client, _ = make(device_limit=1)
    bulkhead, made = client.bulkhead("a/b/c"), []

    def read(name):
        made.append(name)
        native_sleep(0.3)
        if name == "broken":
            raise tango_failure("Test_Broken", "told to")
        return Item(name)

    def get(name):
        return client.reads.get("a/b/c", name, bulkhead, object, lambda _: read(name))

    values = [gevent.spawn(get, name) for name in ["one", "other", *["one"] * 9]]
    readings = {greenlet.get().items.value for greenlet in values}, len({id(greenlet.get()) for greenlet in values})
    broken = outcomes(get, 5, "broken")
    get("one")
    return {
        "made": made,
        "values": sorted(readings[0]),
        "readings": readings[1],
        "failed": failed(broken),
        "failures": len({id(outcome.exception) for outcome in broken}),
        "info": client.green.info(),
    }


def changed():
    """While a read is in flight a change begins, and ends: who comes then reads anew, and does not join it."""
    client, _ = make()
    bulkhead = client.bulkhead("a/b/c")
    release = NativeEvent()

    def get(when):
        return client.reads.get("a/b/c", "x", bulkhead, object, lambda _: Item(release.wait(10) and when)).items.value

    def begin(when):
        readers = [gevent.spawn(get, when), gevent.spawn(get, f"{when}, joining")]
        gevent.sleep(0.01)
        return readers

    readers = begin("before")
    with client.reads.changing("a/b/c"):
        readers += begin("meanwhile")
    readers += begin("after")
    release.set()
    return {"values": [reader.get() for reader in readers]}


def joined():
    """Each of those who share a read waits until its own deadline, and those who leave it take it from nobody."""
    client, _ = make(call_deadline=0.4, device_limit=1)
    bulkhead = client.bulkhead("a/b/c")
    release = NativeEvent()

    def get():
        return client.reads.get("a/b/c", "slow", bulkhead, object, lambda _: Item(release.wait(10)))

    first = gevent.spawn(_outcome, get, ())
    gevent.sleep(0.2)
    second = gevent.spawn(_outcome, get, ())
    third = gevent.spawn(get)
    gevent.sleep(0.01)
    third.kill()
    late = failed([first.get()])
    release.set()
    second = second.get()
    return {"late": late, "value": second.value.items.value, "info": client.green.info()}


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


def sender(**settings):
    client, host = make(**settings)
    return client, Device(host, "test/sender/1")


def send(device, attributes, events, per_second):
    device.run_command(device.describe_command("Send"), [attributes, events, per_second])


def stream():
    """(attributes, events of each, of each per second): whoever listens on has every event, in its order."""
    attributes, events, per_second = map(int, sys.argv[2:])
    client, device = sender()
    got = [[] for _ in range(attributes)]

    def listen(number):
        with device.listen(f"sent{number}", "change") as listener:
            while len(got[number]) < events:
                event = listener.next(30)
                if event is None:
                    return
                got[number].append(event.item.value)

    greenlets = [gevent.spawn(listen, number) for number in range(attributes)]
    while client.events.info()["listeners"] < attributes:
        gevent.sleep(0.01)
    send(device, attributes, events, per_second)
    gevent.joinall(greenlets)
    complete = sum(values == list(range(1, events + 1)) for values in got)
    return {"complete": complete, **client.events.info()}


def overload():
    """One who does not listen for a while has the last events, and what went before is counted."""
    client, device = sender(event_buffer=10)
    with device.listen("sent0", "change") as listener:
        send(device, 1, 100, 1000)
        while client.events.info()["received"] < 100:
            gevent.sleep(0.01)
        values = [listener.next(0).item.value for _ in range(10)]
        return {"values": values, "next": listener.next(0), **client.events.info()}


def limited():
    """Of fifty that come at once ten listen; a subscription that fails gives its place back."""
    client, device = sender(event_limit=10)
    most = 0

    def wait(attribute):
        nonlocal most
        with device.listen(attribute, "change") as listener:
            most = max(most, client.events.info()["listeners"])
            listener.next(1)

    refused = failed(outcomes(wait, 50, "sent0"))
    unknown = [reason for _ in range(2) for reason in failed(outcomes(wait, 10, "nope"))]
    return {"listening": most, "refused": refused, "unknown": unknown, "places": client.events.places}


def memory():
    """Of large values fewer are kept, but always the last."""
    client, host = make(event_memory=3 * 251 * 251 * 8, event_poll_period=0.05)
    with Device(host, "sys/tg_test/1").listen("double_image_ro", "periodic") as listener:
        while client.events.info()["received"] < 6:
            gevent.sleep(0.01)
        gevent.sleep(0)
        received = client.events.info()["received"]
        kept = 0
        while listener.next(0) is not None and kept < received:
            kept += 1
        return {"kept": kept, "dropped": client.events.info()["dropped"], "received": received}


def hundreds():
    """(devices, hung among them): how long it takes until four attributes of each are listened to."""
    number, hung = map(int, sys.argv[2:])
    _, host = make()
    devices = [Device(host, f"test/light/{each}") for each in range(number)]
    for device in devices:  # connections to one server are made two at a time
        device.read_attribute("level0")
    for device in devices[:hung]:
        tango.DeviceProxy(device.name).command_inout_asynch("Hang", 20.0, True)
    good, others, got, began = [], [], [], time.monotonic()

    def listen(device, attribute):
        with device.listen(attribute, "change") as listener:
            (others if device in devices[:hung] else good).append(time.monotonic() - began)
            event = listener.next(30)
            got.append(event and event.item and event.item.value)

    greenlets = [gevent.spawn(listen, device, f"level{each}") for each in range(4) for device in devices]
    while len(good) + len(others) < 4 * number and time.monotonic() - began < 30:
        gevent.sleep(0.01)
    step = devices[-1].describe_command("Step")
    for device in devices[hung:]:
        device.run_command(step, None)
    while len(got) < 4 * (number - hung) and time.monotonic() - began < 40:
        gevent.sleep(0.01)
    gevent.killall(greenlets)
    print(json.dumps({"good": good, "others": others, "got": got}), flush=True)
    os._exit(0)  # with devices that hang still asked, an orderly end would be aborted


def crowd():
    """A hundred greenlets that wait cost no thread, and all have the event; one that is killed is forgotten."""
    client, device = sender()
    with device.listen("sent0", "change"):
        threads = len(psutil.Process().threads())
    got = []

    def wait():
        with device.listen("sent0", "change") as listener:
            got.append(listener.next(30).item.value)

    waiting = [gevent.spawn(wait) for _ in range(101)]
    while client.events.info()["listeners"] < 101:
        gevent.sleep(0.01)
    more = len(psutil.Process().threads()) - threads
    waiting.pop().kill()
    send(device, 1, 1, 1)
    gevent.joinall(waiting)
    return {"more_threads": more, "got": got, **client.events.info()}


def labels():
    """What another client changes is known by Tango's events, however long labels are kept; and what it was before."""
    described.LABELS_MAX_AGE = math.inf
    client, host = make()
    device = Device(host, "test/changing/1")
    item = device.read_value("mode").items
    found = [list(device.enum_labels(item))]
    wait_until(lambda: len(watched(client)) == 2 and all(each.unsubscribe for each in watched(client)))
    client.green.threads.run(configure, (client.plain_proxy, device.name, "mode", ["closed", "open"]))
    wait_until(lambda: list(device.enum_labels(item)) != found[0])
    found.append(list(device.enum_labels(item)))
    return {"found": found}


def watched(client):
    return client.watch._watched.values()


def configure(connect, name, attribute, enum_labels):
    proxy = connect(name)
    info = proxy.get_attribute_config_ex(attribute)[0]
    set_configuration(info, ["enum_labels"], enum_labels)
    proxy.set_attribute_config([info])


def wait_until(condition):
    with gevent.Timeout(20):
        while not condition():
            gevent.sleep(0.02)


print(json.dumps(gevent.spawn(globals()[sys.argv[1]]).get()))
