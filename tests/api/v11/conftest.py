"""URLs of v11."""

from __future__ import annotations

import pytest
import tango

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE

V11 = "/tango/rest/v11"


@pytest.fixture(scope="session")
def host(tango_system: EmbeddedTango) -> str:
    return tango_system.tango_host


@pytest.fixture(scope="session")
def v11_host_url(host: str) -> str:
    return f"{V11}/hosts/" + host.replace(":", ";port=")


@pytest.fixture(scope="session")
def v11_demo_url(v11_host_url: str) -> str:
    return f"{v11_host_url}/devices/{DEMO_DEVICE}"


@pytest.fixture(scope="session")
def v11_types_url(v11_host_url: str) -> str:
    return f"{v11_host_url}/devices/{TYPES_DEVICE}"


@pytest.fixture(scope="session")
def not_exported(tango_system: EmbeddedTango) -> str:
    """The name of a device whose server has never run."""
    info = tango.DbDevInfo()
    info.name, info._class, info.server = "test/absent/1", "Absent", "Absent/test"
    tango.Database().add_device(info)
    return "test/absent/1"
