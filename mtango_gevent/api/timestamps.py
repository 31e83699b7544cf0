"""Timestamps of responses: in rc3 in the unit of the setting rc3_timestamps, in v11 and the streams milliseconds."""

from __future__ import annotations

import time

from mtango_gevent.api.request_context import current


def unit() -> int:
    """Return the unit of timestamps in milliseconds."""
    return current().timestamp_unit


def use_milliseconds() -> None:
    """Let the response of the current request have timestamps in milliseconds, whatever the settings say for rc3."""
    current().timestamp_unit = 1


def from_milliseconds(milliseconds: int) -> int:
    return milliseconds // unit()


def now() -> int:
    return from_milliseconds(int(time.time() * 1000))
