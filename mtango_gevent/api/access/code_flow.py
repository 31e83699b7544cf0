"""The login of the operator's page at an OIDC provider: authorization code flow with PKCE (RFC 7636), public client.

The page goes to the provider and comes back with a code. The gateway exchanges the code, as the page makes no requests
to other origins. Codes and tokens are in no log.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Mapping
from typing import Any

from mtango_gevent.api.access.attempts import Attempts
from mtango_gevent.api.access.discovery import Discovery
from mtango_gevent.api.access.fetch import check_url, post_form
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError, DevFailed, in_one_line
from mtango_gevent.redaction import redact

logger = logging.getLogger(__name__)

# Characters of the longest text of the provider in a failure.
_MOST_TEXT = 300

# The text for clients, which may be anonymous. The log has the reason.
_UNAVAILABLE = "the provider of the login cannot be asked, see the log of the gateway"

# Seconds after which a token without a lifetime is renewed.
_USUAL_LIFETIME = 300


class CodeFlow:
    """The login at the provider that the settings name. Raises ConfigError. is_on: whether they name one."""

    def __init__(self, config: Config, client: TangoClient) -> None:
        self.is_on = bool(config.oidc_client_id)
        if self.is_on and not ("bearer" in config.auth and config.jwt_issuer):
            raise ConfigError("MTANGO_OIDC_CLIENT_ID: expected `bearer` in MTANGO_AUTH and MTANGO_JWT_ISSUER, got none")
        self._config, self._threads = config, client.partitions.logins
        self._provider = Discovery(config.jwt_issuer, client)
        self._attempts = Attempts(failures="refused logins")

    def describe(self) -> dict[str, str | None] | None:
        """Return what a page needs to go to the provider; None without a provider. Never waits.

        The URLs are None as long as the provider has not told them; `problem` says whether it does not answer.
        """
        if not self.is_on:
            return None
        found = self._provider.current()
        return {
            "authorization_endpoint": _url(found, "authorization_endpoint"),
            "end_session_endpoint": _url(found, "end_session_endpoint"),
            "client_id": self._config.oidc_client_id,
            "scope": self._config.oidc_scope,
            "problem": _UNAVAILABLE if self._provider.problem else "",
        }

    def exchange(self, fields: Mapping[str, str], address: str) -> dict[str, Any]:
        """Exchange a code or a refresh token for an access token.

        fields: of the request to the provider, with its `grant_type`; address: of the client.
        Raises ApiError: 400 where the provider refuses, 429 after several refusals, 503 where it does not answer.
        """
        attempt = self._attempts.begin(None, address)
        try:
            status, document = self._post({**fields, "client_id": self._config.oidc_client_id})
        except ApiError:
            self._attempts.withdraw(attempt)
            raise
        if status != 200:
            raise ApiError(400, "MTANGO_LoginRefused", f"the provider refuses the login: {_refusal(document, fields)}")
        self._attempts.succeed(attempt)
        return _tokens(document)

    def _post(self, fields: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        try:
            status, document = self._threads.call("login", self._post_in_thread, fields)
        except DevFailed as failure:
            raise _unavailable(in_one_line(failure)) from None
        except (OSError, ValueError) as error:
            raise _unavailable(str(error)) from None
        except Exception as error:  # whatever the answer makes of the parser
            raise _unavailable(type(error).__name__) from None
        is_answer = status == 200 and isinstance(document.get("access_token"), str)
        if not is_answer and not (status in (400, 401, 403) and "error" in document):
            raise _unavailable(f"expected a token or a refusal, got status {status}")
        return status, document

    def _post_in_thread(self, fields: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        endpoint = self._provider.fetched().get("token_endpoint")
        if not isinstance(endpoint, str):
            raise ValueError("its configuration has no token_endpoint")
        return post_form(endpoint, fields)


def _url(document: dict[str, Any], key: str) -> str | None:
    """Return a URL to which a page may send its user; None without one."""
    found = document.get(key)
    with contextlib.suppress(ValueError):
        if isinstance(found, str):
            check_url(found)
            return found
    return None


def _refusal(document: dict[str, Any], fields: Mapping[str, str]) -> str:
    """Return what the provider says, without the secrets of the request."""
    text = ": ".join(str(document[key]) for key in ("error", "error_description") if document.get(key))
    for key in ("code", "code_verifier", "refresh_token"):
        text = text.replace(fields.get(key) or "\0", "***")
    return redact(ascii(text[:_MOST_TEXT])[1:-1])


def _unavailable(problem: str) -> ApiError:
    problem = redact(problem)[:_MOST_TEXT]
    logger.error("login: the provider cannot be asked: %s", problem.encode("unicode_escape").decode("ascii"))
    return ApiError(503, "MTANGO_LoginUnavailable", _UNAVAILABLE, {"Retry-After": "1"})


def _tokens(document: dict[str, Any]) -> dict[str, Any]:
    """Return what the page needs of an answer. The ID token is not looked at: the access token names the user."""
    seconds, renewing = document.get("expires_in"), document.get("refresh_token")
    is_time = isinstance(seconds, int | float) and math.isfinite(seconds) and seconds > 0
    tokens = {"access_token": document["access_token"], "token_type": "Bearer"}
    tokens["expires_in"] = seconds if is_time else _USUAL_LIFETIME
    return {**tokens, **({"refresh_token": renewing} if isinstance(renewing, str) else {})}
