"""Devices with odd names and texts, see tests/odd_devices.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tango

from mtango_gevent.demo.embedded import EmbeddedTango

ODD_DEVICE, BUSY_DEVICE, TEXTS_DEVICE, NO_STATUS_DEVICE = "test/odd/1", "test/odd/2", "test/texts/1", "test/nostatus/1"


@pytest.fixture(scope="session")
def odd_server(tango_system: EmbeddedTango) -> None:
    command = [sys.executable, str(Path(__file__).parents[2] / "odd_devices.py"), "test"]
    devices = {ODD_DEVICE: "Odd", BUSY_DEVICE: "Odd", TEXTS_DEVICE: "Texts", NO_STATUS_DEVICE: "NoStatus"}
    stored = ["label", "1", "Wärme", "unit", "1", "°C"]
    tango.DeviceProxy("sys/database/2").DbPutDeviceAttributeProperty2([TEXTS_DEVICE, "1", "texts", "2", *stored])
    stored = ["enum_labels", "2", "läuft", "hält"]
    tango.DeviceProxy("sys/database/2").DbPutDeviceAttributeProperty2([TEXTS_DEVICE, "1", "choice", "1", *stored])
    tango_system.add_server(command, "Odd/test", devices)


@pytest.fixture
def odd_url(host_url: str, odd_server: None) -> str:
    return f"{host_url}/devices/{ODD_DEVICE}"


@pytest.fixture
def busy_url(host_url: str, odd_server: None) -> str:
    """Of a device that tests keep busy."""
    return f"{host_url}/devices/{BUSY_DEVICE}"


@pytest.fixture
def texts_url(host_url: str, odd_server: None) -> str:
    return f"{host_url}/devices/{TEXTS_DEVICE}"


@pytest.fixture
def no_status_url(host_url: str, odd_server: None) -> str:
    return f"{host_url}/devices/{NO_STATUS_DEVICE}"
