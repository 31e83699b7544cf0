"""Whether a value that differs from the last event should have come as an event."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import tango

from mtango_gevent.control.events import Event
from mtango_gevent.control.events.silence import Silence
from mtango_gevent.errors import tango_failure

VALID, ALARM = tango.AttrQuality.ATTR_VALID, tango.AttrQuality.ATTR_ALARM
UNSET = "Not specified"
FAILURE = Event.of_failure(tango_failure("API_DeviceTimedOut", "late"))


def value(value: Any, quality: tango.AttrQuality = VALID) -> Event:
    item: Any = tango.DeviceAttribute()
    item.value, item.w_value, item.quality = value, None, quality
    return Event.of_value(item)


def criteria(absolute: str = UNSET, relative: str = UNSET, period: str = "1000") -> tango.AttributeInfoEx:
    info = tango.AttributeInfoEx()
    change, archive, periodic = tango.ChangeEventInfo(), tango.ArchiveEventInfo(), tango.PeriodicEventInfo()
    change.abs_change = archive.archive_abs_change = absolute
    change.rel_change = archive.archive_rel_change = relative
    archive.archive_period, periodic.period = UNSET, period
    info.events.ch_event, info.events.arch_event, info.events.per_event = change, archive, periodic
    return info


def is_broken(kind: str, last: Event, found: Event, info: tango.AttributeInfoEx) -> bool:
    """At the second look; the first one never says so."""
    silence = Silence(60)
    assert not silence.is_broken(kind, last, found, lambda: info)
    return silence.is_broken(kind, last, found, lambda: info)


@pytest.mark.parametrize(
    ("last", "found", "info", "broken"),
    [
        (value(1.0), value(1.0), criteria(), False),
        (value(1.0), value(1.5), criteria(), True),
        (value(1.0), value(1.5), criteria("1"), False),
        (value(1.0), value(2.5), criteria("1"), True),
        (value(1.0), value(2.5), criteria("-1,2"), False),
        (value(10.0), value(10.5), criteria(relative="10"), False),
        (value(10.0), value(11.5), criteria(relative="10"), True),
        (value(10.0), value(11.5), criteria("3", "10"), True),
        (value(0.0), value(0.1), criteria(relative="10"), True),
        (value(1.0), value(1.0, ALARM), criteria("1"), True),
        (value(numpy.array([1.0, 2.0])), value(numpy.array([1.0, 2.5])), criteria("1"), False),
        (value(numpy.array([1.0, 2.0])), value(numpy.array([1.0, 4.0])), criteria("1"), True),
        (value(numpy.array([1.0, 2.0])), value(numpy.array([1.0])), criteria("1"), True),
        (value(1.0), value(float("nan")), criteria("1"), True),
        (value(float("nan")), value(float("nan")), criteria("1"), False),
        (value("on"), value("off"), criteria(), True),
        (value("on"), value("off"), criteria("1"), True),
        (value(1.0), FAILURE, criteria("1"), True),
        (FAILURE, value(1.0), criteria("1"), True),
        (FAILURE, FAILURE, criteria(), False),
    ],
)
@pytest.mark.parametrize("kind", ["change", "archive"])
def test_a_difference_that_the_criteria_allow_needs_no_event(
    kind: str, last: Event, found: Event, info: tango.AttributeInfoEx, broken: bool
) -> None:
    assert is_broken(kind, last, found, info) is broken


def test_an_alarm_event_is_due_with_another_quality_only() -> None:
    assert not is_broken("alarm", value(1.0), value(9.0), criteria())
    assert is_broken("alarm", value(1.0), value(1.0, ALARM), criteria())


def test_a_periodic_event_is_due_after_its_period() -> None:
    assert not is_broken("periodic", value(1.0), value(1.0), criteria(period="1000"))
    assert is_broken("periodic", value(1.0), value(1.0), criteria(period="0"))


def test_distrusted_silence_is_broken_by_an_equal_value() -> None:
    silence = Silence(60)
    assert not silence.is_due()
    silence.distrust()
    assert silence.is_due()
    assert silence.is_broken("change", value(1.0), value(1.0), criteria)
    silence.heard()
    assert not silence.is_due()
