"""Parts of tests that make calls from many greenlets at a time and from native threads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent import monkey

from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import list_hosts
from mtango_gevent.errors import DevFailed

native_sleep = monkey.get_original("time", "sleep")
native_thread_id = monkey.get_original("_thread", "get_ident")


class NativeEvent:
    """An event for native threads. The original threading.Event has a lock of gevent inside before gevent 26.8."""

    def __init__(self) -> None:
        self._lock = monkey.get_original("_thread", "allocate_lock")()
        self._lock.acquire()
        self.set = self._lock.release

    def wait(self, seconds: float = -1) -> bool:
        """Return whether the event was set within `seconds`; -1 is for ever."""
        was_set = self._lock.acquire(timeout=seconds)
        if was_set:
            self._lock.release()
        return was_set


@dataclasses.dataclass
class Item:
    """The part of an attribute's value that the cache of readings looks at."""

    value: Any
    has_failed: bool = False
    w_value: Any = None


@dataclasses.dataclass
class Outcome:
    value: Any = None
    failure: DevFailed | None = None


def new_client(**settings: Any) -> TangoClient:
    return TangoClient(Config(**settings))


def new_device(name: str, **settings: Any) -> Device:
    """A device of the embedded Tango, with a client of its own."""
    return Device(list_hosts(new_client(**settings))[0], name)


def outcome_of(function: Callable[..., Any], *arguments: Any) -> Outcome:
    try:
        return Outcome(function(*arguments))
    except DevFailed as failure:
        return Outcome(failure=failure)


def outcomes(function: Callable[..., Any], count: int, *arguments: Any) -> list[Outcome]:
    """Call `function` in `count` greenlets at the same time."""
    greenlets = [gevent.spawn(outcome_of, function, *arguments) for _ in range(count)]
    return [greenlet.get() for greenlet in greenlets]


def reasons(found: Sequence[Outcome]) -> list[str]:
    """The first reason of each outcome that is a failure, sorted."""
    return sorted(outcome.failure.args[0].reason for outcome in found if outcome.failure)
