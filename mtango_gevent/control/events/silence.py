"""Decides from a read of the attribute whether a silent subscription has missed an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy
import tango

from mtango_gevent.control.events.buffer import Event

# Seconds between the first read that finds another value and the second one: an event may be on its way.
_AGAIN = 1.0

# Periods without a periodic event after which one is missing.
_PERIODS = 2.5

_UNSET = "Not specified"

# Reasons of failures during which events are lost.
_UNREACHABLE = {"API_CantConnectToDevice", "API_DeviceNotExported", "API_EventTimeout", "MTANGO_CircuitOpen"}


class Silence:
    """Decides when the attribute of a subscription is to be read, and whether an event is missing.

    allowed: seconds without an event after which the attribute is read.
    """

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self.heard()

    def heard(self) -> None:
        """Note that an event has arrived, or that reading has found the value of the last one."""
        self._last = time.monotonic()
        self._check_at = self._last + self._allowed
        self._in_doubt = self._distrusted = False

    def distrust(self) -> None:
        """Have the attribute read at once and from then on: Tango reports that no events arrive."""
        self._check_at, self._distrusted = 0.0, True

    def is_due(self) -> bool:
        return time.monotonic() >= self._check_at

    def is_broken(self, kind: str, last: Event | None, found: Event, describe: Callable[[], Any]) -> bool:
        """Return whether the value `found` should have arrived as an event; at first the event may be on its way."""
        if self._distrusted or is_unreachable(found):
            return True
        if not differ(kind, last, found):
            self.heard()
            return False
        if not self._in_doubt:
            self._check_at, self._in_doubt = time.monotonic() + _AGAIN, True
            return False
        silent = time.monotonic() - self._last
        if last and last.item and found.item and _is_allowed(describe(), kind, last.item, found.item, silent):
            self._check_at, self._in_doubt = time.monotonic() + self._allowed, False
            return False
        return True


def is_unreachable(found: Event) -> bool:
    """Return whether an event, or the result of a read, is a failure to reach the device."""
    return found.failure is not None and any(error.reason in _UNREACHABLE for error in found.failure.args)


def differ(kind: str, one: Event | None, other: Event) -> bool:
    """Return whether `other` is an event of that kind after `one`. A failure after a failure is none."""
    if kind == "periodic":
        return True
    if one is None or one.item is None or other.item is None:
        return one is None or one.item is not other.item
    before: Any = one.item
    now: Any = other.item
    return before.quality != now.quality or (kind != "alarm" and not _same(before.value, now.value))


def exceeds(deadband: float, last: Event | None, found: Event) -> bool:
    """Return whether a value is further than `deadband` from the last one, or something else than a number."""
    if last is None or last.item is None or found.item is None or last.item.quality != found.item.quality:
        return True
    one, other = numpy.asarray(last.item.value), numpy.asarray(found.item.value)
    if one.shape != other.shape or one.dtype.kind not in "fiu" or other.dtype.kind not in "fiu":
        return True
    with numpy.errstate(invalid="ignore"):
        far = ~(numpy.abs(other.astype(float) - one.astype(float)) <= deadband)
    return bool((far & (one != other) & ~((one != one) & (other != other))).any())


def _same(one: Any, other: Any) -> bool:
    """Compare values; NaN equals NaN."""
    if isinstance(one, numpy.ndarray) and isinstance(other, numpy.ndarray):
        return (one.shape, one.dtype) == (other.shape, other.dtype) and one.tobytes() == other.tobytes()
    return repr(one) == repr(other)


def _is_allowed(
    info: tango.AttributeInfoEx,
    kind: str,
    last: Any,
    found: Any,
    seconds: float,
) -> bool:
    """Return whether the criteria of the attribute's events explain that no event has arrived."""
    events = info.events
    if kind == "periodic":
        return seconds < _PERIODS * _number(events.per_event.period, 1000) / 1000
    if last.quality != found.quality:
        return False
    if kind == "change":
        criteria = events.ch_event.abs_change, events.ch_event.rel_change
    else:
        criteria = events.arch_event.archive_abs_change, events.arch_event.archive_rel_change
        if set(criteria) == {_UNSET} and events.arch_event.archive_period != _UNSET:
            return seconds < _PERIODS * _number(events.arch_event.archive_period, 0) / 1000
    return _is_within(last.value, found.value, *criteria)


def _is_within(last: Any, found: Any, absolute: str, relative: str) -> bool:
    """Return whether both criteria allow the difference; False without criteria, and for values without numbers."""
    limits = [(_number(absolute), 1.0), (_number(relative), 100.0)]
    try:
        one, other = numpy.asarray(last, float), numpy.asarray(found, float)
    except (TypeError, ValueError):
        return False
    if one.shape != other.shape or not any(limit for limit, _ in limits):
        return False
    difference = numpy.abs(other - one)
    bounds = [limit * (1.0 if scale == 1.0 else numpy.abs(one) / scale) for limit, scale in limits if limit]
    return all(bool((difference <= bound).all()) for bound in bounds)


def _number(text: str, default: float = 0.0) -> float:
    """Return the larger limit of a criterion (`1` or `-1,2`), or `default` if it is not set."""
    try:
        return max(abs(float(part)) for part in text.split(","))
    except ValueError:
        return default
