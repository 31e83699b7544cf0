"""Registration of device servers in the database.

`python -m mtango_gevent.demo.registration Name/instance device=Class ... -- command ...` registers a server and then
executes the command, under the same process id.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import tango

NEVER = ("", "?")
"""The dates of databases for an event that has not happened."""

Properties = Mapping[str, Sequence[str]]


def register(server: str, devices: Mapping[str, str]) -> None:
    """Define the devices (name -> class) of a server ("Name/instance") that the database does not have.

    Raises SystemExit for a device that has run in another server.
    """
    database = tango.Database()
    new = [info for device, name in devices.items() if (info := _missing(database, server, device, name))]
    if new:
        database.add_server(server, new, with_dserver=True)


def _missing(database: tango.Database, server: str, device: str, class_name: str) -> tango.DbDevInfo | None:
    info = tango.DbDevInfo()
    info.name, info._class, info.server = device, class_name, server
    try:
        known = database.get_device_info(device)
    except tango.DevFailed as failure:
        if failure.args[0].reason != "DB_DeviceNotDefined":
            raise
        return info
    if known.ds_full_name.lower() == server.lower():
        return None
    if known.started_date in NEVER:  # every new database has a sys/tg_test/1 of TangoTest/test
        return info
    raise SystemExit(f"{device} belongs to the server {known.ds_full_name} of this database; {server} leaves it alone")


def give_properties(device: str, properties: Properties) -> None:
    """Set the properties that the device does not have."""
    database = tango.Database()
    known = database.get_device_property(device, list(properties))
    absent = {name: list(values) for name, values in properties.items() if not known[name]}
    if absent:
        database.put_device_property(device, absent)


def give_attribute_properties(device: str, attributes: Mapping[str, Properties]) -> None:
    """Set the properties that the attributes of the device do not have."""
    database = tango.Database()
    known = database.get_device_attribute_property(device, list(attributes))
    absent = {
        attribute: {name: list(values) for name, values in properties.items() if name not in known[attribute]}
        for attribute, properties in attributes.items()
    }
    absent = {attribute: properties for attribute, properties in absent.items() if properties}
    if absent:
        database.put_device_attribute_property(device, absent)


def main(arguments: list[str]) -> None:
    end = arguments.index("--")
    server, *devices = arguments[:end]
    command = arguments[end + 1 :]
    register(server, dict(device.split("=", 1) for device in devices))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise SystemExit(f"{command[0]}: {error.strerror}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
