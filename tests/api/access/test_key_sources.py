"""The keys of `bearer`: files, JWKS URLs and OIDC discovery; a provider that is slow, away, or answers nonsense."""

from __future__ import annotations

import datetime
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import jwt
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask
from gevent import monkey

from mtango_gevent import create_app
from mtango_gevent.api.access import Identity
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.errors import ApiError
from tests.hub_thread import in_hub_thread
from tests.oidc_provider import AUDIENCE, Provider, jwk, new_key, oidc_provider, pem
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

SOURCES = "mtango_gevent.api.access.key_sources"
CERTS = "/realms/test/certs"
DISCOVERY = "/realms/test/.well-known/openid-configuration"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with oidc_provider() as provider:
        yield provider


def make_app(provider: Provider, **settings: Any) -> Flask:
    given = {"jwt_issuer": provider.issuer, "jwt_audience": AUDIENCE, **settings}
    return create_app(Config(auth=("bearer",), **given))


def user_of(app: Flask, token: str) -> Identity:
    return app.extensions["mtango"].access.authenticate({"HTTP_AUTHORIZATION": f"Bearer {token}"})


def refusal_of(app: Flask, token: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        user_of(app, token)
    return caught.value


def wait_for_refusal(app: Flask, token: str) -> ApiError:
    """Wait until a token is refused that was right a moment ago; returns why."""

    def refusal() -> ApiError | None:
        try:
            user_of(app, token)
        except ApiError as refusal:
            return refusal
        return None

    found = wait_until(refusal, 3 * 2)
    assert found is not None
    return found


def problems_of(app: Flask) -> list[str]:
    return [problem.text for problem in app.extensions["mtango"].access.problems()]


# --- settings ---


def config_error(**settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        create_app(Config(auth=("bearer",), **{"jwt_audience": AUDIENCE, **settings}))
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_settings_without_audience_or_keys_are_refused() -> None:
    assert "MTANGO_JWT_AUDIENCE" in config_error(jwt_audience="", jwt_issuer="https://login.example.org")
    text = config_error()
    assert "MTANGO_JWT_ISSUER" in text
    assert "MTANGO_JWT_KEYS" in text


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.org",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org/",
        "http://10.0.0.1:8080/realms/test",
        "ftp://login.example.org/keys",
        "file:///etc/passwd",
        "https://",
        "https://user:password@login.example.org",
        "https://login.example.org/?realm=test",
        "https://[::1",
    ],
)
def test_url_that_is_not_safe_is_refused(url: str) -> None:
    assert config_error(jwt_issuer=url).startswith("MTANGO_JWT_ISSUER")
    assert config_error(jwt_keys=url).startswith("MTANGO_JWT_KEYS")


@pytest.mark.parametrize("url", ["https://login.example.org/tenant/v2.0", "http://localhost:1", "http://[::1]:1/realm"])
def test_safe_url_is_accepted_without_a_request(url: str) -> None:
    create_app(Config(auth=("bearer",), jwt_issuer=url, jwt_audience=AUDIENCE))


def test_missing_extra_is_named() -> None:
    program = "import sys; sys.modules['jwt'] = None; import mtango_gevent; mtango_gevent.create_app()"
    settings = {"MTANGO_AUTH": "bearer", "MTANGO_JWT_ISSUER": "https://login.example.org", "MTANGO_JWT_AUDIENCE": "a"}
    ended = subprocess.run([sys.executable, "-c", program], env=os.environ | settings, capture_output=True, text=True)
    assert "ConfigError: MTANGO_AUTH: `bearer` needs PyJWT" in ended.stderr


# --- files ---


def certificate(key: Any) -> bytes:
    name, now = x509.Name([]), datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("form", ["pem", "pem-of-two", "certificate", "jwks"])
def test_keys_of_a_file_are_used(provider: Provider, tmp_path: Path, form: str) -> None:
    key = provider.keys["first"][1]
    content = {
        "pem": pem(key),
        "pem-of-two": b"an old key\n" + pem(new_key()) + b"\n" + pem(key),
        "certificate": certificate(key),
        "jwks": orjson.dumps({"keys": [jwk(key, "first", "RS256")]}),
    }[form]
    (path := tmp_path / "keys").write_bytes(content)
    app = make_app(provider, jwt_issuer="", jwt_keys=str(path))
    assert user_of(app, provider.token()).user == "ada"
    assert provider.asked == []


