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
from mtango_gevent.errors import DevFailed, explained, tango_failure
from mtango_gevent.names import canonical_name, collated
from mtango_gevent.text import from_utf8, to_utf8

# By name: the values of a property, or the failure of reading or writing it.
Found: TypeAlias = "dict[str, list[str] | DevFailed]"

# The C++ database puts names into its query without escaping them.
_QUERY = re.compile(r"[\"'`\\]")

# Both databases match these in the names of properties that are read, written or deleted.
_PATTERN = re.compile(r"[*%]+")

# Characters that MySQL's collations take for up to two others, as `ü` for `y` and `ß` for `ss`, or ignore.
_UNSURE = re.compile(r"[^ -~]")


class Written(NamedTuple):
    """The properties before and after a change; `after` has the failure of each that could not be changed.

    deleted: names of those that were deleted; unread: why `after` has nothing else.
    """

    before: Found
    after: Found
    deleted: Collection[str] = ()
    unread: DevFailed | None = None


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
        failures: Found = {**_failures_of_changes([*put, *others], {*known, *put})}
        self._put({name: texts for name, texts in put.items() if name not in failures})
        deleted = [name for name in others if name not in failures]
        try:
            self._delete(deleted)
        except DevFailed as failure:  # the others have been written
            failures |= dict.fromkeys(deleted, failure)
        try:
            found: Found = self.read()
        except DevFailed as failure:
            gone = [name for name in deleted if name not in failures]
            return Written(known, failures, gone, explained(failure, "written, but could not be read back"))
        kept = {name: _not_deleted(name) for name in deleted if name in found}
        return Written(known, {**found, **kept, **failures}, [name for name in deleted if name not in found])

    def delete(self, name: str) -> Written:
        """Delete the property of that name, if there is one. `after` has nothing but its failure."""
        known = self.read()
        found = canonical_name(name, known)
        if found is None:
            return Written(known, {})
        failures = _failures_of_changes([found], known)
        if failures:
            return Written(known, {**failures})
        self._delete([found])
        if not _PATTERN.search(found):
            return Written(known, {}, [found])
        try:
            left = found in self.read()
        except DevFailed as failure:
            return Written(known, {}, [found], explained(failure, "deleted, but could not be read back"))
        return Written(known, {found: _not_deleted(found)} if left else {}, [found])

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


def _failures_of_changes(names: Iterable[str], known: Collection[str]) -> dict[str, DevFailed]:
    """Return a failure for each name that cannot be written or deleted alone. known: all names, with these."""
    collation = _Collation(known)
    same = {name: _not_addressable(name, f"take it for {other!r}") for name in names if (other := collation.same(name))}
    return {**same, **_failures(names, known)}


class _Collation:
    """Names as the C++ database compares them: it changes all properties whose names are the same for it."""

    def __init__(self, names: Collection[str]) -> None:
        self._keys = {name: collated(name) for name in names}
        self._by_key: dict[str, list[str]] = {}
        for name, key in self._keys.items():
            self._by_key.setdefault(key, []).append(name)
        self._unsure = {name for name in names if _UNSURE.search(name)}

    def same(self, name: str) -> str | None:
        """Return another name that may be the same, or None."""
        others = self._keys if name in self._unsure else (*self._by_key[self._keys[name]], *self._unsure)
        return next((other for other in others if other != name and self._may_be_same(name, other)), None)

    def _may_be_same(self, name: str, other: str) -> bool:
        return self._keys[name] == self._keys[other] or self._may_match(name, other) or self._may_match(other, name)

    def _may_match(self, name: str, other: str) -> bool:
        return name in self._unsure and _may_match(name.lower().rstrip(), self._keys[other])


def _may_match(name: str, key: str) -> bool:
    """Return whether a name matches another one's key: an unsure letter up to two others, a wildcard any text.

    In linear time: bit n of `reached` says whether the letters so far may stand for the first n of the key.
    """
    places: dict[str, int] = {}
    for place, letter in enumerate(key):
        places[letter] = places.get(letter, 0) | 1 << place
    reached = 1
    for letter in name:
        if _UNSURE.match(letter):
            reached |= reached << 1 | reached << 2
        elif _PATTERN.match(letter):
            reached = -(reached & -reached)
        else:
            reached = (reached & places.get(letter, 0)) << 1
    return bool(reached >> len(key) & 1)


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
    return _not_addressable(name, problem)


def _not_addressable(name: str, problem: str) -> DevFailed:
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
