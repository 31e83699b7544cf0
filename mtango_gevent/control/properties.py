"""Properties of a device or attribute in the Tango database, in UTF-8.

So do PyTango's own functions for them, and with these its servers.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import DevFailed, tango_failure
from mtango_gevent.names import canonical_name
from mtango_gevent.text import from_utf8, to_utf8

# By name: the values of a property, or the failure of reading or writing it.
Found: TypeAlias = "dict[str, list[str] | DevFailed]"

# The C++ database puts names into its query without escaping them.
_QUERY = re.compile(r"[\"'`\\]")

# Both databases match these in the names of properties that are read, written or deleted.
_PATTERN = re.compile(r"[*%]+")


class Written(NamedTuple):
    """The properties before and after a change; `after` has the failure of each that could not be changed."""

    before: Found
    after: Found


@dataclasses.dataclass(frozen=True)
class Properties:
    """The properties of `device`, or of its `attribute`. All methods ask the database, and raise DevFailed."""

    host: TangoHost
    device: str
    attribute: str | None = None

    def read(self) -> Found:
        """Return values by name, none for an unknown attribute. Raises DevFailed, DB_DeviceNotDefined."""
        if self.attribute is not None:
            answer = self.host.command("DbGetDeviceAttributeProperty2", [self.device, to_utf8(self.attribute)])
            return dict(_found(answer[4:], int(answer[3])))
        found = self._read_of_device()
        if not found:  # the answer for an unknown device as well
            self.host.find_device(self.device)
        return found

    def put(self, values: Mapping[str, Sequence[str]], replace: bool = False) -> Written:
        """Write `values`, and delete all other properties if `replace` is set.

        A property that cannot be written or deleted without touching others is left, and a failure in what is given.
        """
        known = self.read()
        put = {canonical_name(name, known) or name: texts for name, texts in values.items()}
        others = [name for name in known if name not in put] if replace else []
        failures = _failures([*put, *others], {*known, *put})
        self._put({name: texts for name, texts in put.items() if name not in failures})
        deleted = [name for name in others if name not in failures]
        self._delete(deleted)
        found: Found = self.read()
        kept = {name: _not_deleted(name) for name in deleted if name in found}
        return Written(known, {**found, **failures, **kept})

    def delete(self, name: str) -> Found:
        """Delete the property of that name, if there is one, and return the properties that there were."""
        known = self.read()
        found = canonical_name(name, known)
        if found is None:
            return known
        failures = _failures([found], known)
        if failures:
            raise failures[found]
        self._delete([found])
        if _PATTERN.search(found) and found in self.read():
            raise _not_deleted(found)
        return known

    def _read_of_device(self) -> Found:
        """pytango-db takes the device in the list for a pattern, in which the `_` of a name is any character; a
        property without values is another device's then."""
        names = self.host.command("DbGetDevicePropertyList", [self.device, "*"])
        failures = _failures(names, names)
        asked = [name for name in names if name not in failures]
        # The C++ database refuses to be asked for none.
        answer = self.host.command("DbGetDeviceProperty", [self.device, *asked]) if asked else ["", "0"]
        found = {name: texts for name, texts in _found(answer[2:], int(answer[1]), blank=True) if texts}
        return {**found, **{from_utf8(name): failure for name, failure in failures.items()}}

    def _put(self, values: Mapping[str, Sequence[str]]) -> None:
        if not values:
            return
        command, owner = "DbPutDeviceProperty", [self.device]
        if self.attribute is not None:
            command, owner = "DbPutDeviceAttributeProperty2", [self.device, "1", to_utf8(self.attribute)]
        texts = [text for name, lines in values.items() for text in (name, str(len(lines)), *lines)]
        self.host.command(command, [*owner, str(len(values)), *map(to_utf8, texts)])

    def _delete(self, names: Sequence[str]) -> None:
        command, owner = "DbDeleteDeviceProperty", [self.device]
        if self.attribute is not None:
            command, owner = "DbDeleteDeviceAttributeProperty", [self.device, to_utf8(self.attribute)]
        if names:
            self.host.command(command, [*owner, *map(to_utf8, names)])


def _failures(names: Iterable[str], known: Collection[str]) -> dict[str, DevFailed]:
    """Return a failure for each name that cannot be read, written or deleted alone. known: all existing names."""
    return {name: failure for name in names for failure in [_failure(name, known)] if failure}


def _failure(name: str, known: Collection[str]) -> DevFailed | None:
    if _QUERY.search(name):
        problem = "take it for a part of their query"
    elif (others := _also_meant(name, known)) is not None:
        problem = f"take it for a pattern, which {others!r} fits too"
    else:
        return None
    return tango_failure("MTANGO_NotAddressable", f"the property {name!r} cannot be had alone: databases may {problem}")


def _also_meant(name: str, known: Collection[str]) -> str | None:
    """Return another name that matches `name` as a pattern, or None."""
    if not _PATTERN.search(name):
        return None
    fits = _pattern(name).fullmatch
    return next((other for other in known if other != name and fits(other)), None)


def _pattern(name: str) -> re.Pattern[str]:
    """Return a pattern in which each run of `*` and `%` matches any text, in linear time."""
    parts = [f"[{part}]" if part in ("?", "[") else part for part in _PATTERN.sub("*", name)]
    return re.compile(fnmatch.translate("".join(parts)), re.IGNORECASE)


def _not_deleted(name: str) -> DevFailed:
    return tango_failure("MTANGO_NotDeleted", f"the database has not deleted the property {name!r}")


def _found(texts: Sequence[str], count: int, blank: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, values) of `count` properties from the database's flat list: name, number of values, values.

    blank: the command puts one blank text where there is no value.
    """
    left = map(from_utf8, texts)
    for _ in range(count):
        name, size = next(left), int(next(left))
        values = [next(left) for _ in range(size or int(blank))]
        yield name, values if size else []
