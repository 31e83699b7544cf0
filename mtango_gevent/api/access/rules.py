"""Access rules: the first rule that matches decides."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from mtango_gevent.api.access.globs import Globs
from mtango_gevent.api.access.identity import Identity
from mtango_gevent.api.access.targets import Action, Kind, Target
from mtango_gevent.ip_address import Address, parse_address

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# In the users of a rule: every authenticated user.
EVERY_USER = "*"

# Decisions that are kept, of every client with every target.
_MOST_DECISIONS = 10_000

# Both are an attribute and a command of each device: a rule for one of them is a rule for the other as well.
_STATES = ("state", "status")
_ATTRIBUTE_AND_COMMAND: tuple[Kind, ...] = ("attribute", "command")


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether a client may do something. reason: a text; rule, line: the rule that decided, 0 without one."""

    allowed: bool
    reason: str
    rule: int = 0
    line: int = 0


@dataclasses.dataclass(frozen=True)
class Who:
    """The clients of a rule: those that fit one of the fields.

    members: the users of each group of the file, in addition to the groups that authentication gives.
    """

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    anyone: bool = False
    members: frozenset[str] = frozenset()

    def include(self, identity: Identity, address: Address | None) -> bool:
        if self.anyone or (address is not None and any(address in network for network in self.networks)):
            return True
        if identity.is_anonymous:
            return False
        known = EVERY_USER in self.users or identity.user in self.users or identity.user in self.members
        return known or not self.groups.isdisjoint(identity.groups)

    def cover(self, other: Who) -> bool:
        """Return whether these clients are known to include all of the others."""
        if self.anyone or other.anyone:
            return self.anyone
        known = self.users | self.members
        users = EVERY_USER in self.users or (other.users <= known and other.groups <= self.groups)
        return users and set(other.networks) <= set(self.networks)


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule of the file. number: 1 for the first one; line: where it begins in the file.

    allows: whether its clients may do the actions, or may not. devices, tango_hosts: None for all of them.
    names: of attributes, commands, ..., by kind; empty for everything of the devices.
    """

    number: int
    line: int
    who: Who
    allows: bool
    actions: Collection[Action]
    devices: Globs | None = None
    tango_hosts: Globs | None = None
    names: Mapping[Kind, Globs] = dataclasses.field(default_factory=dict)

    def matches(self, identity: Identity, address: Address | None, target: Target) -> bool:
        return target.action in self.actions and self._concerns(target) and self.who.include(identity, address)

    def _concerns(self, target: Target) -> bool:
        if target.kind != "gateway":
            return self._concerns_device(target) and self._concerns_name(target)
        return self._concerns_name(target) and self.devices is None and self.tango_hosts is None

    def _concerns_device(self, target: Target) -> bool:
        if self.tango_hosts is not None and not any(map(self.tango_hosts.match, target.tango_hosts)):
            return False
        return self.devices is None or self.devices.match(target.device)

    def _concerns_name(self, target: Target) -> bool:
        kinds = (target.kind,)
        if target.name in _STATES and target.kind in _ATTRIBUTE_AND_COMMAND:
            kinds = _ATTRIBUTE_AND_COMMAND
        return not self.names or any(self.names[kind].match(target.name) for kind in kinds if kind in self.names)

    def covers(self, other: Rule) -> bool:
        """Return whether this rule is known to match whatever the other one matches."""
        return (
            set(other.actions) <= set(self.actions)
            and self.who.cover(other.who)
            and _cover(self.devices, other.devices)
            and _cover(self.tango_hosts, other.tango_hosts)
            and (not self.names or self._cover_names(other))
        )

    def _cover_names(self, other: Rule) -> bool:
        return bool(other.names) and all(
            kind in self.names and self.names[kind].cover(names) for kind, names in other.names.items()
        )


def _cover(ones: Globs | None, others: Globs | None) -> bool:
    return ones is None or (others is not None and ones.cover(others))


class Rules:
    """The rules of a file. Without a match reads are allowed, and all else is denied. file: its name, for texts."""

    def __init__(self, rules: Sequence[Rule], file: str) -> None:
        self.rules, self._file = rules, file
        # Goes with the rules: a changed file has decisions of its own.
        self.decide = functools.lru_cache(_MOST_DECISIONS)(self._decide)

    def _decide(self, identity: Identity, address: str, target: Target) -> Decision:
        """Return whether a client may do something. address: of the client, as text."""
        parsed = parse_address(address)
        for rule in self.rules:
            if rule.matches(identity, parsed, target):
                verb = "allowed" if rule.allows else "denied"
                reason = f"{verb} by rule {rule.number} (line {rule.line} of {self._file})"
                return Decision(rule.allows, reason, rule.number, rule.line)
        if target.action == "read":
            return Decision(True, "no rule is about it, and reads are allowed then")
        return Decision(False, "no rule allows it")

    def warnings(self) -> list[str]:
        """Return a sentence for each rule that can never decide, as an earlier one matches first."""
        return [
            f"rule {rule.number} (line {rule.line}) has no effect: rule {earlier.number} (line {earlier.line})"
            " matches first"
            for position, rule in enumerate(self.rules)
            for earlier in [next((one for one in self.rules[:position] if one.covers(rule)), None)]
            if earlier is not None
        ]
