"""The system API of mtango-py: statistics, caches, settings. Contract: rc3, section 9."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from flask import Blueprint, Response

from mtango_gevent import __version__
from mtango_gevent.api import access, guard, query, reply, request_targets, urls
from mtango_gevent.api.request_context import Checked, app_state, config, current
from mtango_gevent.config import Config
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import list_hosts, tango_host_variable
from mtango_gevent.errors import BadRequest, NotFound
from mtango_gevent.scoreboard import CACHES

blueprint = Blueprint("sys", __name__)

# Failed requests in one answer.
_MOST_FAILURES = 200


@blueprint.get("")
@access.needs("read", "gateway", "sys")
def show_entry() -> Response:
    base = urls.base("sys")
    return reply.metadata(
        {
            "stats": f"{base}/stats",
            "devices": f"{base}/devices",
            "streams": f"{base}/streams",
            "gc": [f"{base}/clean/{cache}" for cache in CACHES],
            "active": [f"{base}/active/{cache}" for cache in CACHES],
            "config": f"{base}/config",
            "whoami": f"{base}/whoami",
            "login": f"{base}/login",
            "failures": f"{base}/failures",
            "version": f"mtango-gevent {__version__}",
        }
    )


@blueprint.get("/stats")
@access.needs("read", "gateway", "sys/stats")
def show_statistics() -> Response:
    """Show the statistics of the gateway and of each worker. Counters include workers that have ended."""
    total, workers = _read()
    now = time.time()
    return reply.value(
        {
            **_shape_figures(total),
            "running_since": app_state().metrics.scoreboard.started,
            "time": now,
            "workers": [_shape_worker(worker, now) for worker in workers],
        }
    )


def _shape_worker(worker: dict[str, Any], now: float) -> dict[str, Any]:
    caches = {cache: worker[cache] for cache in CACHES}
    return {"pid": worker["pid"], "age": now - worker["since"], **_shape_figures(worker), "cache": caches}


def _shape_figures(figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures in mtango-py's shape."""
    return {
        **{key: figures[key] for key in ("requests", "responses", "failures")},
        "proxies": {"device": figures["devices"]["currsize"], "attribute": figures["attributes"]["currsize"]},
        **{key: figures[key] for key in ("pool", "circuits", "events", "streams", "hub", "async", "resource")},
    }


@blueprint.get("/devices")
@access.needs("read", "gateway", "sys/devices")
def show_devices() -> Response:
    """Show the status of each device that was called, from all workers."""
    app_state().client.publish()
    return reply.value([_shape_device(row) for row in app_state().metrics.scoreboard.read_devices()])


def _shape_device(row: dict[str, Any]) -> dict[str, Any]:
    seconds = row.pop("seconds")
    return {**row, "mean_time": seconds / row["calls"] if row["calls"] else None}


@blueprint.get("/streams")
@access.needs("read", "gateway", "sys/streams")
def show_streams() -> Response:
    """Show the open streams of all workers: the client, the attributes, the records sent and dropped, the lag.

    A client that may not administer them is shown its own.
    """
    rows = app_state().client.read_streams()
    return reply.value(_visible(rows, "sys/streams"))


@blueprint.get("/failures")
@access.needs("read", "gateway", "sys/failures")
def show_failures() -> Response:
    """Show the last failed requests of all workers, or those with the id of the parameter `request`.

    A client that may not administer them is shown its own.
    """
    id = query.single("request")
    rows = [row for row in app_state().failed_requests.read() if id in (None, row["id"])]
    return reply.value(_visible(rows, "sys/failures")[:_MOST_FAILURES])


