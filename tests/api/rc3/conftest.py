"""Devices with odd names and texts, see tests/odd_devices.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

ODD_DEVICE, TEXTS_DEVICE, NO_STATUS_DEVICE = "test/odd/1", "test/texts/1", "test/nostatus/1"


@pytest.fixture(scope="session")
def odd_server(tango_system: EmbeddedTango) -> None:
    command = [sys.executable, str(Path(__file__).parents[2] / "odd_devices.py"), "test"]
    devices = {ODD_DEVICE: "Odd", TEXTS_DEVICE: "Texts", NO_STATUS_DEVICE: "NoStatus"}
    tango_system.add_server(command, "Odd/test", devices)


@pytest.fixture
def odd_url(host_url: str, odd_server: None) -> str:
    return f"{host_url}/devices/{ODD_DEVICE}"


@pytest.fixture
def texts_url(host_url: str, odd_server: None) -> str:
    return f"{host_url}/devices/{TEXTS_DEVICE}"


@pytest.fixture
def no_status_url(host_url: str, odd_server: None) -> str:
    return f"{host_url}/devices/{NO_STATUS_DEVICE}"
