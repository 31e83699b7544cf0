"""An embedded Tango of these tests' own, because they write to its devices and stop and kill its servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import tango

from mtango_gevent.demo.embedded import EmbeddedTango


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedTango]:
    with EmbeddedTango() as running:
        yield running


@pytest.fixture(scope="session")
def device(embedded: EmbeddedTango) -> Callable[[str], tango.DeviceProxy]:
    """Gives a proxy of a device of `embedded` by its name."""
    return lambda name: tango.DeviceProxy(f"tango://{embedded.tango_host}/{name}")


@pytest.fixture
def tangotest(device: Callable[[str], tango.DeviceProxy]) -> Iterator[tango.DeviceProxy]:
    """The demo's TangoTest, fresh, and fresh again afterwards."""
    yield from _fresh(device("sys/tg_test/1"))


@pytest.fixture
def types(device: Callable[[str], tango.DeviceProxy]) -> Iterator[tango.DeviceProxy]:
    yield from _fresh(device("demo/types/1"))


def _fresh(proxy: tango.DeviceProxy) -> Iterator[tango.DeviceProxy]:
    proxy.Init()
    yield proxy
    proxy.Init()
