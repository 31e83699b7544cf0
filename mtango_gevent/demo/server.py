"""The demo's device server: `python -m mtango_gevent.demo.server <instance>`, with TANGO_HOST as its database.

It registers itself, so it needs only a database.
"""

from __future__ import annotations

import sys

from tango import GreenMode
from tango.server import run

from mtango_gevent.demo.camera import Camera
from mtango_gevent.demo.every_type import Types
from mtango_gevent.demo.motor import Motor
from mtango_gevent.demo.power_supply import PowerSupply
from mtango_gevent.demo.registration import give_attribute_properties, give_properties, register
from mtango_gevent.demo.tango_test import TangoTest

NAME = "MtangoDemo"
LOOPBACK = ["-ORBendPoint", "giop:tcp:127.0.0.1:0"]

DEVICES = {
    "sys/tg_test/1": TangoTest,
    "demo/types/1": Types,
    "demo/motor/1": Motor,
    "demo/powersupply/1": PowerSupply,
    "demo/camera/1": Camera,
}

PROPERTIES: dict[str, dict[str, list[str]]] = {
    "sys/tg_test/1": {
        "description": ["The test device of the demo"],
        "numbers": ["1", "2", "3"],
        "polled_attr": ["double_scalar", "1000", "long_scalar", "1000", "short_scalar", "1000", "state", "1000"],
    },
    "demo/motor/1": {
        "velocity_at_start": ["5"],
        "steps_per_mm": ["2000"],
        "polled_attr": ["state", "1000"],
    },
}
"""Device properties of a new database. `polled_attr`: names of polled attributes with their period in milliseconds."""

ATTRIBUTE_PROPERTIES: dict[str, dict[str, dict[str, list[str]]]] = {
    "sys/tg_test/1": {
        "double_scalar": {"abs_change": ["1"]},
        "long_scalar": {"abs_change": ["1"]},
        "short_scalar": {"abs_change": ["1"]},
    },
}
"""Changes that send events. Of the C++ TangoTest, too, the database has them and not the class."""


def main(instance: str) -> None:
    server = f"{NAME}/{instance}"
    register(server, {device: cls.__name__ for device, cls in DEVICES.items()})
    for device, properties in PROPERTIES.items():
        give_properties(device, properties)
    for device, attributes in ATTRIBUTE_PROPERTIES.items():
        give_attribute_properties(device, attributes)
    run(list(DEVICES.values()), args=[NAME, instance, *LOOPBACK], green_mode=GreenMode.Synchronous)


if __name__ == "__main__":
    main(*sys.argv[1:])
