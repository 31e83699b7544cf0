"""Access rules: which one decides, and the faults of a file."""

from __future__ import annotations

import time

import pytest

from mtango_gevent.api.access import ANONYMOUS, Action, Identity, Kind, Target, parse_rules
from mtango_gevent.ip_address import parse_address

ANNA = Identity("anna", frozenset({"shift"}), "basic")
BEN = Identity("ben", frozenset(), "key")


def decide(
    rules: str,
    identity: Identity = ANNA,
    action: Action = "write",
    kind: Kind = "attribute",
    name: str = "current",
    device: str = "sr/mag-1/a",
    host: str = "db:10000",
    address: str = "10.1.2.3",
) -> int:
    """Return the number of the rule that allows, negative for one that denies, 0 without a rule."""
    hosts = () if kind == "gateway" else (host,)
    found = parse_rules(rules.encode(), "access.toml").decide(
        identity, address, Target(action, kind, name, "" if kind == "gateway" else device, hosts)
    )
    return found.rule if found.allowed else -found.rule


def rule(**keys: str) -> str:
    who = {} if keys.keys() & {"users", "groups", "networks", "anyone"} else {"anyone": "true"}
    may = {} if keys.keys() & {"may", "may_not"} else {"may": '["read", "write", "execute", "configure"]'}
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in {**who, **may, **keys}.items())


@pytest.mark.parametrize(
    ("who", "anna", "ben", "anonymous"),
    [
        ({"anyone": "true"}, 1, 1, 1),
        ({"users": '["*"]'}, 1, 1, 0),
        ({"users": '["anna"]'}, 1, 0, 0),
        ({"users": '["Anna"]'}, 0, 0, 0),
        ({"groups": '["shift"]'}, 1, 0, 0),
        ({"groups": '["night"]'}, 0, 1, 0),
        ({"networks": '["10.1.0.0/16"]'}, 1, 1, 1),
        ({"networks": '["10.2.0.0/16", "::1"]', "users": '["ben"]'}, 0, 1, 0),
    ],
)
def test_a_rule_is_for_its_clients(who: dict[str, str], anna: int, ben: int, anonymous: int) -> None:
    rules = '[groups]\nnight = ["ben"]\n' + rule(**who)
    assert [decide(rules, identity) for identity in (ANNA, BEN, ANONYMOUS)] == [anna, ben, anonymous]


@pytest.mark.parametrize(
    ("keys", "kind", "name", "expected"),
    [
        ({}, "attribute", "current", 1),
        ({}, "gateway", "sys/clean", 1),
        ({"devices": '["SR/mag-*/*"]'}, "device", "", 1),
        ({"devices": '["sr/mag-*/*"]'}, "command", "on", 1),
        ({"devices": '["sr/mag-*/*"]'}, "gateway", "api", 0),
        ({"devices": '["sr/vac/*"]'}, "attribute", "current", 0),
        ({"attributes": '["curr*"]'}, "attribute", "current", 1),
        ({"attributes": '["curr*"]'}, "attribute", "voltage", 0),
        ({"attributes": '["curr*"]'}, "command", "current", 0),
        ({"attributes": '["*"]'}, "device", "", 0),
        ({"attributes": '["a"]', "commands": '["On"]'}, "command", "on", 1),
        ({"commands": '["State"]'}, "attribute", "state", 1),
        ({"attributes": '["Status"]'}, "command", "status", 1),
        ({"attributes": '["state"]'}, "pipe", "state", 0),
        ({"pipes": '["p?"]'}, "pipe", "p1", 1),
        ({"properties": '["polled_*"]'}, "property", "polled_attr", 1),
        ({"gateway": '["sys/*"]'}, "gateway", "sys/clean", 1),
        ({"gateway": '["sys/*"]'}, "gateway", "metrics", 0),
        ({"gateway": '["*"]'}, "attribute", "current", 0),
        ({"tango_hosts": '["DB:10000"]'}, "attribute", "current", 1),
        ({"tango_hosts": '["other:10000"]'}, "attribute", "current", 0),
        ({"tango_hosts": '["*"]'}, "gateway", "api", 0),
    ],
)
def test_a_rule_concerns_its_targets(keys: dict[str, str], kind: Kind, name: str, expected: int) -> None:
    action: Action = "administer" if kind == "gateway" else "configure"
    assert decide(rule(**keys, may='["configure", "administer"]'), action=action, kind=kind, name=name) == expected


def test_the_first_match_decides() -> None:
    rules = rule(may_not='["write"]', users='["ben"]') + rule(may='["write"]') + rule(may_not='["write", "read"]')
    assert decide(rules, ANNA) == 2
    assert decide(rules, BEN) == -1
    assert decide(rules, BEN, action="read") == -3
    assert decide(rules, BEN, action="execute", kind="command") == 0


def test_without_a_match_reads_are_allowed_and_all_else_is_denied() -> None:
    rules = parse_rules(rule(devices='["a/b/c"]').encode(), "access.toml")
    for action in ("read", "write", "execute", "configure", "administer"):
        decision = rules.decide(ANNA, "10.1.2.3", Target(action, "attribute", "x", "sr/mag-1/a", ("db:10000",)))
        assert (decision.allowed, decision.rule, decision.line) == (action == "read", 0, 0)
    assert decision.reason == "no rule allows it"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("fe80::1%eth0", "fe80::1"),
        ("", "None"),
        ("unix:", "None"),
    ],
)
def test_addresses_of_sockets_are_understood(text: str, expected: str) -> None:
    assert str(parse_address(text)) == expected


