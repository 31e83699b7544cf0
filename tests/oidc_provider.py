"""An OIDC provider on loopback that signs tokens, rotates its keys, and misbehaves when it is told to."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AUDIENCE = "mtango"

# The client id of the operator's page.
CLIENT = "mtango-page"

_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def new_key(algorithm: str = "RS256") -> Any:
    """Return a private key for a signature algorithm."""
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any) -> bytes:
    """Return the public part of a private key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: Any, kid: str, algorithm: str) -> dict[str, Any]:
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": kid, "use": "sig", "alg": algorithm}


def segment(content: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: dict[str, Any], payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Return a token of any header and payload."""
    text = f"{segment(orjson.dumps(header))}.{segment(payload)}"
    return f"{text}.{segment(sign(text.encode()))}"


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that do not trust the certificate."""


class Provider:
    """keys: those of its JWKS by id, each with its algorithm; all RS256 unless told otherwise.

    delay: seconds before each answer; answers: by path, (status, headers, body) in place of the right ones.
    asked: the paths of all requests, in their order.
    lifetime: seconds of the tokens of a login; a login succeeds at once, for the user of `claims`.
    redirect_uris: the registered ones, empty for any; codes: the requests of logins whose code was not exchanged yet.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.keys: dict[str, tuple[str, Any]] = {"first": ("RS256", new_key())}
        self.delay = 0.0
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.lifetime = 600.0
        self.redirect_uris: set[str] = set()
        self.codes: dict[str, dict[str, str]] = {}
        self.refresh_tokens: set[str] = set()
        self._port = 0
        self._server: http.server.ThreadingHTTPServer | None = None

    @property
    def issuer(self) -> str:
        return f"{'https://localhost' if self._tls else 'http://127.0.0.1'}:{self._port}/realms/test"

    def start(self) -> None:
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer(self)

            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
                provider.answer(self, {name: values[0] for name, values in parse_qs(form).items()})

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, request: http.server.BaseHTTPRequestHandler, form: dict[str, str] | None = None) -> None:
        """form: of a POST."""
        self.asked.append(request.path)
        time.sleep(self.delay)
        status, headers, body = self.answers.get(request.path) or self._answer(request.path, form)
        with contextlib.suppress(ConnectionError):
            request.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(body)

    def _answer(self, path: str, form: dict[str, str] | None) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/realms/test/auth?"):
            return 302, {"Location": self.authorize(dict(parse_qsl(urlsplit(path).query)))}, b""
        if form is not None:
            answer = self.exchange(form)
            return 400 if "error" in answer else 200, {"Content-Type": "application/json"}, orjson.dumps(answer)
        return 200, {}, orjson.dumps(self.document(path))

    def authorize(self, asked: dict[str, str]) -> str:
        """Log the user in at once, and return the URL of the page with a code."""
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        assert not self.redirect_uris or asked["redirect_uri"] in self.redirect_uris
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form: dict[str, str]) -> dict[str, Any]:
        """Return the answer of the token endpoint; `error` where it refuses."""
        if form.get("client_id") != CLIENT:
            return {"error": "unauthorized_client", "error_description": "Unknown client"}
        if form.get("grant_type") == "refresh_token":
            return self._tokens() if form["refresh_token"] in self.refresh_tokens else {"error": "invalid_grant"}
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = segment(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if not asked or (asked["code_challenge"], asked["redirect_uri"]) != (challenge, form.get("redirect_uri")):
            return {"error": "invalid_grant", "error_description": "Code not valid"}
        return self._tokens()

    def _tokens(self) -> dict[str, Any]:
        renewing = secrets.token_urlsafe()
        self.refresh_tokens.add(renewing)
        token = self.token(exp=time.time() + self.lifetime)
        return {"access_token": token, "refresh_token": renewing, "expires_in": self.lifetime, "token_type": "Bearer"}

    def document(self, path: str) -> dict[str, Any]:
        if path.endswith("/.well-known/openid-configuration"):
            names = ("authorization_endpoint", "token_endpoint", "end_session_endpoint", "jwks_uri")
            urls = dict(zip(names, ("auth", "token", "logout", "certs"), strict=True))
            return {"issuer": self.issuer, **{name: f"{self.issuer}/{path}" for name, path in urls.items()}}
        return {"keys": [jwk(key, kid, algorithm) for kid, (algorithm, key) in self.keys.items()]}

    def rotate(self, kid: str, algorithm: str = "RS256") -> None:
        """Replace all keys by a new one."""
        self.keys = {kid: (algorithm, new_key(algorithm))}

    def claims(self, **others: Any) -> dict[str, Any]:
        now = int(time.time())
        given = {"iss": self.issuer, "aud": AUDIENCE, "sub": "5f3c", "preferred_username": "ada", "iat": now}
        return {**given, "exp": now + 600, **others}

    def token(self, **claims: Any) -> str:
        """Return a token that the newest key has signed."""
        kid, (algorithm, key) = list(self.keys.items())[-1]
        return jwt.encode(self.claims(**claims), key, algorithm, headers={"kid": kid})


@contextlib.contextmanager
def oidc_provider(tls: ssl.SSLContext | None = None) -> Iterator[Provider]:
    provider = Provider(tls)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()
