"""The file of access rules: TOML, checked with the line and the key of each fault."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mtango_gevent.api.access.globs import Globs
from mtango_gevent.api.access.rules import EVERY_USER, Network, Rule, Rules, Who
from mtango_gevent.api.access.targets import ACTIONS, Action, Kind
from mtango_gevent.config import tomllib
from mtango_gevent.names import collated, folded

# A line that may begin a rule: it does not within a text of several lines.
_HEADER = re.compile(r"""^[ \t]*\[\[[ \t]*(?:rule|"rule"|'rule')[ \t]*\]\]""", re.MULTILINE)

# Keys of names -> the kind of target.
_KINDS: dict[str, Kind] = {
    "attributes": "attribute",
    "commands": "command",
    "pipes": "pipe",
    "properties": "property",
    "gateway": "gateway",
}

# Parts of the gateway, as the views declare them.
PARTS = (
    "api",
    "metrics",
    "other",
    "pages",
    "readyz",
    "streams",
    "sys",
    "sys/cache",
    "sys/clean",
    "sys/config",
    "sys/devices",
    "sys/failures",
    "sys/stats",
    "sys/streams",
)

_WHO = ("users", "groups", "networks", "anyone")
_KEYS = (*_WHO, "may", "may_not", "devices", "tango_hosts", *_KINDS)

_LONGEST_PATTERN = 255


class _Fault(ValueError):
    """A fault in a rule. key: where it is, empty for the rule itself."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}" if key else text)
        self.key = key


def parse_rules(data: bytes, file: str) -> Rules:
    """Return the rules of a file. Raises ValueError with the line, the key and what is expected, in one line.

    file: its name, for texts.
    """
    text = data.decode("utf-8-sig")
    document = tomllib.loads(text)
    for key in document:
        if key not in ("rule", "groups"):
            raise ValueError(f"line {_line_of(text, key)}: expected [[rule]] or [groups], got {key!r}")
    groups = _parse_groups(text, document.get("groups", {}))
    found = document.get("rule", [])
    sources = list(_rule_sources(text))
    if not isinstance(found, list) or len(found) != len(sources):
        raise ValueError("expected each rule as a table that begins with a line [[rule]]")
    if not found:
        raise ValueError("expected at least one [[rule]], got none")
    numbered = enumerate(zip(found, sources, strict=True), 1)
    return Rules([_parse_rule(number, table, *source, groups) for number, (table, source) in numbered], file)


def _rule_sources(text: str) -> Iterator[tuple[int, str]]:
    """Yield the first line and the text of each rule.

    A piece from one header to the next is TOML by itself, unless the next one is a part of a text of several lines.
    """
    starts = [*(match.start() for match in _HEADER.finditer(text)), len(text)]
    begin = _next_start(text, 0, starts)
    while begin < len(text):
        end = _next_start(text, begin, [start for start in starts if start > begin])
        yield text.count("\n", 0, begin) + 1, text[begin:end]
        begin = end


def _next_start(text: str, begin: int, starts: Iterable[int]) -> int:
    for start in starts:
        try:
            tomllib.loads(text[begin:start])
        except tomllib.TOMLDecodeError:
            continue
        return start
    return len(text)


def _parse_groups(text: str, found: Any) -> dict[str, frozenset[str]]:
    try:
        if not isinstance(found, dict):
            raise _Fault("groups", f"expected a table of groups with their users, got {found!r}")
        return {name: frozenset(_names(found, name, "users")) for name in found}
    except _Fault as fault:
        raise ValueError(f"line {_line_of(text, fault.key)}: groups: {fault}") from None


def _parse_rule(number: int, table: Any, line: int, text: str, groups: Mapping[str, frozenset[str]]) -> Rule:
    try:
        for key in table:
            if key not in _KEYS:
                raise _Fault(key, f"unknown key, expected one of {', '.join(_KEYS)}")
        allows, actions = _actions(table)
        names: dict[Kind, Globs] = {kind: _globs(table, key, _name) for key, kind in _KINDS.items() if key in table}
        devices = _globs(table, "devices", _device) if "devices" in table else None
        hosts = _globs(table, "tango_hosts", _tango_host) if "tango_hosts" in table else None
        if "gateway" in names and len(names) + (devices is not None) + (hosts is not None) > 1:
            raise _Fault("gateway", "expected a rule of its own for parts of the gateway, got other names as well")
        return Rule(number, line, _who(table, groups), allows, actions, devices, hosts, names)
    except _Fault as fault:
        at = line + _line_of(text, fault.key) - 1 if fault.key else line
        raise ValueError(f"line {at}: rule {number}: {fault}") from None


