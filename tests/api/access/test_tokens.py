"""Every token of tests/corpus/tokens.toml against an application; its cases are described there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from flask import Flask
from webtest import TestApp

from mtango_gevent import create_app
from mtango_gevent.api.access import ANONYMOUS
from mtango_gevent.config import Config, tomllib
from tests.oidc_provider import AUDIENCE, Provider, jwk, new_key, oidc_provider, pem, segment, signed

CASES: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parents[2] / "corpus/tokens.toml").read_text("utf-8"))
ALGORITHMS = {"rsa": "RS256", "ec": "ES256", "ec384": "ES384", "ed": "EdDSA"}
ACCEPTED = ("RS256", "PS256", "ES256", "EdDSA")
STRANGER = new_key()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with oidc_provider() as provider:
        keys = {name: (algorithm, new_key(algorithm)) for name, algorithm in ALGORITHMS.items()}
        provider.keys = keys
        other_use = {**jwk(STRANGER, "encryption", "RS256"), "use": "enc"}
        others = [other_use, {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}, {"kty": "new"}, 7]
        others += [{**jwk(STRANGER, "odd", "RS256"), "alg": alg} for alg in ("none", "XS1", 5, [])]
        document = provider.document("/certs")
        document["keys"] = [*others, *document["keys"]]
        provider.answers["/realms/test/certs"] = 200, {}, orjson.dumps(document)
        yield provider


@pytest.fixture(scope="module")
def app(provider: Provider) -> Flask:
    settings = {"jwt_issuer": provider.issuer, "jwt_audience": AUDIENCE, "jwt_algorithms": ACCEPTED}
    return create_app(Config(auth=("bearer",), **settings))


def filled(value: Any, provider: Provider) -> Any:
    """Replace what stands for times, the issuer, a foreign key and repetitions."""
    if isinstance(value, dict):
        return {name: filled(item, provider) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, provider) for item in value]
    if not isinstance(value, str):
        return value
    if value == "STRANGER":
        return jwk(STRANGER, "stranger", "RS256")
    text = re.sub(r"<<(.)\*([0-9]+)>>", lambda part: part[1] * int(part[2]), value.replace("ISSUER", provider.issuer))
    if re.fullmatch("NOW[+-][0-9]+", text):
        return int(time.time()) + int(text[3:])
    return re.sub("NOW([+-][0-9]+)", lambda part: str(int(time.time()) + int(part[1])), text)


def make_token(case: dict[str, Any], provider: Provider) -> str:
    case = {name: value if name == "payload" else filled(value, provider) for name, value in case.items()}
    if "token" in case:
        return case["token"]
    name = case.get("key", "rsa")
    header = {"alg": ALGORITHMS.get(name, "RS256"), "kid": name, **case.get("header", {})}
    header = {key: value for key, value in header.items() if value != ""}
    claims = provider.claims(**case.get("claims", {}))
    text = (
        filled(case["payload"], provider).encode()
        if "payload" in case
        else orjson.dumps({key: value for key, value in claims.items() if key not in case.get("without", ())})
    )
    token = signed(header, text, lambda content: sign(name, header.get("alg"), content, provider))
    return token.rpartition(".")[0] + "." + case["signature"] if "signature" in case else token


def sign(name: str, algorithm: Any, content: bytes, provider: Provider) -> bytes:
    if name == "none":
        return b""
    rsa_key = provider.keys["rsa"][1]
    if name in ("public-pem", "public-jwk"):
        secret = pem(rsa_key) if name == "public-pem" else orjson.dumps(jwk(rsa_key, "rsa", "RS256"))
        hmac = jwt.get_algorithm_by_name("HS256")
        return hmac.sign(content, secret)
    kind = ALGORITHMS.get(name, "RS256")
    if algorithm == "PS256":
        kind = "PS256"
    key = STRANGER if name in ("stranger", "encryption") else provider.keys[name][1]
    return jwt.get_algorithm_by_name(kind).sign(content, key)


@pytest.mark.parametrize("name", CASES)
def test_token_of_corpus(app: Flask, provider: Provider, name: str) -> None:
    case, client = CASES[name], TestApp(app)
    token = make_token(case, provider)
    headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    answer = client.get("/tango/rest/rc3", headers=headers, status="*")
    statuses = case["status"] if isinstance(case["status"], list) else [case["status"]]
    assert answer.status_int in statuses, answer.text
    if answer.status_int == 200:
        identity = app.extensions["mtango"].access.authenticate({"HTTP_AUTHORIZATION": f"Bearer {token}"})
        assert identity.method == "bearer"
        assert identity.user == case.get("user", identity.user)
        assert identity.groups == set(case.get("groups", identity.groups))
        return
    (error,) = answer.json["errors"]
    assert error["reason"] == "MTANGO_Unauthorized"
    assert case.get("says", "") in error["description"], error
    challenge = answer.headers["WWW-Authenticate"]
    assert re.fullmatch(
        r'Bearer realm="mtango-gevent", error="invalid_token", error_description="[ !#-\[\]-~]+"', challenge
    )
    parts = [part for part in token.split(".") if len(part) > 8]
    assert not any(part in answer.text or part in str(answer.headers) for part in parts)


def test_no_case_fetches_the_keys_again_and_again(app: Flask, provider: Provider) -> None:
    """Most cases name no known key; each fetch is of two documents."""
    assert len(provider.asked) <= 8, provider.asked


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer mtg_0123", "bearer mtg_0123", "mtg_0123", "Bearerx"])
def test_other_credentials_are_left_to_other_methods(app: Flask, header: str) -> None:
    assert app.extensions["mtango"].access.authenticate({"HTTP_AUTHORIZATION": header}) == ANONYMOUS


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_scheme_is_read_in_any_case(app: Flask, provider: Provider, scheme: str) -> None:
    token = make_token({}, provider)
    assert app.extensions["mtango"].access.authenticate({"HTTP_AUTHORIZATION": f"{scheme} {token}"}).user == "ada"


def test_header_that_is_nested_deeply_is_refused(app: Flask) -> None:
    token = segment(b'{"alg":"RS256","x":' + b"[" * 5000) + ".e30.AA"
    answer = TestApp(app).get("/tango/rest/rc3", headers={"Authorization": f"Bearer {token}"}, status=401)
    assert "no JSON object" in answer.json["errors"][0]["description"]


def test_anonymous_client_gets_a_challenge_without_an_error(app: Flask) -> None:
    answer = TestApp(app).get("/tango/rest/rc3", status=401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mtango-gevent"'
