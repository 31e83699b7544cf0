"""The login of the operator's page: the ways, and the exchange of codes at a provider."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from webtest import TestApp, TestResponse

from mtango_gevent import create_app
from mtango_gevent.api.access.attempts import FREE_OF_ADDRESS
from mtango_gevent.config import Config, ConfigError
from tests.oidc_provider import AUDIENCE, CLIENT, Provider, oidc_provider, segment
from tests.waiting import wait_until

from .conftest import DENY_ALL, Gateway

LOGIN = "/tango/rest/sys/login"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with oidc_provider() as provider:
        yield provider


@pytest.fixture
def client(make_client: Callable[..., TestApp], provider: Provider) -> TestApp:
    client = make_client(**settings(provider))
    client.extra_environ["REMOTE_ADDR"] = "10.0.0.1"
    return client


def settings(provider: Provider, **others: Any) -> dict[str, Any]:
    of_bearer = {"auth": ("bearer",), "jwt_issuer": provider.issuer, "jwt_audience": AUDIENCE}
    return {**of_bearer, "oidc_client_id": CLIENT, **others}


def new_code(provider: Provider) -> str:
    """Log in at the provider as a page does, and return the code."""
    challenge = segment(hashlib.sha256(VERIFIER.encode()).digest())
    asked = {"response_type": "code", "client_id": CLIENT, "redirect_uri": "http://localhost/", "state": "s"}
    url = provider.authorize({**asked, "code_challenge": challenge, "code_challenge_method": "S256"})
    return dict(parse_qsl(urlsplit(url).query))["code"]


def exchange(client: TestApp, code: str, **others: str) -> TestResponse:
    sent = {"code": code, "verifier": VERIFIER, "redirect_uri": "http://localhost/", **others}
    return client.post_json(f"{LOGIN}/token", sent, expect_errors=True)


def refused(answer: TestResponse) -> tuple[int, str, str]:
    (error,) = answer.json["errors"]
    return answer.status_int, error["reason"], error["description"]


# --- the ways ---


def test_open_gateway_has_no_ways(make_client: Callable[..., TestApp]) -> None:
    expected = {"methods": [], "anonymous": True, "read_only": False, "open": True, "oidc": None}
    assert make_client().get(LOGIN).json == expected
    assert make_client(read_only=True).get(LOGIN).json == {**expected, "read_only": True, "open": False}


def test_ways_and_what_anonymous_clients_may_do(make_gateway: Callable[..., Gateway]) -> None:
    closed = make_gateway(DENY_ALL).ask("GET", LOGIN).json
    assert closed == {
        "methods": ["trusted-header"], "anonymous": False, "read_only": False, "open": False, "oidc": None
    }  # fmt: skip
    readable = make_gateway('[[rule]]\nusers = ["anna"]\nmay = ["write"]\n').ask("GET", LOGIN).json
    assert (readable["anonymous"], readable["open"]) == (True, False)
    assert make_gateway("").ask("GET", LOGIN).json["anonymous"] is False


def test_provider_is_described_when_it_has_answered(client: TestApp, provider: Provider) -> None:
    first = client.get(LOGIN).json["oidc"]
    assert (first["client_id"], first["scope"]) == (CLIENT, "openid")
    known = wait_until(lambda: (found := client.get(LOGIN).json["oidc"])["authorization_endpoint"] and found)
    assert known["authorization_endpoint"] == f"{provider.issuer}/auth"
    assert known["end_session_endpoint"] == f"{provider.issuer}/logout"
    assert known["problem"] == ""


def test_provider_that_is_away_or_slow_holds_no_request_up(
    client: TestApp, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.delay = 2.0
    assert client.get(LOGIN).json["oidc"]["authorization_endpoint"] is None
    provider.stop()
    problem = wait_until(lambda: client.get(LOGIN).json["oidc"]["problem"])
    assert problem == "the provider of the login cannot be asked, see the log of the gateway"
    assert caplog.text.count(f"cannot fetch the configuration of {provider.issuer}: ") == 1


def test_page_is_sent_to_no_url_that_is_a_script(client: TestApp, provider: Provider) -> None:
    path = "/realms/test/.well-known/openid-configuration"
    document = provider.document(path) | {"authorization_endpoint": "javascript:alert(1)", "end_session_endpoint": 7}
    provider.document = lambda _: document  # type: ignore[method-assign]
    client.get(LOGIN)
    wait_until(lambda: path in provider.asked)
    found = client.get(LOGIN).json["oidc"]
    assert (found["authorization_endpoint"], found["end_session_endpoint"]) == (None, None)


@pytest.mark.parametrize(
    "others", [{"auth": ()}, {"auth": ("bearer",), "jwt_issuer": "", "jwt_keys": "https://sso.example.org/certs"}]
)
def test_client_id_needs_an_issuer(provider: Provider, others: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="MTANGO_OIDC_CLIENT_ID: expected `bearer`"):
        create_app(Config(**settings(provider, **others)))


# --- the exchange ---


def test_code_becomes_a_token_that_names_the_user(client: TestApp, provider: Provider) -> None:
    answer = exchange(client, new_code(provider))
    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.json
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600.0)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert client.get("/tango/rest/sys/whoami", headers=bearer).json["user"] == "ada"
    renewed = client.post_json(f"{LOGIN}/token", {"refresh_token": tokens["refresh_token"]}).json
    assert set(renewed) == {"access_token", "refresh_token", "expires_in", "token_type"}


def test_code_is_good_once_and_with_its_verifier(client: TestApp, provider: Provider) -> None:
    code = new_code(provider)
    assert exchange(client, code).status_int == 200
    text = "the provider refuses the login: invalid_grant: Code not valid"
    assert refused(exchange(client, code)) == (400, "MTANGO_LoginRefused", text)
    assert refused(exchange(client, new_code(provider), verifier="another"))[0] == 400


def test_refused_refresh_token_says_so(client: TestApp) -> None:
    answer = client.post_json(f"{LOGIN}/token", {"refresh_token": "old"}, expect_errors=True)
    assert refused(answer) == (400, "MTANGO_LoginRefused", "the provider refuses the login: invalid_grant")


def test_provider_that_repeats_a_secret_is_not_quoted(client: TestApp, provider: Provider) -> None:
    provider.answers["/realms/test/token"] = (400, {}, b'{"error": "bad", "error_description": "no code c0de\\u001b"}')
    assert refused(exchange(client, "c0de"))[2] == "the provider refuses the login: bad: no code ***\\x1b"


@pytest.mark.parametrize(
    "page",
    ["http://elsewhere.example/", "http://localhost/other", "http://localhost", "http://localhost:81/", "x", "//", "/"],
)
def test_redirect_uri_is_the_gateways_own_page(client: TestApp, provider: Provider, page: str) -> None:
    status, _, text = refused(exchange(client, new_code(provider), redirect_uri=page))
    assert (status, "redirect_uri: expected the URL of the gateway's page" in text) == (400, True)
    assert "/realms/test/token" not in provider.asked


def test_redirect_uri_has_the_root_of_the_gateway_as_a_browser_writes_it(client: TestApp, provider: Provider) -> None:
    client.extra_environ["SCRIPT_NAME"] = '/ä b"'.encode().decode("latin-1")
    _, reason, text = refused(exchange(client, "x", redirect_uri="http://localhost/%C3%A4%20b%22/"))
    assert (reason, "Code not valid" in text) == ("MTANGO_LoginRefused", True)
    _, reason, _ = refused(exchange(client, "x", redirect_uri="http://localhost/%C3%A4/"))
    assert reason == "MTANGO_BadRequest"


def test_public_origin_of_the_gateway_is_its_own_page(make_client: Callable[..., TestApp], provider: Provider) -> None:
    client = make_client(**settings(provider, cors_origins=("https://tango.example.org",)))
    status, _, text = refused(exchange(client, "x", redirect_uri="https://tango.example.org/"))
    assert (status, "Code not valid" in text) == (400, True)


@pytest.mark.parametrize("body", ["", "[]", "{", "{}", '{"code": 1}', '{"code": "x"}', '{"refresh_token": ""}', "7"])
def test_other_bodies_are_refused(client: TestApp, provider: Provider, body: str) -> None:
    answer = client.post(f"{LOGIN}/token", body, content_type="application/json", expect_errors=True)
    assert refused(answer)[:2] == (400, "MTANGO_BadRequest")
    assert provider.asked == []


def test_long_texts_are_refused_and_not_repeated(client: TestApp) -> None:
    answer = client.post_json(f"{LOGIN}/token", {"refresh_token": "x" * 8191}, expect_errors=True)
    assert refused(answer) == (400, "MTANGO_BadRequest", "expected texts of at most 8190 characters")


def test_page_of_another_origin_is_refused(client: TestApp, provider: Provider) -> None:
    origin = {"Origin": "https://evil.example"}
    answer = client.post_json(f"{LOGIN}/token", {"refresh_token": "x"}, headers=origin, expect_errors=True)
    assert refused(answer)[:2] == (403, "MTANGO_CrossSite")
    assert client.get(LOGIN, headers=origin, expect_errors=True).status_int == 403
    assert "/realms/test/token" not in provider.asked


def test_refusals_have_growing_delays(client: TestApp, provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(FREE_OF_ADDRESS):
        assert exchange(client, "x").status_int == 400
    answer = exchange(client, new_code(provider))
    text = "too many refused logins of this address: wait for 1 s"
    assert refused(answer) == (429, "MTANGO_TooManyAttempts", text)
    assert answer.headers["Retry-After"] == "1"
    assert caplog.messages[-1] == "too many refused logins from 10.0.0.1"


def test_login_forgets_the_refusals_of_others_at_the_address(client: TestApp, provider: Provider) -> None:
    for _ in range(3):
        for _ in range(FREE_OF_ADDRESS - 1):
            assert exchange(client, "x").status_int == 400
        assert exchange(client, new_code(provider)).status_int == 200


TOKEN = "/realms/test/token"


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"{}"),
        (502, {}, b"<html>"),
        (200, {}, b"{}"),
        (200, {}, b"[]"),
        (200, {}, b"x" * (300 << 10)),
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
        (429, {}, b'{"error": "slow_down"}'),
    ],
)
def test_provider_that_does_not_answer_is_503(client: TestApp, provider: Provider, answer: Any) -> None:
    provider.answers[TOKEN] = answer
    for _ in range(5):  # no fault of the client's
        status, reason, _ = refused(exchange(client, new_code(provider)))
        assert (status, reason) == (503, "MTANGO_LoginUnavailable")
    del provider.answers[TOKEN]
    assert exchange(client, new_code(provider)).status_int == 200


def test_provider_that_is_away_is_503_and_comes_back(client: TestApp, provider: Provider) -> None:
    provider.stop()
    answer = exchange(client, "x")
    assert refused(answer)[:2] == (503, "MTANGO_LoginUnavailable")
    assert answer.headers["Retry-After"] == "1"
    provider.start()
    assert exchange(client, new_code(provider)).status_int == 200


def test_slow_provider_holds_no_other_request_up(client: TestApp, provider: Provider) -> None:
    client.get(LOGIN)
    wait_until(lambda: client.get(LOGIN).json["oidc"]["authorization_endpoint"])
    provider.delay, code, answers = 2.0, new_code(provider), list[TestResponse]()
    asking = threading.Thread(target=lambda: answers.append(exchange(client, code)))
    asking.start()
    wait_until(lambda: TOKEN in provider.asked)
    assert client.get(LOGIN).status_int == 200
    assert not answers
    asking.join()
    assert answers[0].status_int == 200


def test_neither_codes_nor_tokens_are_logged(
    client: TestApp, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = new_code(provider)
    tokens = exchange(client, code).json
    secrets = [code, VERIFIER, tokens["access_token"], tokens["refresh_token"]]
    client.post_json(f"{LOGIN}/token", {"refresh_token": secrets[-1]})
    provider.stop()
    exchange(client, code)
    failures = client.app.extensions["mtango"].failed_requests.read()
    assert [row["reason"] for row in failures] == ["MTANGO_LoginUnavailable"]
    for secret in secrets:
        assert secret not in caplog.text
        assert base64.b64encode(secret.encode()).decode() not in caplog.text
        assert secret not in str(failures)