def test_file_that_changes_is_in_force_soon(provider: Provider, tmp_path: Path) -> None:
    (path := tmp_path / "keys.pem").write_bytes(pem(provider.keys["first"][1]))
    app, old = make_app(provider, jwt_keys=str(path)), provider.token()
    assert user_of(app, old).user == "ada"
    provider.rotate("second")
    path.write_bytes(pem(provider.keys["second"][1]))
    new = provider.token()
    wait_until(lambda: status_of(app, new) == 200, 6)
    assert wait_for_refusal(app, old).status == 401
    path.write_bytes(b"nonsense")
    wait_until(lambda: user_of(app, new).user == "ada" and problems_of(app), 6)


@pytest.mark.parametrize("form", ["nothing", "private", "empty", "weak", "no-json", "secret", "many", "array"])
def test_file_without_a_usable_key_is_refused(tmp_path: Path, form: str) -> None:
    key = new_key()
    content = {
        "nothing": b"",
        "private": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "empty": b'{"keys": []}',
        "weak": pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        "no-json": b"{keys",
        "secret": b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}',
        "many": pem(key) * 9,
        "array": b'{"keys": {"a": 1}}',
    }[form]
    (path := tmp_path / "keys").write_bytes(content)
    text = config_error(jwt_keys=str(path))
    assert text.startswith("MTANGO_JWT_KEYS")
    assert "BEGIN" not in text
    assert "c2VjcmV0" not in text


# --- a provider ---


def test_keys_are_fetched_when_the_first_token_comes(provider: Provider) -> None:
    app = make_app(provider)
    assert provider.asked == []
    assert user_of(app, provider.token()).user == "ada"
    assert provider.asked == [DISCOVERY, CERTS]
    assert user_of(app, provider.token(preferred_username="grace")).user == "grace"
    assert len(provider.asked) == 2


def test_keys_of_a_jwks_url_are_used(provider: Provider) -> None:
    app = make_app(provider, jwt_keys=provider.issuer + "/certs")
    assert user_of(app, provider.token()).user == "ada"
    assert provider.asked == [CERTS]
    other = provider.token(iss="https://login.example.org")
    assert "another issuer" in refusal_of(app, other).description
    assert user_of(make_app(provider, jwt_issuer="", jwt_keys=provider.issuer + "/certs"), other).user == "ada"


def test_rotated_keys_are_fetched_for_the_first_token(provider: Provider) -> None:
    app, old = make_app(provider), provider.token()
    assert user_of(app, old).user == "ada"
    provider.rotate("second", "ES256")
    assert user_of(app, provider.token()).user == "ada"
    assert "unknown key" in wait_for_refusal(app, old).description


def test_new_key_under_the_old_name_is_fetched(provider: Provider) -> None:
    app = make_app(provider)
    assert user_of(app, provider.token()).user == "ada"
    provider.rotate("first")
    assert user_of(app, provider.token()).user == "ada"


def test_unknown_keys_cause_one_fetch_in_a_while(provider: Provider) -> None:
    app, good = make_app(provider), provider.token()
    assert user_of(app, good).user == "ada"
    stranger = new_key()
    for number in range(50):
        token = jwt.encode(provider.claims(), stranger, "RS256", headers={"kid": f"unknown {number}"})
        assert refusal_of(app, token).status == 401
    assert len(provider.asked) == 4
    assert user_of(app, good).user == "ada"


def test_provider_that_is_away_leaves_known_keys_in_force(provider: Provider) -> None:
    app, good = make_app(provider), provider.token()
    assert user_of(app, good).user == "ada"
    provider.stop()
    provider.rotate("second")
    refusal = refusal_of(app, provider.token())
    assert (refusal.status, refusal.reason, refusal.headers["Retry-After"]) == (503, "MTANGO_KeysUnavailable", "1")
    assert provider.issuer not in refusal.description
    assert provider.issuer in "".join(problems_of(app))
    assert user_of(app, good).user == "ada"
    provider.start()
    wait_until(lambda: is_accepted_after_503(app, provider.token()), 6)
    assert problems_of(app) == []


def status_of(app: Flask, token: str) -> int:
    try:
        user_of(app, token)
    except ApiError as refusal:
        return refusal.status
    return 200


def is_accepted_after_503(app: Flask, token: str) -> bool:
    status = status_of(app, token)
    assert status in (200, 503)
    return status == 200


