"""For what watches the server: whether it lives, and whether it can do its work. Neither is part of a Tango API."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response

from mtango_gevent.api import reply
from mtango_gevent.api.exchange import context
from mtango_gevent.control.host import list_hosts
from mtango_gevent.errors import DevFailed

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def show_life() -> Response:
    """Asks nobody: a server whose Tango is away is not to be restarted for it."""
    return reply.momentary(reply.json({"status": "ok"}))


@blueprint.get("/readyz")
def show_readiness() -> Response:
    """503 where the database does not answer, or no thread is free for a call, or the server stops."""
    problems = list(_problems())
    answer = {"status": "not ready", "problems": problems} if problems else {"status": "ok"}
    return reply.momentary(reply.json(answer, 503 if problems else 200))


def _problems() -> Iterator[str]:
    client = context().client
    if client.events.stopping:
        yield "the server stops"
    calls = client.green.shares.calls.slots
    if calls.free <= 0:  # below 0 where a quick call was slow after all (see Slots.overdraw)
        in_vain = client.green.info()["abandoned"]
        yield f"all {calls.limit} threads for calls of devices are busy, {in_vain} calls in vain"
    try:
        list_hosts(client)[0].info()
    except DevFailed as failure:
        yield "Tango's database: " + " < ".join(f"{error.reason}: {error.desc}" for error in failure.args)