def _line_of(text: str, key: str) -> int:
    """Return the line of a key in a piece of a file, 1 if it is not found."""
    quoted = re.escape(key)
    found = re.search(rf"""^[ \t]*\[*[ \t]*["']?{quoted}["']?[ \t]*[=.\]]""", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _actions(table: Mapping[str, Any]) -> tuple[bool, tuple[Action, ...]]:
    if ("may" in table) == ("may_not" in table):
        got = "both" if "may" in table else "neither"
        raise _Fault("may" if "may" in table else "", f"expected either `may` or `may_not`, got {got}")
    key = "may" if "may" in table else "may_not"
    given = _names(table, key, "actions")
    for action in given:
        if action not in ACTIONS:
            raise _Fault(key, f"expected a list of {', '.join(ACTIONS)}, got {action!r}")
    return key == "may", tuple(action for action in ACTIONS if action in given)


def _who(table: Mapping[str, Any], groups: Mapping[str, frozenset[str]]) -> Who:
    if not any(key in table for key in _WHO):
        raise _Fault("", f"expected at least one of {', '.join(_WHO)}, got none")
    if "anyone" in table and table["anyone"] is not True:
        raise _Fault("anyone", f"expected true, got {table['anyone']!r}")
    of_rule = _names(table, "groups", "groups") if "groups" in table else ()
    return Who(
        frozenset(_names(table, "users", "users") if "users" in table else ()),
        frozenset(of_rule),
        tuple(_network(text) for text in (_names(table, "networks", "networks") if "networks" in table else ())),
        "anyone" in table,
        frozenset[str]().union(*(groups.get(group, ()) for group in of_rule)),
    )


def _names(table: Mapping[str, Any], key: str, what: str) -> list[str]:
    """Return a list of texts. what: its content, in the plural."""
    found = table[key]
    if not isinstance(found, list) or not found:
        raise _Fault(key, f"expected a list of {what}, got {found!r}")
    for text in found:
        if not isinstance(text, str) or not text or not text.isprintable() or text != text.strip():
            raise _Fault(key, f"expected a list of {what}, each a text without blanks around it, got {text!r}")
    if what in ("users", "groups") and any("*" in text and (text, key) != (EVERY_USER, "users") for text in found):
        raise _Fault(key, f"expected names of {what} in full, got {found!r}")
    return found


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise _Fault("networks", f"expected networks such as 10.1.0.0/16, got {text!r}: {error}") from None


def _globs(table: Mapping[str, Any], key: str, check: Callable[[str, str], None]) -> Globs:
    given = _names(table, key, f"names of {key.replace('_', ' ')}" if key != "gateway" else "parts of the gateway")
    for pattern in given:
        if len(pattern) > _LONGEST_PATTERN:
            raise _Fault(key, f"expected at most {_LONGEST_PATTERN} characters, got {len(pattern)}")
        check(key, pattern)
    return Globs(given, collated if key == "properties" else folded)


def _name(key: str, pattern: str) -> None:
    if "/" in pattern and key not in ("properties", "gateway"):
        raise _Fault(key, f"expected a name without its device, got {pattern!r}: devices have a key of their own")
    if key == "gateway" and not any(map(Globs([pattern]).match, PARTS)):
        raise _Fault(key, f"expected parts of the gateway, of {', '.join(PARTS)}, got {pattern!r}")


def _device(key: str, pattern: str) -> None:
    if pattern.count("/") != 2 and "*" not in pattern:
        raise _Fault(key, f"expected a device as domain/family/member, with * for any text, got {pattern!r}")
    if pattern.startswith("tango:"):
        raise _Fault(key, f"expected a device without its Tango host, got {pattern!r}: tango_hosts is a key of its own")


def _tango_host(key: str, pattern: str) -> None:
    if ":" not in pattern and "*" not in pattern:
        raise _Fault(key, f"expected a Tango host as host:port, got {pattern!r}")
