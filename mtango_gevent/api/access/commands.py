"""Classes of commands: which ones only read, and which ones change the control system itself."""

from __future__ import annotations

import dataclasses

from mtango_gevent.api.access.globs import Globs
from mtango_gevent.api.access.targets import Action
from mtango_gevent.config import Config
from mtango_gevent.names import folded

# Commands that change nothing, of every device.
_HARMLESS = ("State", "Status")

# Devices of the control system itself, and their commands that change nothing. `DbMySqlSelect` is not among them, as
# SQL can write files, nor are the subscriptions to events of `dserver`, which begin something in the server.
_OF_DATABASES = ("DbGet*", "DbInfo", "DbImportDevice", "DbImportEvent")
_OF_SERVERS = ("DevPollStatus", "DevLockStatus", "PolledDevice", "Query*", "GetLogging*", "GetTelemetry*")
_OF_STARTERS = ("DevGetRunningServers", "DevGetStopServers", "DevReadLog", "NotifyDaemonState")
_OF_ACCESS_CONTROL = (
    "GetAccess",
    "GetAccessForMultiIP",
    "GetAddressByUser",
    "GetAllowedCommandClassList",
    "GetAllowedCommands",
    "GetDeviceByUser",
    "GetDeviceClass",
    "GetUsers",
)


@dataclasses.dataclass(frozen=True)
class _DeviceKind:
    """Devices that are known by their names. harmless: their commands that change nothing."""

    devices: Globs
    harmless: Globs


class CommandClasses:
    """The class of each command, as the settings say."""

    def __init__(self, config: Config) -> None:
        self._harmless = Globs([*_HARMLESS, *config.harmless_commands])
        self._of_system = [
            _DeviceKind(Globs(devices), Globs(harmless))
            for devices, harmless in (
                (("sys/database/*", config.database_device), _OF_DATABASES),
                (("dserver/*/*",), _OF_SERVERS),
                (("tango/admin/*",), _OF_STARTERS),
                (("sys/access_control/*", "sys/access-control/*"), _OF_ACCESS_CONTROL),
            )
        ]

    def action(self, device: str, command: str) -> Action:
        """Return the action of a command.

        `read` for one that changes nothing; `configure` for another one of a device of the control system itself, such
        as the database or the admin device of a server; else `execute`.
        """
        device, command = folded(device), folded(command)
        if self._harmless.match(command):
            return "read"
        kind = next((kind for kind in self._of_system if kind.devices.match(device)), None)
        if kind is None:
            return "execute"
        return "read" if kind.harmless.match(command) else "configure"