GOOD = '# access\n[[rule]]\nanyone = true\nmay = ["read"]\n\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "expected at least one [[rule]], got none"),
        ("rules = 1\n", "line 1: expected [[rule]] or [groups], got 'rules'"),
        (
            'rule = [{users = ["a"], may = ["read"]}]\n',
            "expected each rule as a table that begins with a line [[rule]]",
        ),
        ("[groups]\noperators = 'anna'\n", "line 2: groups: operators: expected a list of users, got 'anna'"),
        (GOOD + "[[rule]]\n", "line 6: rule 2: expected either `may` or `may_not`, got neither"),
        (
            GOOD + '[[rule]]\nmay = ["read"]\n',
            "line 6: rule 2: expected at least one of users, groups, networks, anyone",
        ),
        (GOOD + '[[rule]]\nanyone = false\nmay = ["read"]\n', "line 7: rule 2: anyone: expected true, got False"),
        (
            GOOD + '[[rule]]\nusers = ["a"]\n# may = ["read"]\nmay = "read"\n',
            "line 9: rule 2: may: expected a list of actions, got 'read'",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a"]\nmay = ["fly"]\n',
            "line 8: rule 2: may: expected a list of read, write, execute, configure, administer, got 'fly'",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a"]\nmay = ["read"]\nmay_not = ["write"]\n',
            "line 8: rule 2: may: expected either `may` or `may_not`, got both",
        ),
        (
            GOOD + '[[rule]]\nnetworks = [\n  "10.1.2.3/16",\n]\nmay = ["read"]\n',
            "line 7: rule 2: networks: expected networks such as 10.1.0.0/16, got '10.1.2.3/16'",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a"]\nmay = ["read"]\nattribute = ["x"]\n',
            "line 9: rule 2: attribute: unknown key",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a"]\nmay = ["read"]\ndevices = []\n',
            "line 9: rule 2: devices: expected a list of names of devices, got []",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a"]\nmay = ["read"]\ndevices = ["motor1"]\n',
            "line 9: rule 2: devices: expected a device as domain/family/member",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a"]\nmay = ["read"]\nattributes = ["a/b/c/x"]\n',
            "line 9: rule 2: attributes: expected a name without its device",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a"]\nmay = ["read"]\ntango_hosts = ["db"]\n',
            "line 9: rule 2: tango_hosts: expected a Tango host as host:port, got 'db'",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a*"]\nmay = ["read"]\n',
            "line 7: rule 2: users: expected names of users in full",
        ),
        (
            GOOD + '[[rule]]\nusers = ["a"]\nmay = ["read"]\ngateway = ["metrix"]\n',
            "line 9: rule 2: gateway: expected parts of the gateway",
        ),
        (
            GOOD + "[[rule]]\nusers = \n",
            "line 7",
        ),
        (
            GOOD + '[[rule]]\nusers = ["""\n[[rule]]\n"""]\nmay = ["read"]\n[[rule]]\nx = 1\n',
            "line 7: rule 2: users: expected a list of users, each a text",
        ),
        (
            GOOD + "# [[rule]]\n" + '[[ "rule" ]] # second\nusers = ["a"]\nmay = ["read"]\nx = 1\n',
            "line 10: rule 2: x: unknown key",
        ),
    ],
)
def test_faults_name_line_and_key(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unknown|Invalid") as raised:
        parse_rules(text.encode(), "access.toml")
    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        parse_rules(b"\xff\xfe", "access.toml")


def test_lines_of_rules_are_those_of_the_file() -> None:
    text = GOOD + "# [[rule]]\n" + "[groups]\na = [\n  'x',\n]\n"
    text += "".join(f"\n# {number}\n[[rule]]\nusers = ['u{number}']\nmay = ['read']\n" for number in range(50))
    lines = [rule.line for rule in parse_rules(text.replace("\n", "\r\n").encode(), "access.toml").rules]
    assert lines == [number for number, line in enumerate(text.splitlines(), 1) if line == "[[rule]]"]


def test_rules_without_effect_are_named() -> None:
    rules = (
        rule(users='["*"]', may='["read", "write"]', devices='["sr/*/*"]')
        + rule(users='["anna"]', may_not='["write"]', devices='["sr/*/*"]', attributes='["current"]')
        + rule(users='["anna"]', may='["execute"]', devices='["sr/*/*"]')
        + rule(anyone="true", may='["write"]', devices='["sr/*/*"]')
    )
    assert parse_rules(rules.encode(), "access.toml").warnings() == [
        "rule 2 (line 5) has no effect: rule 1 (line 1) matches first"
    ]


def test_globs_need_linear_time() -> None:
    rules = parse_rules(rule(attributes='["' + "*a" * 100 + '*b"]').encode(), "access.toml")
    began = time.perf_counter()
    rules.decide(ANNA, "", Target("write", "attribute", "a" * 255, "a/b/c", ("db:10000",)))
    assert time.perf_counter() - began < 1