def _visible(rows: list[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    """Return the rows that the client may see: its own, and all if it may administer that part of the gateway."""
    context = current()
    control, target = context.state.access, access.Target("administer", "gateway", part)
    if control.is_open or control.refusal(context.identity, context.environ, target) is None:
        return rows
    return [row for row in rows if _is_own(row)]


def _is_own(row: dict[str, Any]) -> bool:
    """Return whether a stream or request is the user's; that of an anonymous client is of its address."""
    user, address = current().identity.user, current().environ.get("REMOTE_ADDR", "")
    return row["user"] == user if user else row["user"] is None and row["address"] == address


@blueprint.get("/config")
@access.needs("read", "gateway", "sys/config")
def show_config() -> Response:
    """Show the settings in force, including those from gunicorn's command line."""
    settings = {**config().shown(), **_java_settings(config()), **app_state().in_force}
    return reply.metadata({**settings, "version": __version__, "TANGO_HOST": tango_host_variable()})


def _java_settings(config: Config) -> dict[str, Any]:
    """Return the four cache settings of the Java server, which has them at `/sys`; delays are milliseconds."""
    return {
        "dynamicValueExpirationDelay": int(config.value_max_age * 1000),
        "staticValueExpirationDelay": int(config.metadata_max_age * 1000),
        "capacity": config.cache_size,
        "cacheEnabled": config.value_max_age > 0 or config.metadata_max_age > 0,
    }


@blueprint.get("/whoami")
@access.is_free
def show_user() -> Response:
    """Show which user the gateway takes the client for, also where access rules allow the user nothing."""
    guard.check_credentials()
    context = current()
    identity = context.identity
    answer = {
        "user": identity.user or None,
        "anonymous": identity.is_anonymous,
        "groups": sorted(identity.groups),
        "method": identity.method,
        "address": context.environ.get("REMOTE_ADDR") or None,
        **_shape_decision(),
    }
    return reply.json(query.filtered(answer))


def _shape_decision() -> dict[str, Any]:
    """Return whether the user may do the action of the query, without doing it; nothing without an `action`."""
    action, kind, name = (query.single(key) or "" for key in ("action", "kind", "name"))
    device = _device()
    if not action:
        return {}
    if action not in access.ACTIONS:
        raise BadRequest(f"action: expected one of {', '.join(access.ACTIONS)}, got {query.quoted(action)}")
    kind = kind or access.usual_kind(action, device.name if device else "", name)
    if kind not in access.KINDS or (kind == "gateway") != (device is None):
        expected = ", ".join(access.KINDS)
        raise BadRequest(
            f"kind: expected one of {expected}, with a device for all but gateway, got {query.quoted(kind)}"
        )
    target, decision = _decide(action, kind, name, device)
    return {"action": target.action, **dataclasses.asdict(decision)}


def _decide(
    action: access.Action, kind: access.Kind, name: str, device: Device | None
) -> tuple[access.Target, access.Decision]:
    """Return the target that is meant, and whether the client may do this. device: None for a part of the gateway."""
    context = current()
    if device is None:
        target = access.Target(action, kind, access.comparable(kind, name))
    else:
        target = request_targets.of_device(context.state, action, kind, device, name)
    decision = context.state.access.decide(context.identity, context.environ, target)
    if not decision.allowed or context.identity.is_anonymous:  # of whom the Tango host is not asked
        return target, decision
    guard.check_spelling(device)
    refusal = guard.refusal_of_tango(context, Checked(target, device))
    return target, access.Decision(False, refusal.description) if refusal else decision


def _device() -> Device | None:
    """Return the device that the query names, of the first Tango host unless it has `tango_host`."""
    given, host = query.single("device"), query.single("tango_host")
    if given is None:
        return None
    parts = given.split("/")
    if len(parts) != 3:
        raise BadRequest(f"device: expected domain/family/member, got {query.quoted(given)}")
    for kind, part in zip(("domain", "family", "member"), parts, strict=True):
        query.check_name(kind, part)
    if host is None:
        return Device(list_hosts(app_state().client)[0], given)
    name, _, port = host.rpartition(":")
    return Device(urls.find_tango_host(name, port), given)


@blueprint.get("/cache/<cache>")
@blueprint.get("/active/<cache>")
@access.needs("read", "gateway", "sys/cache")
def show_cache(cache: str) -> Response:
    """Show hits, misses, currsize and maxsize of the device proxies or the attribute configurations of all workers."""
    _check(cache)
    total, _ = _read()
    return reply.value(total[cache])


@blueprint.get("/clean/<cache>")
@access.needs("administer", "gateway", "sys/clean")
def clean_cache(cache: str) -> Response:
    """Have each worker clear the cache before its next request."""
    _check(cache)
    app_state().metrics.scoreboard.request_clear(*(CACHES if cache == "devices" else ["attributes"]))
    app_state().client.apply_pending_clears()
    return reply.no_content()


def _read() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    app_state().client.publish()
    return app_state().metrics.read()


def _check(cache: str) -> None:
    if cache not in CACHES:
        raise NotFound(f"no such cache: expected {' or '.join(CACHES)}")
