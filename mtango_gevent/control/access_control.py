"""TangoAccessControl: the device of a control system that knows which user may change which device from where.

Clients of libtango ask it for their own user. The gateway asks it for the user of each request, in the same words.
"""

from __future__ import annotations

import math
import re
from typing import Any

from mtango_gevent.control.cache import Cache
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost, find_host
from mtango_gevent.errors import ApiError, DevFailed, in_one_line, tango_failure
from mtango_gevent.ip_address import parse_address
from mtango_gevent.names import folded
from mtango_gevent.text import to_utf8

# The user that an anonymous client is asked for; a name of its own, as the rights of the user `*` are those of all.
ANONYMOUS_USER = "anonymous"

# Seconds for which answers are kept, and how many.
_LIFETIME, _SIZE = 5.0, 10_000

# The service puts names into its queries without escaping them, and takes `*` for all users. Of other letters than
# ASCII its database takes several for the same.
_USER = re.compile(r"""(?! )[^\x00-\x1f\x7f-\U0010ffff"'`\\*]{1,255}(?<! )""")

# The class of the database device as libtango names it here.
_DATABASE_CLASS = "Database"

_FAILED = "MTANGO_AccessControlFailed"
_SETTING = "MTANGO_TANGO_ACCESS_CONTROL"
_SERVICE = "accesscontrol/"
_DEVICE = re.compile("(?:tango://)?(?:([^/]+):([0-9]{1,5})/)?([^/]+/[^/]+/[^/]+)")
_EXPECTED = "the property Services of the free object CtrlSystem with a line AccessControl/tango:DEVICE"


class TangoAccessControl:
    """Asks the access control devices of all Tango hosts. Denies what cannot be asked."""

    def __init__(self, client: TangoClient) -> None:
        self._client = client
        self._answers = Cache[Any](_SIZE, _LIFETIME, client.concurrency.signal)

    def refusal(self, user: str, address: str, device: Device, command: str = "") -> ApiError | None:
        """Return why a user may not change a device from an address; None where the user may.

        user: empty for an anonymous client. command: the one to run; with read access a user may run those that the
        service lists for the class of the device. Status 403 if the service does not allow it, 503 without its answer.
        """
        user = user or ANONYMOUS_USER
        ip = _canonical(address)
        if not _USER.fullmatch(user):
            return _forbidden(f"expected a user of printable ASCII without quotes, \\ and *, got {user!r}")
        if not ip:
            return _forbidden(f"expected a client with an IP address, got {address!r}")
        user = user.lower()  # of ASCII by now: K of other letters (U+212A) has a small one of ASCII
        try:
            service = self._find_service(device.host)
            if self._may_write(service, user, ip, device) or (command and self._may_run(service, device, command)):
                return None
        except DevFailed as failure:
            return self._unavailable(in_one_line(failure))
        return _forbidden(f"TangoAccessControl gives {user} at {ip} read access to {device.name}")

    def _find_service(self, host: TangoHost) -> Device:
        """Return the access control device of a host, which may belong to another host that is served."""
        return self._answers.get(host.prefix, "service", lambda: _service_device(host, _services(host)))

    def _may_write(self, service: Device, user: str, ip: str, device: Device) -> bool:
        asked = (user, ip, to_utf8(folded(device.name)))
        return self._answers.get(service.full_name, asked, lambda: service.ask("GetAccess", list(asked))) == "write"

    def _may_run(self, service: Device, device: Device, command: str) -> bool:
        class_name = self._class_of(device)
        allowed = self._answers.get(
            service.full_name, ("class", class_name), lambda: list(service.ask("GetAllowedCommands", class_name))
        )
        return folded(command) in map(folded, allowed)

    def _class_of(self, device: Device) -> str:
        if self._client.bulkheads.is_database(folded(device.name)):
            return _DATABASE_CLASS
        return self._answers.get(
            device.full_name, "class", lambda: device.host.command("DbGetClassForDevice", to_utf8(device.name))
        )

    def _unavailable(self, problem: str) -> ApiError:
        headers = {"Retry-After": str(math.ceil(self._client.config.retry_after))}
        description = f"{_SETTING}: TangoAccessControl cannot be asked: {problem}"
        return ApiError(503, _FAILED, description, headers)


def _forbidden(description: str) -> ApiError:
    return ApiError(403, "MTANGO_Forbidden", f"{_SETTING}: {description}")


def _canonical(address: str) -> str:
    """Return an IP address as the service compares it, empty for anything else."""
    return str(parse_address(address) or "")


def _services(host: TangoHost) -> list[str]:
    """Return the lines of the property that names the services of a control system."""
    answer = host.command("DbGetProperty", ["CtrlSystem", "Services"])
    return list(answer[4 : 4 + int(answer[3])])


def _service_device(host: TangoHost, services: list[str]) -> Device:
    """Return the first access control device. Raises DevFailed for none, and for one of a host that is not served."""
    names = [line.partition(":")[2] for line in services if line.lower().startswith(_SERVICE)]
    named = _DEVICE.fullmatch(names[0]) if names else None
    if named is None:
        raise tango_failure(_FAILED, f"expected {_EXPECTED}, got {services}")
    server, port, name = named.groups()
    found = find_host(host.client, server, int(port), writing=True) if server else host
    if found is None:
        raise tango_failure(_FAILED, f"expected a Tango host that the gateway serves, got {names[0]}")
    return Device(found, name.lower())
