"""How blocking Tango calls are made: through bulkheads, in native threads, with the hub left to other greenlets.

Every call is `bulkhead.call(kind, function, *arguments)`, of a device's bulkhead or of a partition of the pool.
"""

from mtango_gevent.control.calls.bulkhead import Bulkhead
from mtango_gevent.control.calls.call import Call, CallTime, add_call_time, measure_calls, with_reasons
from mtango_gevent.control.calls.concurrency import Concurrency
from mtango_gevent.control.calls.counter import CallCounter
from mtango_gevent.control.calls.executor import BulkheadExecutor
from mtango_gevent.control.calls.health import Health
from mtango_gevent.control.calls.native import NativeEvent, NativeLock, SimpleQueue, getaddrinfo, sleep, start_thread
from mtango_gevent.control.calls.partitions import Partitions
from mtango_gevent.control.calls.registry import BulkheadRegistry, DeviceBulkhead
from mtango_gevent.control.calls.semaphore import Semaphore
from mtango_gevent.control.calls.signals import GreenletSignal, Signal, ThreadSignal, Waker
from mtango_gevent.control.calls.threads import ThreadPool

__all__ = [
    "Bulkhead",
    "BulkheadExecutor",
    "BulkheadRegistry",
    "Call",
    "CallCounter",
    "CallTime",
    "Concurrency",
    "DeviceBulkhead",
    "GreenletSignal",
    "Health",
    "NativeEvent",
    "NativeLock",
    "Partitions",
    "Semaphore",
    "Signal",
    "SimpleQueue",
    "ThreadPool",
    "ThreadSignal",
    "Waker",
    "add_call_time",
    "getaddrinfo",
    "measure_calls",
    "sleep",
    "start_thread",
    "with_reasons",
]
