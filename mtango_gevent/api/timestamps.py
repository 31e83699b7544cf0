"""Timestamps of responses, in the unit of the setting rc3_timestamps."""

from __future__ import annotations

import time

from mtango_gevent.api.request_context import config


def unit() -> int:
    """Return the unit of timestamps in milliseconds."""
    return 1 if config().rc3_timestamps == "ms" else 1000


def from_milliseconds(milliseconds: int) -> int:
    return milliseconds // unit()


def now() -> int:
    return from_milliseconds(int(time.time() * 1000))
