"""Events that were on their way while the attribute was read."""

from __future__ import annotations

from typing import Any

import pytest
import tango

from mtango_gevent.control.events import Event
from mtango_gevent.control.events.overtaken import Overtaken
from mtango_gevent.errors import tango_failure

FAILURE = Event.of_failure(tango_failure("API_DeviceTimedOut", "late"))


def value(value: int, mark: int, came: int = 0) -> Event:
    """mark: milliseconds of the device's clock; came: milliseconds of the gateway's clock."""
    item: Any = tango.DeviceAttribute()
    item.value, item.w_value, item.quality = value, None, tango.AttrQuality.ATTR_VALID
    return Event(item, None, mark, 0, 1000 * mark, came=1000 * came)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (value(1, 9_900, 10_100), True),
        (value(2, 9_900, 10_100), True),
        (value(2, 10_000, 10_100), True),
        (value(3, 10_000, 10_100), False),
        (value(3, 10_001, 10_100), False),
        (value(1, 9_900, 12_100), False),
        (value(1, 7_900, 10_100), False),  # the clock of the device is behind
        (FAILURE, False),
    ],
)
def test_older_event_that_arrives_soon_and_equal_one_are_overtaken(event: Event, expected: bool) -> None:
    assert Overtaken(value(2, 10_000, 10_000)).includes(event) is expected


def test_nothing_is_overtaken_by_a_failure() -> None:
    assert not Overtaken(FAILURE).includes(value(1, 10_000, 10_000))


def test_last_event_is_kept_only_with_another_value() -> None:
    overtaken = Overtaken(value(2, 10_000, 10_000))
    assert overtaken.includes(value(1, 9_900, 10_100))
    assert overtaken.has_last
    assert overtaken.take_last() is None  # it is not due
    assert overtaken.includes(value(2, 9_950, 10_150))
    assert not overtaken.has_last