def test_provider_that_is_away_at_the_start_is_asked_again(provider: Provider) -> None:
    provider.stop()
    app = make_app(provider)
    assert refusal_of(app, provider.token()).status == 503
    assert refusal_of(app, "e30.e30.AA").status == 401  # without keys too
    provider.start()
    wait_until(lambda: is_accepted_after_503(app, provider.token()), 6)


def html(size: int) -> bytes:
    return b"<html>" + b" " * size


WRONG_ANSWERS = {
    "redirect": (DISCOVERY, (302, {"Location": "file:///etc/passwd"}, b"")),
    "redirect-elsewhere": (CERTS, (307, {"Location": "http://127.0.0.1:9/keys"}, b"")),
    "not-found": (DISCOVERY, (404, {}, b"{}")),
    "broken": (CERTS, (500, {}, b"{}")),
    "html": (CERTS, (200, {}, html(0))),
    "huge": (CERTS, (200, {}, html(1 << 20))),
    "array": (CERTS, (200, {}, b"[]")),
    "no-keys": (CERTS, (200, {}, b'{"keys": []}')),
    "keys-number": (CERTS, (200, {}, b'{"keys": 7}')),
    "too-many-keys": (CERTS, (200, {}, orjson.dumps({"keys": [{}] * 101}))),
    "keys-of-nonsense": (CERTS, (200, {}, b'{"keys": [{"kty": "RSA", "n": "!", "e": 1}, {"kty": []}, null]}')),
    "nested": (CERTS, (200, {}, b'{"keys": ' + b"[" * 100_000)),
    "not-utf8": (CERTS, (200, {}, b'{"keys": "\xff"}')),
    "nothing": (CERTS, (200, {}, b"")),
    "length-wrong": (CERTS, (200, {"Content-Length": "x"}, b"{}")),
    "cut-off": (CERTS, (200, {"Content-Length": "1"}, b"{}")),
    "no-http": (CERTS, (200, {"A" * 70_000: "b"}, b"{}")),
    "other-issuer": (DISCOVERY, (200, {}, b'{"issuer": "https://login.example.org", "jwks_uri": "CERTS"}')),
    "no-issuer": (DISCOVERY, (200, {}, b'{"jwks_uri": "CERTS"}')),
    "no-jwks": (DISCOVERY, (200, {}, b'{"issuer": "ISSUER"}')),
    "jwks-of-a-file": (DISCOVERY, (200, {}, b'{"issuer": "ISSUER", "jwks_uri": "file:///etc/passwd"}')),
    "jwks-without-tls": (DISCOVERY, (200, {}, b'{"issuer": "ISSUER", "jwks_uri": "http://login.example.org/keys"}')),
    "jwks-number": (DISCOVERY, (200, {}, b'{"issuer": "ISSUER", "jwks_uri": 7}')),
}


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_wrong_answer_of_a_provider_leaves_known_keys_in_force(
    provider: Provider, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, good = make_app(provider), provider.token()
    assert user_of(app, good).user == "ada"
    path, (status, headers, body) = WRONG_ANSWERS[name]
    body = body.replace(b"ISSUER", provider.issuer.encode()).replace(b"CERTS", f"{provider.issuer}/certs".encode())
    provider.answers[path] = status, headers, body
    provider.rotate("second")
    assert refusal_of(app, provider.token()).status == 503
    assert user_of(app, good).user == "ada"
    (problem,) = problems_of(app)
    assert "\n" not in problem
    assert len(problem) < 500
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "ERROR")
    assert provider.issuer in line


def test_answer_that_drips_is_given_up(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtango_gevent.api.access.fetch._TIMEOUT", 0.5)
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.05):
                try:
                    connection.sendall(b"A: b\r\n")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        app = make_app(provider, jwt_keys=f"http://127.0.0.1:{server.getsockname()[1]}/keys")
        began = time.monotonic()
        assert refusal_of(app, provider.token()).status == 503
        assert time.monotonic() - began < 2.5
        over.set()
        thread.join()


