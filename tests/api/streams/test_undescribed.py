"""Configurations that a stream has to ask for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mtango_gevent.api.streams.undescribed import Undescribed
from mtango_gevent.control.calls.concurrency import Concurrency
from tests.waiting import wait_until


def test_configuration_that_cannot_be_shown_does_not_keep_others_from_being_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = list[str]()

    def ask(attribute: str) -> None:
        asked.append(attribute)
        if attribute == "odd":
            wait_until(lambda: len(undescribed._items) == 2)
            raise ValueError("odd")

    stream: Any = SimpleNamespace(closed=False, wake=lambda: None, concurrency=Concurrency())
    event: Any = SimpleNamespace(item=object())
    undescribed = Undescribed(stream, lambda _: None)
    names = ["odd", "other"]
    for number, name in enumerate(names):
        item: Any = SimpleNamespace(
            id=number, attribute=name, described=None, device=SimpleNamespace(ask_attribute=ask)
        )
        undescribed.describe(item, event)
    wait_until(lambda: not undescribed._items)
    assert asked == names
    assert "the configuration of 'odd' cannot be shown" in caplog.text
