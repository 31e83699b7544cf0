"""The devices of the demo's beamline: a motor, a power supply, a camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import tango
from tango import DevState

from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def motor(device: Callable[[str], tango.DeviceProxy]) -> Iterator[tango.DeviceProxy]:
    yield from _from_device(device("demo/motor/1"))


@pytest.fixture
def supply(device: Callable[[str], tango.DeviceProxy]) -> Iterator[tango.DeviceProxy]:
    """A power supply with a fast ramp."""
    proxy = device("demo/powersupply/1")
    proxy.put_property({"ramp_rate": ["5000"]})
    yield from _from_device(proxy)
    proxy.delete_property("ramp_rate")


@pytest.fixture
def camera(device: Callable[[str], tango.DeviceProxy]) -> Iterator[tango.DeviceProxy]:
    yield from _from_device(device("demo/camera/1"))


def _from_device(proxy: tango.DeviceProxy) -> Iterator[tango.DeviceProxy]:
    proxy.set_source(tango.DevSource.DEV)
    proxy.Init()
    yield proxy
    proxy.Init()


def test_the_motor_travels_to_its_set_point(motor: tango.DeviceProxy) -> None:
    motor.velocity = 20
    motor.position = 4
    assert motor.state() == DevState.MOVING
    assert 0 <= motor.position < 4
    wait_until(lambda: motor.state() == DevState.ON)
    assert motor.position == 4
    assert motor.steps == 8000


def test_the_motor_stops(motor: tango.DeviceProxy) -> None:
    motor.position = 40
    motor.Stop()
    assert motor.state() == DevState.ON
    assert motor.position == motor.position < 40


def test_the_motor_stops_at_a_limit_switch(motor: tango.DeviceProxy) -> None:
    motor.velocity = 50
    motor.position = 48
    wait_until(lambda: motor.state() == DevState.ALARM)
    assert (motor.position, motor.upper_limit_switch, motor.lower_limit_switch) == (45, True, False)
    assert "upper limit switch" in motor.status()
    motor.position = 44
    wait_until(lambda: motor.state() == DevState.ON)


def test_motor_refuses_positions_out_of_range(motor: tango.DeviceProxy) -> None:
    with pytest.raises(tango.DevFailed, match="API_WAttrOutsideLimit"):
        motor.position = 51


def test_the_supply_gives_current_while_it_is_on(supply: tango.DeviceProxy) -> None:
    supply.current = 100
    assert (supply.state(), supply.current) == (DevState.OFF, 0)
    supply.On()
    wait_until(lambda: supply.current == 100)
    assert supply.voltage == pytest.approx(12)
    assert supply.ripple > 0
    supply.Off()
    assert (supply.state(), supply.current) == (DevState.OFF, 0)


def test_the_interlock_trips_until_it_is_reset(supply: tango.DeviceProxy) -> None:
    supply.current = 480
    supply.On()
    wait_until(lambda: supply.state() == DevState.FAULT)
    with pytest.raises(tango.DevFailed, match="PowerSupply_Interlock"):
        supply.On()
    supply.Reset()
    assert supply.state() == DevState.OFF


def test_the_supply_has_an_enumeration(supply: tango.DeviceProxy) -> None:
    supply.regulation_mode = "CONSTANT_VOLTAGE"
    assert supply.read_attribute("regulation_mode").value == 1


def test_the_camera_takes_frames(camera: tango.DeviceProxy) -> None:
    camera.exposure = 0.01
    image = camera.read_attribute("image")
    assert (image.dim_x, image.dim_y, str(image.type)) == (320, 240, "DevUShort")
    assert image.value.max() > 5 * image.value.mean()
    before = camera.frame_counter
    wait_until(lambda: camera.frame_counter > before)


def test_the_camera_stops(camera: tango.DeviceProxy) -> None:
    camera.Stop()
    assert camera.state() == DevState.STANDBY
    assert (camera.image == camera.image).all()


def test_the_camera_encodes_its_image(camera: tango.DeviceProxy) -> None:
    kind, data = camera.image_encoded
    assert kind == "GRAY8"
    assert len(data) == 4 + 320 * 240
    assert (int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")) == (320, 240)
    unread = camera.read_attribute("image_encoded", extract_as=tango.ExtractAs.Nothing)
    assert tango.EncodedAttribute().decode_gray8(unread).shape == (240, 320)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [("demo/motor/1", "position"), ("demo/powersupply/1", "current"), ("demo/camera/1", "frame_counter")],
)
def test_main_values_are_polled_and_say_when_to_send_events(
    device: Callable[[str], tango.DeviceProxy], name: str, attribute: str
) -> None:
    proxy = device(name)
    assert proxy.is_attribute_polled(attribute)
    config = proxy.get_attribute_config(attribute)
    assert float(config.events.ch_event.abs_change) > 0
    assert config.label != attribute
    assert config.description != "No description"