def test_old_keys_are_fetched_again_in_the_background(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{SOURCES}._REFRESH_AFTER", 0.2)
    app, good = make_app(provider), provider.token()
    assert user_of(app, good).user == "ada"
    provider.delay = 1.0
    time.sleep(0.3)
    began = time.monotonic()
    assert user_of(app, good).user == "ada"
    assert time.monotonic() - began < 0.5  # the provider takes two seconds
    provider.rotate("second")
    wait_until(lambda: status_of(app, good) == 401, 10)  # which no longer has a key


@in_hub_thread
def test_greenlets_share_a_fetch_and_known_keys_do_not_wait() -> None:
    with oidc_provider() as provider:
        app, good = make_app(provider), provider.token()
        greenlets = [gevent.spawn(user_of, app, good) for _ in range(20)]
        assert {greenlet.get().user for greenlet in greenlets} == {"ada"}
        assert len(provider.asked) == 2
        provider.delay = 0.5
        provider.rotate("second")
        new = provider.token()
        waiting = [gevent.spawn(user_of, app, new) for _ in range(20)]
        gevent.sleep(0.1)
        began = time.monotonic()
        assert user_of(app, good).user == "ada"
        assert time.monotonic() - began < 0.1
        assert {greenlet.get().user for greenlet in waiting} == {"ada"}
        assert len(provider.asked) == 4


@in_hub_thread
def test_token_that_comes_during_the_first_fetch_causes_no_pause() -> None:
    with oidc_provider() as provider:
        app = make_app(provider)
        provider.delay = 0.2
        first = gevent.spawn(user_of, app, provider.token())
        gevent.sleep(0.1)
        second = gevent.spawn(user_of, app, provider.token(number=2))
        assert [first.get().user, second.get().user] == ["ada", "ada"]
        assert len(provider.asked) == 2
        provider.delay = 0.0
        provider.rotate("second")
        assert user_of(app, provider.token()).user == "ada"


# --- claims ---


@pytest.mark.parametrize(
    ("claim", "claims", "groups"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["operator"]}}, {"operator"}),
        ("realm_access.roles", {"realm_access": ["roles"]}, set()),
        ("realm_access.roles", {"realm_access": None}, set()),
        ("realm_access.roles", {}, set()),
        ("resource_access.mtango.roles", {"resource_access": {"mtango": {"roles": ["a", "b"]}}}, {"a", "b"}),
        ("https://login.example.org/groups", {"https://login.example.org/groups": ["a"]}, {"a"}),
        ("scope", {"scope": "openid  profile"}, {"openid", "profile"}),
        ("roles", {"roles": ["a", ["b"], None, 1.5]}, {"a"}),
        (".", {"": {"": ["a"]}}, {"a"}),
    ],
)
def test_groups_are_found_at_their_claim(
    provider: Provider, claim: str, claims: dict[str, Any], groups: set[str]
) -> None:
    assert user_of(make_app(provider, jwt_groups_claim=claim), provider.token(**claims)).groups == groups


def test_verified_token_ends_with_its_time(provider: Provider) -> None:
    app = make_app(provider, jwt_leeway=0.0)
    token = provider.token(exp=int(time.time()) + 2)
    assert user_of(app, token).user == "ada"
    wait_until(lambda: status_of(app, token) == 401, 6)
    assert "expired" in refusal_of(app, token).description


# --- signatures ---


@pytest.mark.parametrize("algorithm", ["ES384", "ES512"])
@in_hub_thread
def test_slow_signature_does_not_hold_the_hub(provider: Provider, algorithm: str) -> None:
    provider.keys = {"slow": (algorithm, new_key(algorithm))}
    app = make_app(provider, jwt_algorithms=(algorithm,))
    verifier = app.extensions["mtango"].access.authentication._methods[0]._verifier
    threads, try_keys = set[int](), verifier._try_keys

    def note(token: str, algorithm: str, keys: list[Any]) -> Any:
        if keys:
            threads.add(monkey.get_original("_thread", "get_ident")())
        return try_keys(token, algorithm, keys)

    verifier._try_keys = note
    assert user_of(app, provider.token()).user == "ada"
    assert threads
    assert monkey.get_original("_thread", "get_ident")() not in threads


def test_odd_failure_of_a_document_is_a_failed_fetch(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(provider)

    def fail(_: Any) -> None:
        raise NotImplementedError("odd")

    monkeypatch.setattr(f"{SOURCES}.parse_jwks", fail)
    for _ in range(5):
        assert refusal_of(app, provider.token()).status == 503
    assert problems_of(app) == [f"bearer: cannot fetch the keys of {provider.issuer}: NotImplementedError: odd"]
    assert provider.asked.count(CERTS) == 1
