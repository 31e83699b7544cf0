"""Several methods at once, and none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from webtest import TestApp

from mtango_gevent import create_app
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.errors import ApiError, Unauthorized
from tests.hub_thread import in_hub_thread

from .credentials import WHOAMI, basic, new_key, write_passwords

CHALLENGES = {
    "basic": 'Basic realm="mtango-gevent", charset="UTF-8"',
    "key": 'Bearer realm="mtango-gevent"',
    "trusted-header": 'Proxy realm="mtango-gevent"',
}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    new_key(tmp_path / "keys", "script")
    return {
        "auth_basic_file": write_passwords(tmp_path / "htpasswd", alice="secret"),
        "auth_key_file": str(tmp_path / "keys"),
        "auth_header_from": ("10.0.0.1",),
    }


@pytest.mark.slow
def test_without_authentication_a_client_is_anonymous_whatever_it_sends(client: TestApp) -> None:
    for headers in ({}, basic("undefined", "undefined"), {"X-API-Key": "x"}, {"X-Remote-User": "admin"}):
        answer = client.get(WHOAMI, headers=headers).json
        assert (answer["user"], answer["anonymous"], answer["method"]) == (None, True, "none")
    assert client.get("/tango/rest/rc3").json["x-auth-method"] == "none"


@pytest.mark.parametrize(
    "auth", [("basic", "key"), ("key", "basic", "trusted-header"), ("trusted-header", "basic")], ids=",".join
)
def test_refusal_has_the_challenges_of_all_methods(
    make_client: Callable[..., TestApp], settings: dict[str, Any], auth: tuple[str, ...]
) -> None:
    client = make_client(auth=auth, **settings)
    for headers in ({}, basic("alice", "wrong")):
        answer = client.get(WHOAMI, headers=headers, status=401)
        assert answer.headers.getall("WWW-Authenticate") == [CHALLENGES[name] for name in auth]
    assert client.get("/tango/rest/rc3", headers=basic("alice", "secret")).json["x-auth-method"] == ", ".join(auth)


def test_first_method_with_credentials_of_its_kind_decides(
    make_client: Callable[..., TestApp], settings: dict[str, Any]
) -> None:
    client = make_client(auth=("trusted-header", "key", "basic"), **settings)
    client.extra_environ["REMOTE_ADDR"] = "10.0.0.1"
    both = {**basic("alice", "wrong"), "X-Remote-User": "bob"}
    assert client.get(WHOAMI, headers=both).json["user"] == "bob"
    client.get(WHOAMI, headers={**basic("alice", "secret"), "X-API-Key": "wrong"}, status=401)


def test_anonymous_client_is_shown_where_rules_decide(
    make_client: Callable[..., TestApp], settings: dict[str, Any], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nanyone = true\nmay_not = ["read"]\n', "utf-8")
    client = make_client(auth=("basic",), rules=str(rules), **settings)
    assert client.get(WHOAMI).json["anonymous"] is True
    client.get(WHOAMI, headers=basic("alice", "wrong"), status=401)


@in_hub_thread
def test_requests_that_share_a_refusal_have_their_own_headers(settings: dict[str, Any]) -> None:
    access = create_app(Config(auth=("basic", "key"), **settings)).extensions["mtango"].access
    basics = access.authentication._methods[0]

    class Busy:
        def call(self, *_: Any) -> bool:
            gevent.sleep(0.1)
            raise Unauthorized("wrong", {"WWW-Authenticate": "Basic of the method"})

    basics._threads = Busy()
    caught: list[ApiError] = []

    def ask() -> None:
        with pytest.raises(ApiError) as refusal:
            access.authenticate({"HTTP_AUTHORIZATION": basic("alice", "x")["Authorization"], "REMOTE_ADDR": "10.0.0.1"})
        caught.append(refusal.value)

    gevent.joinall([gevent.spawn(ask) for _ in range(3)])
    expected = ["Basic of the method", 'Bearer realm="mtango-gevent"']
    assert [refusal.headers["WWW-Authenticate"] for refusal in caught] == [expected] * 3
    assert len({id(refusal) for refusal in caught}) == 3


def test_whoami_is_not_stored(client: TestApp) -> None:
    assert client.get(WHOAMI).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        ("basic", "MTANGO_AUTH_BASIC_FILE: expected the htpasswd file of `basic`, got none"),
        ("key", "MTANGO_AUTH_KEY_FILE: expected the file of the API keys of `key`, got none"),
        ("trusted-header", "MTANGO_AUTH_HEADER_FROM: expected the addresses of the proxies of `trusted-header`"),
    ],
)
def test_start_fails_without_the_settings_of_a_method(auth: str, problem: str) -> None:
    with pytest.raises(ConfigError) as failure:
        create_app(Config(auth=(auth,)))
    assert str(failure.value) == problem


def test_start_fails_without_the_library_of_a_method(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    with pytest.raises(ConfigError, match=r"^MTANGO_AUTH: `basic` needs bcrypt: pip install 'mtango-gevent\[auth\]'$"):
        create_app(Config(auth=("basic",), **settings))


def test_shared_caches_do_not_keep_values_of_users(
    make_client: Callable[..., TestApp], settings: dict[str, Any], demo_url: str
) -> None:
    client = make_client(auth=("basic",), value_max_age=60, metadata_max_age=60, **settings)
    for url in (f"{demo_url}/attributes/ampli/value", demo_url):
        control = client.get(url, headers=basic("alice", "secret")).headers["Cache-Control"]
        assert control.startswith("private, max-age="), url
