"""URLs of v11."""

from __future__ import annotations

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE

V11 = "/tango/rest/v11"


@pytest.fixture(scope="session")
def v11_host_url(tango_system: EmbeddedTango) -> str:
    return f"{V11}/hosts/" + tango_system.tango_host.replace(":", ";port=")


@pytest.fixture(scope="session")
def v11_demo_url(v11_host_url: str) -> str:
    return f"{v11_host_url}/devices/{DEMO_DEVICE}"


@pytest.fixture(scope="session")
def v11_types_url(v11_host_url: str) -> str:
    return f"{v11_host_url}/devices/{TYPES_DEVICE}"
