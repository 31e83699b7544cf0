"""The method `trusted-header`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp

from mtango_gevent import create_app
from mtango_gevent.config import Config, ConfigError

from .credentials import WHOAMI

NETWORKS = ("10.0.0.1", "192.168.0.0/16", "2001:db8::/32")


@pytest.fixture
def make(make_client: Callable[..., TestApp]) -> Callable[..., TestApp]:
    def make(**settings: Any) -> TestApp:
        client = make_client(auth=("trusted-header",), auth_header_from=NETWORKS, **settings)
        client.extra_environ["REMOTE_ADDR"] = "10.0.0.1"
        return client

    return make


@pytest.fixture
def client(make: Callable[..., TestApp]) -> TestApp:
    return make()


def test_user_and_groups_come_from_the_headers(client: TestApp) -> None:
    headers = {"X-Remote-User": "j\xc3\xbcrgen", "X-Remote-Groups": "operators, physicists,,"}
    answer = client.get(WHOAMI, headers=headers).json
    assert (answer["user"], answer["groups"]) == ("jürgen", ["operators", "physicists"])
    assert answer["method"] == "trusted-header"


def test_headers_have_the_names_of_the_settings(make: Callable[..., TestApp]) -> None:
    client = make(auth_header="Remote-User", auth_header_groups="Remote-Groups")
    answer = client.get(WHOAMI, headers={"Remote-User": "alice", "Remote-Groups": "a"}).json
    assert (answer["user"], answer["groups"]) == ("alice", ["a"])
    client.get(WHOAMI, headers={"X-Remote-User": "alice"}, status=401)


@pytest.mark.parametrize("peer", ["10.0.0.1", "192.168.3.4", "2001:db8::1", "::ffff:10.0.0.1"])
def test_header_of_a_listed_peer_counts(client: TestApp, peer: str) -> None:
    client.get(WHOAMI, headers={"X-Remote-User": "alice"}, extra_environ={"REMOTE_ADDR": peer}, status=200)


@pytest.mark.parametrize("peer", ["10.0.0.2", "192.169.0.1", "2001:db9::1", "::1", "", "unix:", "10.0.0.1, 10.0.0.2"])
def test_header_of_another_peer_is_refused(client: TestApp, peer: str) -> None:
    answer = client.get(WHOAMI, headers={"X-Remote-User": "a"}, extra_environ={"REMOTE_ADDR": peer}, status=401)
    assert "expected an address of MTANGO_AUTH_HEADER_FROM" in answer.text


def test_peer_is_that_of_the_connection_and_not_a_forwarded_one(make: Callable[..., TestApp]) -> None:
    client = make(trusted_proxies=1)
    headers = {"X-Remote-User": "alice", "X-Forwarded-For": "1.2.3.4"}
    answer = client.get(WHOAMI, headers=headers).json
    assert (answer["user"], answer["address"]) == ("alice", "1.2.3.4")
    forged = {"X-Remote-User": "alice", "X-Forwarded-For": "10.0.0.1"}
    client.get(WHOAMI, headers=forged, extra_environ={"REMOTE_ADDR": "10.0.0.2"}, status=401)


@pytest.mark.parametrize("user", ["alice,admin", "a\x07b", "x" * 256])
def test_impossible_user_is_refused(client: TestApp, user: str) -> None:
    client.get(WHOAMI, headers={"X-Remote-User": user}, status=401)


def test_client_without_the_header_is_401(client: TestApp) -> None:
    answer = client.get(WHOAMI, headers={"X-Remote-User": "", "X-Remote-Groups": "admins"}, status=401)
    assert answer.headers["WWW-Authenticate"] == 'Proxy realm="mtango-gevent"'


def test_start_fails_without_addresses() -> None:
    with pytest.raises(ConfigError, match=r"^MTANGO_AUTH_HEADER_FROM: expected the addresses"):
        create_app(Config(auth=("trusted-header",)))


@pytest.mark.parametrize("user", ["admin\xa0", "\xa0admin", "ad\x1fmin", "ad\x7fmin", "admin ", " admin"])
def test_name_with_blanks_around_it_or_control_characters_is_refused(client: TestApp, user: str) -> None:
    answer = client.get(WHOAMI, extra_environ={"HTTP_X_REMOTE_USER": user, "REMOTE_ADDR": "10.0.0.1"}, status=401)
    assert "without blanks around it" in answer.text


def test_user_without_a_header_of_groups_has_none(client: TestApp) -> None:
    client.get(WHOAMI, headers={"X-Remote-User": "alice", "X-Remote-Groups": "admins"})
    assert client.get(WHOAMI, headers={"X-Remote-User": "alice"}).json["groups"] == []
