"""Liveness and readiness of the gateway, for supervisors and load balancers. Neither is part of a Tango API."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from flask import Blueprint, Response

from mtango_gevent.api import access, freshness, guard, reply
from mtango_gevent.api.request_context import app_state
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.database import DatabaseServer
from mtango_gevent.control.host import list_hosts
from mtango_gevent.errors import DevFailed, in_one_line

blueprint = Blueprint("health", __name__)

# Seconds that each further database may take to answer, as a probe of readiness waits for a few seconds only.
_WARNING_TIMEOUT = 1.0


@blueprint.get("/healthz")
@access.is_free
def show_life() -> Response:
    """Answer without a Tango call: a restart of the gateway does not bring Tango back."""
    return freshness.add_value_headers(reply.json({"status": "ok"}))


@blueprint.get("/readyz")
@access.is_free
def show_readiness() -> Response:
    """Answer 503 if the first database does not answer, if no thread is free for a call, or if the gateway stops.

    So too if a file without which it refuses requests cannot be used. A client that may not read learns only that.
    """
    of_access = list(app_state().access.problems())
    refusing = [problem.text for problem in of_access if problem.refuses]
    problems = [*refusing, *_problems()]
    answer: dict[str, object] = {"status": "not ready" if problems else "ok"}
    details: dict[str, list[str]] = {"problems": refusing}
    if guard.allows("read", "readyz"):
        warnings = [*_warnings(), *(problem.text for problem in of_access if not problem.refuses)]
        details = {"problems": problems, "warnings": warnings}
    answer |= {name: texts for name, texts in details.items() if texts}
    return freshness.add_value_headers(reply.json(answer, 503 if problems else 200))


def _problems() -> Iterator[str]:
    client, audit = app_state().client, app_state().audit
    if client.events.stopping:
        yield "the gateway stops"
    if audit.required and audit.problem:
        yield f"every change is refused: the audit log: {audit.problem}"
    calls = client.partitions.calls.semaphore
    if calls.free <= 0:
        abandoned = client.pool_info()["abandoned"]
        yield f"all {calls.limit} threads for calls of devices are busy, {abandoned} of them with abandoned calls"
    name = "Tango's database"
    try:
        host = list_hosts(client)[0]
        name += f" at {host.host}:{host.port}"
        host.info()
    except DevFailed as failure:
        yield f"{name}: {in_one_line(failure)}"


def _warnings() -> Iterator[str]:
    """Check the other Tango hosts and each server of a redundant database, without which the gateway still works."""
    client, audit, problem = app_state().client, app_state().audit, app_state().subscriptions.problem()
    if problem:
        yield problem
    if audit.problem and not audit.required:
        yield f"the audit log: {audit.problem}"
    with contextlib.suppress(DevFailed):  # reported as a problem
        first, *others = (host.database.servers for host in list_hosts(client))
        asked = [*(first if len(first) > 1 else []), *itertools.chain.from_iterable(others)]
        yield from filter(None, (_warning(client, server) for server in asked))


def _warning(client: TangoClient, server: DatabaseServer) -> str | None:
    try:
        client.concurrency.call_within(_WARNING_TIMEOUT, lambda: server.run("DbInfo"))
    except DevFailed as failure:
        return f"Tango's database at {server.name}: {in_one_line(failure)}"
    except TimeoutError:
        return f"Tango's database at {server.name} has not answered within {_WARNING_TIMEOUT:g} s"
    return None
