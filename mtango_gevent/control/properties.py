"""Properties of a device, or of one of its attributes, as the Tango database keeps them: in UTF-8.

So do PyTango's own functions for them, and with these its servers.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import tango_failure
from mtango_gevent.names import spelled
from mtango_gevent.texts import from_utf8, to_utf8

# What the databases take for a pattern in the name of a property, where they read and where they delete.
_PATTERN = re.compile("[*%]")


@dataclasses.dataclass(frozen=True)
class Properties:
    """Those of `device`, or of its `attribute`. All methods ask the database; they raise DevFailed."""

    host: TangoHost
    device: str
    attribute: str | None = None

    def read(self) -> dict[str, list[str]]:
        """Values by name. Of an attribute that nobody has there are none. Raises DevFailed, DB_DeviceNotDefined."""
        if self.attribute is not None:
            answer = self.host.command("DbGetDeviceAttributeProperty2", [self.device, self.attribute])
            return dict(_found(answer[4:], int(answer[3])))
        found = self._read_of_device()
        if not found:  # so the database answers also for a device that it does not know
            self.host.find_device(self.device)
        return found

    def put(self, values: Mapping[str, Sequence[str]], replace: bool = False) -> dict[str, list[str]]:
        """Write those of `values`, and delete the others if they are to replace all. Gives what is there then."""
        known = self.read()
        put = {spelled(name, known) or name: texts for name, texts in values.items()}
        others = [name for name in known if name not in put] if replace else []
        patterns = [name for name in others if _PATTERN.search(name)]
        if patterns:
            raise tango_failure("MTANGO_NotDeletable", f"the database would not delete {patterns} alone")
        self._put(put)
        self._delete(others)
        return self.read()

    def delete(self, name: str) -> None:
        """Delete one; there need not be any of that name."""
        self._delete([known for known in self.read() if known.lower() == name.lower()])

    def _read_of_device(self) -> dict[str, list[str]]:
        """pytango-db takes the device in the list for a pattern, in which the `_` of a name is any character; a
        property without values is another device's then."""
        names = self.host.command("DbGetDevicePropertyList", [self.device, "*"])
        if not names:  # the C++ database refuses to be asked for none
            return {}
        plain = [name for name in names if not _PATTERN.search(name)]
        answer = self.host.command("DbGetDeviceProperty", [self.device, *plain]) if plain else ["", "0"]
        found = {name: texts for name, texts in _found(answer[2:], int(answer[1]), blank=True) if texts}
        return {**found, **{name: [] for name in names if name not in plain}}  # there, with values nobody can ask for

    def _put(self, values: Mapping[str, Sequence[str]]) -> None:
        command, owner = "DbPutDeviceProperty", [self.device]
        if self.attribute is not None:
            command, owner = "DbPutDeviceAttributeProperty2", [self.device, "1", self.attribute]
        texts = [text for name, lines in values.items() for text in (name, str(len(lines)), *lines)]
        self.host.command(command, [*owner, str(len(values)), *map(to_utf8, texts)])

    def _delete(self, names: Sequence[str]) -> None:
        command, owner = "DbDeleteDeviceProperty", [self.device]
        if self.attribute is not None:
            command, owner = "DbDeleteDeviceAttributeProperty", [self.device, self.attribute]
        if names:
            self.host.command(command, [*owner, *map(to_utf8, names)])


def _found(texts: Sequence[str], count: int, blank: bool = False) -> Iterator[tuple[str, list[str]]]:
    """(name, values) of `count` properties from the database's flat list: name, number of values, values.

    blank: the command puts one blank text where there is no value.
    """
    left = map(from_utf8, texts)
    for _ in range(count):
        name, size = next(left), int(next(left))
        values = [next(left) for _ in range(size or int(blank))]
        yield name, values if size else []
