"""Subscriptions to configuration events."""

from __future__ import annotations

import pytest

from mtango_gevent.control.events.configuration import _Watched
from tests.conftest import CHANGING_DEVICE
from tests.control.concurrency import new_client, new_device
from tests.live.conftest import wait_until
from tests.patched_process import in_patched_process

pytestmark = pytest.mark.usefixtures("changing_server")


@pytest.mark.slow
def test_subscription_that_is_dropped_while_it_is_made_ends_when_it_is_made() -> None:
    client = new_client()
    watch, watched = client.watch, _Watched(CHANGING_DEVICE, "mode")
    watch._watched[CHANGING_DEVICE, "mode"] = watched

    def connect():
        watch._look()
        return client.plain_proxy(CHANGING_DEVICE)

    watch._subscribe(watched, connect, "mode")
    assert watch._watched == {}
    assert watched.unsubscribe
    with pytest.raises(KeyError, match="does not own this subscription"):
        watched.unsubscribe()


@pytest.mark.slow
@in_patched_process
def test_enumeration_that_is_read_and_listened_to_has_one_subscription() -> None:
    device = new_device(CHANGING_DEVICE)
    watch = device.host.client.watch
    with device.listen("mode", "change"):
        (listened,) = watch._watched.values()
        unsubscribe = listened.unsubscribe
        assert list(device.enum_labels(device.read_value("mode").items)) == ["off", "on"]
        wait_until(lambda: len(watch._watched) == 2 and all(each.unsubscribe for each in watch._watched.values()))
        assert listened in watch._watched.values()
        assert listened.unsubscribe is unsubscribe
        assert listened.holders == 1


def test_enumeration_that_is_only_listened_to_is_watched_as_long_as_that() -> None:
    device = new_device(CHANGING_DEVICE, event_poll_period=0.05)
    client = device.host.client
    with device.listen("mode", "change"):
        (watched,) = client.watch._watched.values()
        assert (watched.holders, watched.labels) == (1, ["off", "on"])
    client.events.clear()
    wait_until(lambda: not client.watch._watched)
