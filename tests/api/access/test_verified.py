"""Verified credentials."""

from __future__ import annotations

import statistics
import time

import pytest

from mtango_gevent.api.access import Identity
from mtango_gevent.api.access.verified import VerifiedCredentials

ALICE = Identity("alice", method="basic")


def test_verified_credentials_are_kept_in_a_bounded_table_without_holding_the_hub() -> None:
    verified, source = VerifiedCredentials(300), object()
    digests = [verified.digest(str(number)) for number in range(10_001)]
    assert verified.find(source, digests[0]) is None
    for digest in digests[1:]:
        verified.keep(source, digest, ALICE)
    times = []
    for number in range(100):
        began = time.perf_counter()
        verified.keep(source, verified.digest(f"more {number}"), ALICE)
        times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.0005  # a copy of the table takes two milliseconds
    assert verified.find(source, digests[1]) is None
    assert verified.find(source, digests[-1]) == ALICE
    assert verified.find(object(), digests[-1]) is None


def test_credentials_are_kept_no_longer_than_told() -> None:
    verified, source = VerifiedCredentials(300), object()
    digest = verified.digest("alice:secret")
    verified.keep(source, digest, ALICE, -1)
    assert verified.find(source, digest) is None
    verified.keep(source, digest, ALICE, 1000)
    assert verified.find(source, digest) is ALICE


@pytest.mark.parametrize("renews", [True, False])
def test_use_renews_credentials_where_asked(renews: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    verified, source, now = VerifiedCredentials(300, renews), object(), time.monotonic()
    digest = verified.digest("alice:secret")
    verified.keep(source, digest, ALICE)
    for later in (160, 320):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        found = verified.find(source, digest)
    assert found is (ALICE if renews else None)
