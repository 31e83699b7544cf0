"""Verifies a JSON Web Token: its form, its algorithm, its signature and its claims (RFC 7519, RFC 8725)."""

from __future__ import annotations

import base64
import math
import re
from typing import Any

import jwt
import orjson

from mtango_gevent.api.access.key_sources import KeySource
from mtango_gevent.api.access.signing_keys import PublicKey, SigningKeys
from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient

# Characters of the longest token; gunicorn takes no longer header.
_MOST_CHARACTERS = 8190

_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)", re.ASCII)

_TIMES = ("exp", "nbf", "iat")

# Algorithms of which a signature takes a millisecond, where the others take a tenth of it: they are left to a thread.
_SLOW = ("ES384", "ES512")


class WrongToken(Exception):
    """A token that is refused; the text says why, and repeats nothing of it."""


class KeysUnavailable(Exception):
    """A token that cannot be verified, as the keys of its issuer cannot be fetched."""


class TokenVerifier:
    """Verifies tokens as the settings say, with the keys of a source."""

    def __init__(self, config: Config, source: KeySource, client: TangoClient) -> None:
        self._config, self._source, self._threads = config, source, client.partitions.signatures
        self._jwt = _Jwt({"require": ["exp", "aud", *(["iss"] if config.jwt_issuer else [])]})

    def verify(self, token: str) -> tuple[dict[str, Any], SigningKeys]:
        """Return the claims of a token, and the keys of which one has signed it.

        Raises WrongToken, KeysUnavailable, and DevFailed where the thread for slow signatures is busy.
        """
        algorithm, key_id = self._header(token)
        keys = self._source.current()
        claims = self._signed_claims(token, algorithm, keys.find(algorithm, key_id))
        while claims is None and (renewed := self._source.renewed()) is not keys:
            keys = renewed
            claims = self._signed_claims(token, algorithm, keys.find(algorithm, key_id))
        if claims is None:
            raise self._refusal(keys, has_key=bool(keys.find(algorithm, key_id)))
        return claims, keys

    def _refusal(self, keys: SigningKeys, has_key: bool) -> Exception:
        if has_key:
            return WrongToken("the signature of the token is wrong")
        if self._source.problem or not keys:
            return KeysUnavailable()
        return WrongToken("the token is signed with an unknown key")

    def _header(self, token: str) -> tuple[str, str | None]:
        """Return algorithm and key id of a token. `jku`, `x5u`, `jwk` and `x5c` in its header are not looked at."""
        parts = _TOKEN.fullmatch(token) if len(token) <= _MOST_CHARACTERS else None
        if parts is None:
            raise WrongToken(f"expected a signed JWT of at most {_MOST_CHARACTERS} characters: header.claims.signature")
        header = _json_object(parts[1])
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self._config.jwt_algorithms:
            raise WrongToken(f"expected a signature algorithm of {', '.join(self._config.jwt_algorithms)}")
        if "crit" in header or not isinstance(key_id, str | None):
            raise WrongToken("the header of the token has `crit`, or a `kid` that is no text")
        return algorithm, key_id

    def _signed_claims(self, token: str, algorithm: str, keys: list[PublicKey]) -> dict[str, Any] | None:
        """Return the claims of a token that one of the keys has signed; None where none has. Raises WrongToken."""
        if keys and algorithm in _SLOW:
            return self._threads.call("token", self._try_keys, token, algorithm, keys)
        return self._try_keys(token, algorithm, keys)

    def _try_keys(self, token: str, algorithm: str, keys: list[PublicKey]) -> dict[str, Any] | None:
        for key in keys:
            try:
                return self._decode(token, algorithm, key)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
                raise WrongToken(self._explain(error)) from None
        return None

    def _decode(self, token: str, algorithm: str, key: PublicKey) -> dict[str, Any]:
        return self._jwt.decode(
            token,
            key,
            [algorithm],
            audience=self._config.jwt_audience,
            issuer=self._config.jwt_issuer or None,
            leeway=self._config.jwt_leeway,
        )

    def _explain(self, error: Exception) -> str:
        if isinstance(error, jwt.ExpiredSignatureError):
            return "the token has expired"
        if isinstance(error, jwt.ImmatureSignatureError):
            return "the token is not valid yet"
        if isinstance(error, jwt.InvalidAudienceError):
            return f"the token is for another audience, expected {self._config.jwt_audience}"
        if isinstance(error, jwt.InvalidIssuerError):
            return f"the token is of another issuer, expected {self._config.jwt_issuer}"
        if isinstance(error, jwt.MissingRequiredClaimError):
            return f"the token has no claim {error.claim}"
        return str(error) if isinstance(error, _WrongClaims) else "the token cannot be read"


class _WrongClaims(jwt.DecodeError):
    """Claims that PyJWT would not refuse, or not in every version; its text says why."""


class _Jwt(jwt.PyJWT):
    """Reads the claims more strictly: PyJWT takes NaN, and texts for times."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        try:
            claims = orjson.loads(decoded["payload"])
        except ValueError:
            raise _WrongClaims("the claims of the token are no JSON") from None
        if not isinstance(claims, dict):
            raise _WrongClaims("the claims of the token are no JSON object")
        for name in _TIMES:
            if name in claims and not _is_time(claims[name]):
                raise _WrongClaims(f"the claim {name} of the token is no number")
        return claims


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _json_object(segment: str) -> dict[str, Any]:
    """Return the JSON object of a segment in base64url."""
    try:
        found = orjson.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:  # binascii.Error and JSONDecodeError are such
        found = None
    if not isinstance(found, dict):
        raise WrongToken("the header of the token is no JSON object")
    return found
