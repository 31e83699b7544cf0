"""The method `bearer`: a JSON Web Token of an OIDC provider in the header Authorization (RFC 6750)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mtango_gevent.api.access.identity import Identity
from mtango_gevent.api.access.verified import VerifiedCredentials
from mtango_gevent.api.access.watched_file import Problem
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError, DevFailed, Unauthorized, in_one_line
from mtango_gevent.key_file import PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Seconds for which a verified token is kept at most.
_KEPT_SECONDS = 60.0

# Characters of the longest name of a user or group.
_LONGEST_NAME = 255

# Characters that `error_description` cannot have (RFC 6750).
_NOT_QUOTABLE = re.compile(r"[^ !#-\[\]-~]")


class Bearer:
    """Authenticates requests by their tokens. Raises ConfigError for settings that cannot be used.

    Fetches the keys when the first token comes.
    """

    challenge = 'Bearer realm="mtango-gevent"'

    def __init__(self, config: Config, client: TangoClient) -> None:
        try:
            from mtango_gevent.api.access import key_sources, tokens
        except ImportError:
            raise ConfigError("MTANGO_AUTH: `bearer` needs PyJWT: pip install 'mtango-gevent[auth]'") from None
        if not config.jwt_audience:
            raise ConfigError(
                "MTANGO_JWT_AUDIENCE: expected the audience that the tokens of `bearer` must name, got none"
            )
        self._config = config
        self._source = key_sources.key_source(config, client)
        self._verifier = tokens.TokenVerifier(config, self._source, client)
        self._wrong, self._unavailable = tokens.WrongToken, tokens.KeysUnavailable
        self._verified = VerifiedCredentials(_KEPT_SECONDS)

    def authenticate(self, environ: WSGIEnvironment) -> Identity | None:
        """Return the user of a request; None where it has no token.

        Raises ApiError: 401 for a wrong token, 503 where the keys of the issuer cannot be fetched.
        """
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or token.startswith(PREFIX):  # an API key, which the method `key` checks
            return None
        digest = self._verified.digest(token)
        return self._verified.find(self._source.current(), digest) or self._verify(token, digest)

    def problems(self) -> Iterator[Problem]:
        """Yield why the keys are not those of now, for /readyz."""
        return self._source.problems()

    def _verify(self, token: str, digest: bytes) -> Identity:
        try:
            claims, keys = self._verifier.verify(token)
        except self._wrong as error:
            raise self._refusal(str(error)) from None
        except self._unavailable:
            description = "the keys of the token's issuer cannot be fetched, see the log of the gateway"
            raise ApiError(503, "MTANGO_KeysUnavailable", description, {"Retry-After": "1"}) from None
        except DevFailed as failure:
            raise ApiError(503, failure.args[0].reason, in_one_line(failure), {"Retry-After": "1"}) from None
        identity = self._identity(claims)
        left = claims["exp"] + self._config.jwt_leeway - time.time()
        self._verified.keep(keys, digest, identity, left)
        return identity

    def _identity(self, claims: dict[str, Any]) -> Identity:
        claim = self._config.jwt_user_claim
        given = claims.get(claim)
        user: Any = claims.get("sub") if given is None else given
        if not _is_name(user):
            raise self._refusal(f"expected the name of a user in the claim {claim} or sub")
        return Identity(user, frozenset(_names(_find(claims, self._config.jwt_groups_claim))), "bearer")

    def _refusal(self, description: str) -> ApiError:
        quotable = _NOT_QUOTABLE.sub("?", description)
        challenge = f'{self.challenge}, error="invalid_token", error_description="{quotable}"'
        return Unauthorized(description, {"WWW-Authenticate": challenge})


def _find(claims: dict[str, Any], name: str) -> Any:
    """Return the claim of that name, which may itself contain dots, or the one in objects to which the dots lead."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _names(value: Any) -> Iterable[str]:
    """Return the names in a list, or in a text with spaces between; none in anything else."""
    items = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else []
    return filter(_is_name, items)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()
