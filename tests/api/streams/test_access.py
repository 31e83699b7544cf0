"""Who may make and follow a subscription: owners, rules, cookies and tokens, pages of other origins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import orjson
import pytest
from webtest import TestApp

from mtango_gevent.api import subscription_store
from mtango_gevent.api.access import TOKEN_LIFETIME, stream_tokens
from mtango_gevent.api.streams import event_stream
from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from tests.api.access.conftest import PROXY
from tests.api.streams.conftest import SUBSCRIPTIONS, Streams
from tests.api.streams.sse import EventSource
from tests.conftest import DEMO_DEVICE, SENDER_DEVICE
from tests.redis_server import disconnect, redis_server
from tests.waiting import wait_until

RULES = f"""
[[rule]]
users = ["anna"]
may = ["read"]
devices = ["{SENDER_DEVICE}"]

[[rule]]
users = ["anna", "ben"]
may_not = ["read"]
devices = ["*"]

[[rule]]
users = ["carl"]
may = ["read", "administer"]
gateway = ["sys/streams"]
"""

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


class Users:
    """An application with rules whose users are named by a proxy."""

    def __init__(self, streams: Streams, rules: Path) -> None:
        self.streams, self.rules = streams, rules
        self.streams.client.extra_environ["REMOTE_ADDR"] = PROXY

    def ask(self, method: str, user: str, path: str = "", targets: Any = None, **headers: str) -> Any:
        """Make a request without the cookies of others."""
        client = TestApp(self.streams.client.app, extra_environ={"REMOTE_ADDR": PROXY})
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        named |= {"X-Remote-User": user} if user else {}
        options: dict[str, Any] = {} if targets is None else {"body": orjson.dumps(targets)}
        return client.request(SUBSCRIPTIONS + path, method=method, headers=named, status="*", **options)

    def handshake(self, query: str = "", **headers: str) -> Any:
        """Ask for a WebSocket, which a server without a hub answers with 501 at best."""
        client = TestApp(self.streams.client.app, extra_environ={"REMOTE_ADDR": PROXY, "SERVER_PROTOCOL": "HTTP/1.1"})
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return client.get(f"/tango/stream{query}", headers={**HANDSHAKE, **named}, status="*")

    def follow(self, path: str, **headers: str) -> EventSource:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        source = EventSource(self.streams.client.app, SUBSCRIPTIONS + path, named)
        self.streams._open.append(source)
        return source


@pytest.fixture
def users(make_streams: Callable[..., Streams], tmp_path: Path, sender: str) -> Iterator[Users]:
    rules = tmp_path / "access.toml"
    rules.write_text(RULES, "utf-8")
    settings: dict[str, Any] = {"auth": ("trusted-header",), "auth_header_from": (PROXY, "127.0.0.1")}
    return Users(make_streams(rules=str(rules), **settings), rules)


def test_subscription_belongs_to_its_user(users: Users) -> None:
    target = users.streams.target("sent0")
    made = users.ask("POST", "anna", targets=[target]).json
    path = f"/{made['id']}"
    assert users.ask("GET", "anna", path).json["events"] == made["events"]
    for user in ("ben", ""):
        for method in ("GET", "PUT", "DELETE"):
            targets = [] if method == "PUT" else None
            assert users.ask(method, user, path, targets).status_int == 404, (user, method)
        assert users.ask("GET", user, f"{path}/event-stream").status_int == 404
    assert users.ask("DELETE", "anna", path).status_int == 204


def test_targets_that_the_user_may_not_read_are_failures(users: Users) -> None:
    allowed, other = users.streams.target("sent0"), users.streams.target("double_scalar", DEMO_DEVICE)
    made = users.ask("POST", "anna", targets=[allowed, other]).json
    assert [event["target"] for event in made["events"]] == [allowed]
    assert made["failures"][0]["errors"][0]["reason"] == "MTANGO_Forbidden"
    assert users.ask("PUT", "anna", f"/{made['id']}", [other]).status_int == 403


def test_user_of_the_header_follows_without_a_token(users: Users) -> None:
    made = users.ask("POST", "anna", targets=[users.streams.target("sent0")]).json
    assert users.follow(f"/{made['id']}/event-stream", X_Remote_User="anna").next().value == 0


def test_token_and_cookie_open_streams_of_their_user_only(users: Users) -> None:
    answer = users.ask("POST", "anna", targets=[users.streams.target("sent0")])
    path = f"/{answer.json['id']}/event-stream"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly; Path=/tango/subscriptions; SameSite=Lax" in cookie
    assert f"Max-Age={TOKEN_LIFETIME}" in cookie
    pair = cookie.partition(";")[0]
    assert pair == f"mtango_stream={answer.json['token']}"
    assert users.follow(path, Cookie=pair).next().value == 0
    assert users.follow(f"{path}?token={answer.json['token']}").next().value == 0
    of_ben = users.ask("POST", "ben", targets=[])
    assert users.ask("GET", "", path, Cookie=of_ben.headers["Set-Cookie"].partition(";")[0]).status_int == 404
    assert users.ask("GET", "", f"{path}?token={of_ben.json['token']}").status_int == 404
    assert users.ask("GET", "", f"{path}?token=wrong").status_int == 401
    assert users.ask("GET", "", path, Cookie="mtango_stream=wrong").status_int == 404


def test_cookie_and_token_are_good_for_nothing_else(users: Users) -> None:
    answer = users.ask("POST", "anna", targets=[])
    path, pair = f"/{answer.json['id']}", answer.headers["Set-Cookie"].partition(";")[0]
    for query in ("", f"?token={answer.json['token']}"):
        for method in ("GET", "PUT", "DELETE"):
            targets = [] if method == "PUT" else None
            assert users.ask(method, "", path + query, targets, Cookie=pair).status_int == 404, method
    assert users.ask("POST", "", "", [], Cookie=pair).json.keys() == {"id", "events", "failures"}


def test_token_of_an_event_stream_opens_no_websocket(users: Users) -> None:
    token = users.ask("POST", "anna", targets=[]).json["token"]
    assert users.handshake(f"?token={token}").status_int == 401
    assert users.handshake(Sec_WebSocket_Protocol=f"mtango.v1, mtango.token.{token}").status_int == 401


def test_credentials_go_before_a_cookie(users: Users) -> None:
    made, of_ben = users.ask("POST", "anna", targets=[]), users.ask("POST", "ben", targets=[])
    path, pair = f"/{made.json['id']}/event-stream", of_ben.headers["Set-Cookie"].partition(";")[0]
    assert users.ask("HEAD", "anna", path, Cookie=pair).status_int == 200
    assert users.ask("HEAD", "", path, Cookie=pair).status_int == 404


def test_secret_stays_while_redis_is_away_and_is_shared_again_after_its_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_store, "_SECRET_VALID", 0.0)
    with redis_server(tmp_path) as server:
        config = Config(store=server.url)
        one, two = (subscription_store.SubscriptionStore(config, TangoClient(config)) for _ in range(2))
        first = one.secret()
        assert two.secret() == first
        server.stop()
        assert (one.secret(), two.secret()) == (first, first)
        server.start()
        again = two.secret()
        assert again != first
        assert one.secret() == again
        for each in (one, two):
            disconnect(each._store)


def test_cookie_for_a_page_of_another_origin(make_streams: Callable[..., Streams], sender: str) -> None:
    settings: dict[str, Any] = {"auth": ("trusted-header",), "auth_header_from": (PROXY,)}
    streams = make_streams(cors_origins=("https://panels.example",), **settings)
    users = Users(streams, Path())
    foreign = users.ask("POST", "anna", targets=[], Origin="https://panels.example")
    assert "SameSite=Lax" in foreign.headers["Set-Cookie"]
    client = TestApp(streams.client.app, extra_environ={"REMOTE_ADDR": PROXY, "wsgi.url_scheme": "https"})
    headers = {"X-Remote-User": "anna", "Origin": "https://panels.example"}
    secure = client.post_json(SUBSCRIPTIONS, [], headers=headers)
    assert "Secure; HttpOnly; Path=/tango/subscriptions; SameSite=None" in secure.headers["Set-Cookie"]
    assert secure.headers["Access-Control-Allow-Credentials"] == "true"
    pair = secure.headers["Set-Cookie"].partition(";")[0]
    path = f"/{secure.json['id']}/event-stream"
    for origin in ("https://evil.example", "null"):
        refused = users.ask("GET", "", path, Origin=origin, Cookie=pair)
        assert (refused.status_int, refused.json["errors"][0]["reason"]) == (403, "MTANGO_CrossSite")
        assert users.ask("POST", "anna", "", [], Origin=origin).status_int == 403
    assert users.ask("GET", "", path).status_int == 401
    wait_until(lambda: users.follow(path, Origin="https://panels.example", Cookie=pair).text)


def test_streams_of_others_are_shown_to_their_administrator_only(users: Users) -> None:
    streams = users.streams.client.app.extensions["mtango"].client.streams
    owners = [("anna", "10.0.0.1"), ("", PROXY), ("", "10.0.0.2"), ("ben", PROXY)]
    opened = [streams.open("sse", *owner) for owner in owners]

    def shown(user: str) -> list[tuple[str, str]]:
        headers = {"X-Remote-User": user} if user else {}
        client, url = users.streams.client, "/tango/rest/sys/streams"
        rows = client.get(url, headers=headers, extra_environ={"REMOTE_ADDR": PROXY})
        return [(row["user"] or "", row["address"]) for row in rows.json]

    assert sorted(shown("carl")) == sorted(owners)
    assert shown("anna") == owners[:1]
    assert shown("") == owners[1:2]
    assert shown("dora") == []
    for stream in opened:
        stream.close()


def test_anonymous_client_has_no_token(streams: Streams) -> None:
    answer = streams.client.post(SUBSCRIPTIONS, "[]")
    assert "Set-Cookie" not in answer.headers
    assert "token" not in answer.json


@pytest.mark.slow
def test_rule_that_changes_ends_a_feed_and_begins_it_again(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_CHECK_EVERY", 0.2)
    answer = users.ask("POST", "anna", targets=[users.streams.target("sent0")])
    source = users.follow(f"/{answer.json['id']}/event-stream?token={answer.json['token']}")
    assert source.next().value == 0
    users.rules.write_text(RULES.replace('users = ["anna"]', 'users = ["carl"]'), "utf-8")
    message = source.next(30)
    assert message.error is not None
    assert message.error.startswith("MTANGO_Forbidden: ")
    time.sleep(1.0)
    assert source.messages.empty()
    users.rules.write_text(RULES, "utf-8")
    assert source.next(30).value == 0


@pytest.mark.slow
def test_stream_ends_with_the_time_of_its_token(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_CHECK_EVERY", 0.2)
    monkeypatch.setattr(stream_tokens, "LIFETIME", 1)
    answer = users.ask("POST", "anna", targets=[users.streams.target("sent0")])
    path, token = f"/{answer.json['id']}/event-stream", answer.json["token"]
    of_query, of_cookie = users.follow(f"{path}?token={token}"), users.follow(path, Cookie=f"mtango_stream={token}")
    for source in (of_query, of_cookie):
        assert source.ended.wait(20)
        assert "has expired" in source.text
    assert users.ask("GET", "", f"{path}?token={token}").status_int == 401


def test_stream_ends_when_its_credentials_are_not_valid_any_more(
    make_streams: Callable[..., Streams], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sender: str
) -> None:
    monkeypatch.setattr(event_stream, "_CHECK_EVERY", 0.2)
    passwords = tmp_path / "htpasswd"
    passwords.write_text(f"anna:{bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}\n", "utf-8")
    streams = make_streams(auth=("basic",), auth_basic_file=str(passwords))
    credentials = "Basic YW5uYTpyaWdodA=="
    assert streams.client.post(SUBSCRIPTIONS, "[]", status=401)
    made = streams.create(streams.target("sent0"), headers={"Authorization": credentials})
    source = streams.follow(made["id"], Authorization=credentials)
    assert source.next().value == 0
    passwords.write_text("", "utf-8")
    assert source.ended.wait(30)
    assert "data" not in source.text.rpartition(":")[2]
