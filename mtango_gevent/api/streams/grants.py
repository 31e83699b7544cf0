"""Grants: how a browser's EventSource, which cannot send credentials in a header, tells who opens a stream.

A user who makes a subscription gets a token, as a cookie and for the query, that opens streams of this user, and
nothing else. It is valid for a short time, at the end of which its streams end. The store has its digest only.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from typing import NamedTuple

from flask import Response, request

from mtango_gevent.api.access import Identity
from mtango_gevent.api.request_context import app_state, config, current
from mtango_gevent.errors import Unauthorized

COOKIE, PARAMETER = "mtango_stream", "token"

# Seconds for which a token is valid: credentials that were revoked open no stream after that, and keep none open.
LIFETIME = 900.0


class Grant(NamedTuple):
    """until: seconds since the epoch."""

    identity: Identity
    until: float


def make() -> str | None:
    """Return a new token of the user of the current request; None for an anonymous client."""
    user, groups, method = current().identity
    if not user:
        return None
    token = secrets.token_urlsafe(32)
    content = json.dumps([user, sorted(groups), method, time.time() + LIFETIME])
    app_state().subscriptions.run(lambda store: store.put_grant(_digest(token), content, LIFETIME))
    return token


def set_cookie(response: Response, token: str) -> None:
    """Give the token to a browser. A page of another origin gets it over HTTPS only, as browsers demand."""
    origin = request.headers.get("Origin")
    is_foreign = origin is not None and origin.lower() != request.host_url.rstrip("/").lower()
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(LIFETIME),
        path=f"{request.script_root}{config().app_base.removesuffix('/rest')}/subscriptions",
        secure=request.is_secure,
        httponly=True,
        samesite="None" if is_foreign and request.is_secure else "Lax",
    )


def use() -> Grant | None:
    """Return the grant of the current request, and let its user be that of the request.

    None for a request that has none, or other credentials. Raises Unauthorized for a wrong token in the query.
    """
    context = current()
    in_query, in_cookie = request.args.get(PARAMETER), request.cookies.get(COOKIE)
    token = in_query or in_cookie
    if context.state.access.is_open or context.refusal or not (context.identity.is_anonymous and token):
        return None
    digest = _digest(token)
    content = app_state().subscriptions.run(lambda store: store.grant(digest))
    if content is None:
        if in_query:
            raise Unauthorized(f"{PARAMETER}: expected a token that is valid: make the subscription again")
        return None
    user, groups, method, until = json.loads(content)
    context.identity = Identity(user, frozenset(groups), method)
    return Grant(context.identity, until)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
