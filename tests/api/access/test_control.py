"""The file of rules in an application: changes, faults, and decisions that it explains."""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from mtango_gevent import create_app
from mtango_gevent.config import Config, ConfigError
from tests.api.access.conftest import Gateway
from tests.conftest import DEMO_DEVICE
from tests.waiting import wait_until

RULES = """
[[rule]]
users = ["anna"]
groups = ["shift"]
may = ["write", "execute"]
devices = ["sys/tg_test/*"]

[[rule]]
networks = ["10.1.0.0/16"]
may_not = ["read"]
gateway = ["sys/stats"]
"""


def replace(gateway: Gateway, text: str) -> None:
    new = gateway.file.with_suffix(".new")
    new.write_text(text, "utf-8")
    os.replace(new, gateway.file)


def test_a_changed_file_is_in_force_without_a_restart(make_gateway: Callable[..., Gateway], demo_url: str) -> None:
    gateway = make_gateway(RULES)

    def status() -> int:
        return gateway.ask("PUT", f"{demo_url}/attributes/double_scalar/value", "anna", "1").status_int

    assert status() == 200
    replace(gateway, RULES.replace("anna", "ben"))
    wait_until(lambda: status() == 403, 6)
    replace(gateway, RULES)
    wait_until(lambda: status() == 200, 6)


