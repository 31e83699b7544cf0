"""Times of a graceful stop. gunicorn's configuration reads this before the fork."""

from __future__ import annotations

import math

from mtango_gevent.config import Config

# Consecutive Tango calls of the longest request, the first write of an attribute: it connects to the database and twice
# to the device, finds the server, reads the configuration and the labels, writes and reads.
_CALLS = 8

# Seconds in which a worker cuts off the remaining requests and ends.
_END = 4


def graceful_timeout(config: Config) -> int:
    """Return the seconds after which gunicorn kills workers that it has told to stop."""
    return math.ceil(_longest_request(config) + config.call_deadline) + _END


def time_for_requests(config: Config, graceful_timeout: int) -> int:
    """Return how many of these seconds a worker waits for requests; the rest is for asynchronous jobs."""
    return max(1, graceful_timeout - math.ceil(config.call_deadline) - _END)


def _longest_request(config: Config) -> float:
    """Return the seconds that a request may take: its body, calls that come just in time, and one that does not."""
    call = config.queue_timeout + min(config.tango_timeout, config.call_deadline)
    return config.body_timeout + (_CALLS - 1) * call + config.queue_timeout + config.call_deadline
