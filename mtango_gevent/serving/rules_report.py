"""What `mtango-gevent rules` prints: the rules of a file as sentences, and decisions."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from mtango_gevent.api.access import ACTIONS, KINDS, AccessControl, Identity, Kind, Rule, parse_rules, usual_kind
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient

# The user in the arguments that stands for a client that is not authenticated.
_ANONYMOUS = "-"

_PLURALS: dict[Kind, str] = {
    "attribute": "attributes",
    "command": "commands",
    "pipe": "pipes",
    "property": "properties",
    "gateway": "parts of the gateway",
}


def check(file: str) -> int:
    """Print each rule as a sentence; return 0 if the file can be used, else 1."""
    try:
        rules = parse_rules(Path(file).read_bytes(), Path(file).name)
    except (OSError, ValueError) as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 1
    for rule in rules.rules:
        print(f"rule {rule.number} (line {rule.line}): {_sentence(rule)}")
    print("otherwise every client may read, and nothing else")
    for warning in rules.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def _sentence(rule: Rule) -> str:
    """Return a rule as a sentence."""
    who = rule.who
    clients = ["any client"] if who.anyone else []
    clients += ["every user" if user == "*" else f"user {user}" for user in sorted(who.users)]
    clients += [f"group {group}" for group in sorted(who.groups)]
    clients += [f"network {network}" for network in who.networks]
    verb = "may" if rule.allows else "may not"
    return f"{_listed(clients, 'or')} {verb} {_listed(list(rule.actions))} {_objects(rule)}"


def _objects(rule: Rule) -> str:
    names = " and ".join(f"{_PLURALS[kind]} {_listed(list(globs.patterns))}" for kind, globs in rule.names.items())
    if "gateway" in rule.names:
        return names
    devices = _listed(list(rule.devices.patterns)) if rule.devices else "every device"
    hosts = f" at {_listed(list(rule.tango_hosts.patterns))}" if rule.tango_hosts else ""
    gateway = "" if names or rule.devices or rule.tango_hosts else " and the gateway itself"
    return f"{names or 'everything'} of {devices}{hosts}{gateway}"


def _listed(texts: list[str], joint: str = "and") -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {joint} {texts[-1]}"


def explain(options: argparse.Namespace) -> int:
    """Print the decision and its rule; return 0 if the user may do it, else 1."""
    config = Config.load()
    file = options.file or config.rules
    if not file:
        raise ConfigError("MTANGO_RULES: expected the file of the access rules, or the option --file, got none")
    access = AccessControl(dataclasses.replace(config, rules=file, auth=()), TangoClient(config))
    device, name = _split(options.target)
    kind = options.kind or usual_kind(options.action, device, name)
    if options.action not in ACTIONS or kind not in KINDS:
        wanted, got = (KINDS, kind) if options.action in ACTIONS else (ACTIONS, options.action)
        raise ConfigError(f"expected one of {', '.join(wanted)}, got {got!r}")
    hosts = tuple(host.lower() for host in options.tango_host)
    target = access.target(options.action, kind, name, device, hosts)
    user = "" if options.user == _ANONYMOUS else options.user
    identity = Identity(user, frozenset(options.group))
    decision = access.decide(identity, {"REMOTE_ADDR": options.address}, target)
    print(f"{target}: {decision.reason}")
    return 0 if decision.allowed else 1


def _split(target: str) -> tuple[str, str]:
    """Return the device and the name in it; no device for a part of the gateway."""
    parts = target.split("/", 3)
    if len(parts) < 3:
        return "", target
    return "/".join(parts[:3]), parts[3] if len(parts) > 3 else ""
