"""For what watches the server: whether it lives, and whether it can do its work. Neither is part of a Tango API."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from flask import Blueprint, Response

from mtango_gevent.api import freshness, reply
from mtango_gevent.api.request_context import app_state
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.database import DatabaseServer
from mtango_gevent.control.host import list_hosts
from mtango_gevent.errors import DevFailed, in_one_line

blueprint = Blueprint("health", __name__)

# How long each further database may take to answer: what asks for readiness waits for no longer than a few seconds.
_SECONDS = 1.0


@blueprint.get("/healthz")
def show_life() -> Response:
    """Asks nobody: a server whose Tango is away is not to be restarted for it."""
    return freshness.add_value_headers(reply.json({"status": "ok"}))


@blueprint.get("/readyz")
def show_readiness() -> Response:
    """503 where the first database does not answer, or no thread is free for a call, or the server stops."""
    problems, warnings = list(_problems()), list(_warnings())
    answer = {
        "status": "not ready" if problems else "ok",
        **({"problems": problems} if problems else {}),
        **({"warnings": warnings} if warnings else {}),
    }
    return freshness.add_value_headers(reply.json(answer, 503 if problems else 200))


def _problems() -> Iterator[str]:
    client = app_state().client
    if client.events.stopping:
        yield "the server stops"
    calls = client.partitions.calls.semaphore
    if calls.free <= 0:
        in_vain = client.pool_info()["abandoned"]
        yield f"all {calls.limit} threads for calls of devices are busy, {in_vain} calls in vain"
    name = "Tango's database"
    try:
        host = list_hosts(client)[0]
        name += f" at {host.host}:{host.port}"
        host.info()
    except DevFailed as failure:
        yield f"{name}: {in_one_line(failure)}"


def _warnings() -> Iterator[str]:
    """Of the other Tango hosts, and of each server of a redundant database: without one of them the rest is served."""
    client = app_state().client
    with contextlib.suppress(DevFailed):  # which is a problem already
        first, *others = (host.database.servers for host in list_hosts(client))
        asked = [*(first if len(first) > 1 else []), *itertools.chain.from_iterable(others)]
        yield from filter(None, (_trouble(client, server) for server in asked))


def _trouble(client: TangoClient, server: DatabaseServer) -> str | None:
    try:
        client.concurrency.call_within(_SECONDS, lambda: server.run("DbInfo"))
    except DevFailed as failure:
        return f"Tango's database at {server.name}: {in_one_line(failure)}"
    except TimeoutError:
        return f"Tango's database at {server.name} has not answered within {_SECONDS:g} s"
    return None
