"""Bulkheads of devices."""

from __future__ import annotations

import math

import pytest

from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient


@pytest.mark.parametrize(
    ("url", "is_database"),
    [
        ("sys/database/2", True),
        ("tango://host:10000/sys/database/2", True),
        ("tango://[::1]:10000/sys/database/2", True),
        ("mysys/database/2", False),
        ("tango://host:10000/mysys/database/2", False),
        ("sys/database/22", False),
    ],
)
def test_only_the_database_is_taken_for_it(url: str, is_database: bool) -> None:
    client = TangoClient(Config())
    assert client.bulkheads.is_database(url) == is_database
    assert (client.bulkhead(url).health.patience < math.inf) == is_database
