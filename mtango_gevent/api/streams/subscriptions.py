"""Subscriptions: which attributes a client follows, in any worker. Contract: v11, 6."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, request

from mtango_gevent.api import access, body, reply
from mtango_gevent.api.access import TOKEN_COOKIE, TOKEN_LIFETIME
from mtango_gevent.api.request_context import app_state, config, current
from mtango_gevent.api.streams import targets
from mtango_gevent.api.streams.event_stream import EventStream
from mtango_gevent.errors import ApiError, NotFound, check_limit
from mtango_gevent.store import Subscription, Target
from mtango_gevent.values import JsonObject

blueprint = Blueprint("subscriptions", __name__, url_prefix="/subscriptions")

# Ids are numbers that JavaScript keeps exactly, and that cannot be guessed.
_MOST_ID = 2**53 - 1

_SUBSCRIPTION = "/<int:subscription>"

_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


@blueprint.before_request
def _refuse_what_is_no_id() -> None:
    """Raise NotFound; a limit in the rule itself answers 405 to the methods of its later rules."""
    subscription = (request.view_args or {}).get("subscription", 0)
    if subscription > _MOST_ID:
        raise _missing(subscription)


@blueprint.post("")
@access.needs("read", "gateway", "streams")
def create_subscription() -> Response:
    sent = targets.sent() or []
    check_limit(len(sent), config().stream_items, "targets of a subscription")
    good, bad = targets.sort(sent)
    id, owner, client = 1 + secrets.randbelow(_MOST_ID), _owner(), _owner() or current().environ.get("REMOTE_ADDR", "")
    found = _found(id, app_state().subscriptions.create(id, owner, client, good))
    shape, identity = _shape(found, bad), current().identity
    if identity.is_anonymous:
        return reply.json(shape)
    token = current().state.access.tokens.make(identity, "event stream")
    response = reply.json({**shape, "token": token})
    _set_cookie(response, token)
    return response


def _set_cookie(response: Response, token: str) -> None:
    """Give the token to a browser. A page of another origin gets it over HTTPS only, as browsers demand."""
    origin = request.headers.get("Origin")
    is_foreign = origin is not None and origin.lower() != request.host_url.rstrip("/").lower()
    response.set_cookie(
        TOKEN_COOKIE,
        token,
        max_age=TOKEN_LIFETIME,
        path=f"{request.script_root}{config().app_base.removesuffix('/rest')}/subscriptions",
        secure=request.is_secure,
        httponly=True,
        samesite="None" if is_foreign and request.is_secure else "Lax",
    )


@blueprint.get(_SUBSCRIPTION)
@access.needs("read", "gateway", "streams")
def show_subscription(subscription: int) -> Response:
    return reply.json(_shape(_found(subscription, app_state().subscriptions.read(subscription, _owner()))))


@blueprint.put(_SUBSCRIPTION)
@access.needs("read", "gateway", "streams")
def extend_subscription(subscription: int) -> Response:
    """Add targets, and answer each of those sent. Raises the failure where there is none that can be added."""
    sent, most, owner = targets.sent() or [], config().stream_items, _owner()
    check_limit(len(sent), most, "targets of a subscription")
    good, bad = targets.sort(sent)
    if bad and not good:
        raise next(iter(bad.values()))
    found = _found(subscription, app_state().subscriptions.extend(subscription, owner, good, most))
    in_turns = app_state().client.concurrency.in_turns
    ids = {target: event for event, target in in_turns(found.events.items())}
    return reply.json(
        [
            targets.shape_failure(target, bad[target]) if target in bad else _shape_event(ids[target], target)
            for target in in_turns(sent)
        ]
    )


@blueprint.delete(_SUBSCRIPTION)
@access.needs("read", "gateway", "streams")
def delete_subscription(subscription: int) -> Response:
    """Delete the targets in the body; without a body the subscription, which ends its streams."""
    body.read()
    sent, owner = targets.sent(), _owner()
    if sent is not None:
        return reply.json(_shape(_found(subscription, app_state().subscriptions.remove(subscription, owner, sent))))
    if not app_state().subscriptions.delete(subscription, owner):
        raise _missing(subscription)
    return reply.no_content()


@blueprint.get(f"{_SUBSCRIPTION}/event-stream")
@access.needs("read", "gateway", "streams")
def stream_events(subscription: int) -> Response:
    owner = _owner()
    found = _found(subscription, app_state().subscriptions.read(subscription, owner))
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream", headers=_HEADERS)
    context = current()
    stream = app_state().client.streams.open("sse", context.identity.user, context.environ.get("REMOTE_ADDR", ""))
    events = EventStream(context, owner, found, stream, _last_event())
    response = Response(iter(events), mimetype="text/event-stream", headers=_HEADERS)
    response.call_on_close(events.close)
    return response


def _last_event() -> int | None:
    """Return the time of the last event that the client has received, in milliseconds; None for a new client."""
    text = request.headers.get("Last-Event-ID", "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


def _owner() -> str:
    """Return the user of the current request, with the method of authentication; empty for an anonymous client."""
    identity = current().identity
    return "" if identity.is_anonymous else f"{identity.method}:{identity.user}"


def _found(subscription: int, found: Subscription | None) -> Subscription:
    """Return a subscription of the current user. Raises NotFound without one."""
    if found is None:
        raise _missing(subscription)
    return found


def _missing(subscription: int) -> ApiError:
    return NotFound(f"no subscription {subscription} of this user; one without a stream is forgotten after a while")


def _shape(subscription: Subscription, bad: dict[Target, Exception] | None = None) -> JsonObject:
    in_turns = app_state().client.concurrency.in_turns
    return {
        "id": subscription.id,
        "events": [_shape_event(event, target) for event, target in in_turns(subscription.events.items())],
        "failures": [targets.shape_failure(target, error) for target, error in in_turns((bad or {}).items())],
    }


def _shape_event(event: int, target: Target) -> JsonObject:
    return {"id": event, "target": target._asdict()}
