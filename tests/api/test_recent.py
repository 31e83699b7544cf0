"""Results that hold for a moment."""

from __future__ import annotations

import time

import pytest

from mtango_gevent.api.recent import Recent


def test_a_result_holds_for_half_a_second_whenever_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    recent, began = Recent[str, int](), time.monotonic()
    found = []
    for later in (0.0, 0.4, 0.6):
        monkeypatch.setattr(time, "monotonic", lambda later=later: began + later)
        found.append(recent.get("key"))
        recent.keep("key", 1)
    assert found == [None, 1, None]


def test_no_more_results_are_kept_than_the_bound() -> None:
    recent = Recent[int, int]()
    recent.get(0)
    for key in range(10_001):
        recent.keep(key, key)
    assert (recent.get(9_999), recent.get(10_000)) == (9_999, None)
