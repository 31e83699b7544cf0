"""The lag of a hub."""

from __future__ import annotations

import time

import gevent

from mtango_gevent.serving.hub_lag import HubLag
from tests.hub_thread import in_hub_thread, wait_in_hub


@in_hub_thread
def test_block_is_measured_that_ends_before_the_lag_is_taken() -> None:
    lag = HubLag(kept=3)
    gevent.sleep(0.05)
    time.sleep(0.3)
    gevent.sleep(0.05)
    assert [lag.take() >= 0.2 for _ in range(3)] == [True] * 3
    wait_in_hub(lambda: lag.take() < 0.2)