@pytest.mark.slow
def test_a_broken_file_keeps_the_old_rules_and_says_so(
    make_gateway: Callable[..., Gateway], demo_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = make_gateway(RULES)

    def warnings() -> str:
        ready = gateway.ask("GET", "/readyz", "anna")
        assert ready.status_int == 200
        return " ".join(ready.json.get("warnings", []))

    assert "MTANGO_RULES" not in warnings()
    replace(gateway, RULES.replace('may = ["write"', 'may = ["fly"'))
    wait_until(lambda: "line 5: rule 1: may: expected a list of" in warnings(), 6)
    assert "the content from before stays in force" in caplog.text
    for _ in range(3):
        assert gateway.ask("PUT", f"{demo_url}/attributes/double_scalar/value", "anna", "1").status_int == 200
    os.remove(gateway.file)
    wait_until(lambda: "No such file" in warnings(), 6)
    assert gateway.ask("PUT", f"{demo_url}/attributes/double_scalar/value", "ben", "1").status_int == 403
    replace(gateway, RULES)
    wait_until(lambda: "MTANGO_RULES" not in warnings(), 6)


@pytest.mark.parametrize("text", ["", "[[rule]]\nmay = 3\n"])
def test_a_gateway_does_not_start_with_a_broken_file(tmp_path: os.PathLike[str], text: str) -> None:
    file = os.path.join(tmp_path, "access.toml")
    with open(file, "w") as output:
        output.write(text)
    with pytest.raises(ConfigError, match=r"MTANGO_RULES: cannot use .*access\.toml: .*expected"):
        create_app(Config(rules=file))
    with pytest.raises(ConfigError, match=r"MTANGO_RULES: cannot use .*nope"):
        create_app(Config(rules="/nope"))


@pytest.mark.parametrize(
    ("user", "query", "expected"),
    [
        ("anna", {"device": DEMO_DEVICE, "action": "write", "name": "ampli"}, ("write", True, 1, 2)),
        ("anna", {"device": DEMO_DEVICE, "action": "execute", "name": "DevDouble"}, ("execute", True, 1, 2)),
        ("anna", {"device": DEMO_DEVICE, "action": "execute", "name": "State"}, ("read", True, 0, 0)),
        (
            "anna",
            {"device": "sys/database/2", "action": "execute", "name": "DbPutProperty"},
            ("configure", False, 0, 0),
        ),
        ("ben", {"device": DEMO_DEVICE, "action": "write", "name": "ampli"}, ("write", False, 0, 0)),
        ("", {"device": DEMO_DEVICE, "action": "read"}, ("read", True, 0, 0)),
        ("", {"device": DEMO_DEVICE, "action": "read", "name": "p", "kind": "property"}, ("read", True, 0, 0)),
        ("anna", {"action": "administer", "name": "metrics"}, ("administer", False, 0, 0)),
    ],
)
def test_whoami_explains_a_decision(
    make_gateway: Callable[..., Gateway],
    tango_system: object,
    user: str,
    query: dict[str, str],
    expected: tuple[str, bool, int, int],
) -> None:
    gateway = make_gateway(RULES)
    answer = gateway.ask("GET", f"/tango/rest/sys/whoami?{urlencode(query)}", user).json
    assert (answer["action"], answer["allowed"], answer["rule"], answer["line"]) == expected
    assert answer["reason"]
    assert gateway.calls == 0


@pytest.mark.parametrize(
    "query",
    [
        "action=fly",
        "action=read&kind=x",
        "action=read&device=a/b",
        "action=read&device=a/b/c%23dbase%3Dno",
        "action=read&device=a/b/c&kind=gateway",
        "action=read&kind=attribute&name=x",
        "action=read&action=write",
        "action=read&device=a/b/c&tango_host=nope",
    ],
)
def test_whoami_refuses_impossible_questions(
    make_gateway: Callable[..., Gateway], tango_system: object, query: str
) -> None:
    answer = make_gateway(RULES).ask("GET", f"/tango/rest/sys/whoami?{query}")
    assert answer.status_int == 400
    assert "expected" in answer.json["errors"][0]["description"]


def test_networks_are_those_of_the_client_behind_trusted_proxies(
    make_gateway: Callable[..., Gateway], tango_system: object
) -> None:
    url = "/tango/rest/sys/stats"
    behind = make_gateway(RULES, auth=(), trusted_proxies=1)
    direct = make_gateway(RULES, auth=())
    inside, outside = {"X_Forwarded_For": "10.1.2.3"}, {"X_Forwarded_For": "10.1.2.3, 192.0.2.1"}
    assert [behind.ask("GET", url, **headers).status_int for headers in (inside, outside)] == [403, 200]
    assert direct.ask("GET", url, **inside).status_int == 200


def test_a_denied_anonymous_client_learns_how_to_authenticate(
    make_gateway: Callable[..., Gateway], demo_url: str
) -> None:
    url = f"{demo_url}/attributes/ampli/value"
    answer = make_gateway(RULES).ask("PUT", url, body="1")
    assert (answer.status_int, answer.json["errors"][0]["reason"]) == (401, "MTANGO_Unauthorized")
    assert answer.headers["WWW-Authenticate"]
    without = make_gateway(RULES, auth=()).ask("PUT", url, body="1")
    assert (without.status_int, without.json["errors"][0]["reason"]) == (403, "MTANGO_Forbidden")


def test_without_rules_users_may_do_everything_and_others_nothing(
    make_gateway: Callable[..., Gateway], demo_url: str
) -> None:
    gateway = make_gateway("")
    for path in ("attributes/ampli/value", "attributes/value?attr=ampli", "state", "attributes/value", "properties"):
        assert gateway.ask("GET", f"{demo_url}/{path}").status_int == 401
        assert gateway.ask("HEAD", f"{demo_url}/{path}").status_int == 401
    assert gateway.calls == 0
    assert gateway.ask("PUT", f"{demo_url}/attributes/ampli/value", "anna", "0").status_int == 200
    assert gateway.ask("GET", "/metrics", "anna").status_int == 200
    assert [gateway.ask("GET", path).status_int for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 401]
    assert gateway.ask("OPTIONS", f"{demo_url}/attributes/ampli/value").status_int == 200


def test_whoami_takes_no_name_that_a_request_may_not_have(make_gateway: Callable[..., Gateway]) -> None:
    query = {"device": f"{DEMO_DEVICE} ", "action": "write", "name": "ampli"}
    answer = make_gateway("", auth=("trusted-header",)).ask("GET", f"/tango/rest/sys/whoami?{urlencode(query)}", "ann")
    assert answer.json["errors"][0]["reason"] == "DB_DeviceNotDefined"


def test_whoami_asks_no_tango_for_an_anonymous_client(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway('[[rule]]\nanyone = true\nmay = ["write"]\n', tango_access_control=True)
    query = urlencode({"device": DEMO_DEVICE, "action": "write", "name": "ampli"})
    assert gateway.ask("GET", f"/tango/rest/sys/whoami?{query}").json["allowed"]
    assert gateway.calls == 0
