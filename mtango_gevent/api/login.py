"""How users log in at the operator's page: which ways there are, and the exchange with an OIDC provider."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, request

from mtango_gevent.api import access, guard, query, reply
from mtango_gevent.api.request_context import app_state, config, current
from mtango_gevent.errors import BadRequest, NotFound

blueprint = Blueprint("login", __name__)

# Characters of the longest code or token; gunicorn takes no longer header.
_MOST_CHARACTERS = 8190

_ENTRY = access.Target("read", "gateway", "api")


@blueprint.get("/login")
@access.is_free
def show_ways() -> Response:
    """Show the ways to log in, and what clients may do without a login."""
    guard.check_page("read")
    state = app_state()
    control, environ = state.access, current().environ
    answer = {
        "methods": list(config().auth),
        "anonymous": control.refusal(access.ANONYMOUS, environ, _ENTRY) is None,
        "read_only": config().read_only,
        "open": control.is_open and not config().read_only and state.tango_access is None,
        "oidc": control.code_flow.describe(),
    }
    return reply.json(query.filtered(answer))


@blueprint.post("/login/token")
@access.is_free
def exchange_code() -> Response:
    """Exchange the code of a login, or a refresh token, for an access token. Neither is logged."""
    guard.check_page("write")
    code_flow, address = app_state().access.code_flow, current().environ.get("REMOTE_ADDR") or "-"
    if not code_flow.is_on:
        raise NotFound("there is no login at a provider: MTANGO_OIDC_CLIENT_ID is not set")
    return reply.json(code_flow.exchange(_fields(), address))


def _fields() -> dict[str, str]:
    """Return the fields for the provider. Raises BadRequest."""
    sent = _sent()
    if set(sent) == {"refresh_token"}:
        return {"grant_type": "refresh_token", **sent}
    if set(sent) != {"code", "verifier", "redirect_uri"}:
        raise BadRequest("expected the keys code, verifier and redirect_uri, or refresh_token")
    page = sent["redirect_uri"]
    if not app_state().access.cross_site.is_own_page(current().environ, page):
        raise BadRequest(f"redirect_uri: expected the URL of the gateway's page, got {query.quoted(page)}")
    return {
        "grant_type": "authorization_code",
        "code": sent["code"],
        "code_verifier": sent["verifier"],
        "redirect_uri": page,
    }


def _sent() -> dict[str, str]:
    """Return the texts of the body. Raises BadRequest, which repeats nothing of them."""
    try:
        sent = orjson.loads(request.get_data())
    except ValueError:
        sent = None
    if not isinstance(sent, dict) or not all(isinstance(value, str) and value for value in sent.values()):
        raise BadRequest("expected a JSON object of texts")
    if max(map(len, sent.values()), default=0) > _MOST_CHARACTERS:
        raise BadRequest(f"expected texts of at most {_MOST_CHARACTERS} characters")
    return sent
