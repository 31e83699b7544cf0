"""mtango-py's system API: figures, caches, settings. Contract: rc3, section 9."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from flask import Blueprint, Response

from mtango_gevent import __version__, reports, workers
from mtango_gevent.api import reply, urls
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.control.host import tango_host_variable
from mtango_gevent.errors import NotFound

blueprint = Blueprint("sys", __name__)


@blueprint.get("")
def show_entry() -> Response:
    base = urls.base("sys")
    return reply.metadata(
        {
            "stats": f"{base}/stats",
            "devices": f"{base}/devices",
            "gc": [f"{base}/clean/{cache}" for cache in workers.CACHES],
            "active": [f"{base}/active/{cache}" for cache in workers.CACHES],
            "config": f"{base}/config",
            "version": f"mtango-gevent {__version__}",
        }
    )


@blueprint.get("/stats")
def show_statistics() -> Response:
    """Of the server: all its workers, those that have gone included, whichever of them answers."""
    app_state().client.publish()
    total, each = app_state().figures.board.read()
    now = time.time()
    return reply.value(
        {
            **_shape_figures(workers.grouped(total)),
            "running_since": app_state().figures.board.since,
            "time": now,
            "workers": [_shape_worker(workers.grouped(worker), now) for worker in each],
        }
    )


def _shape_worker(worker: dict[str, Any], now: float) -> dict[str, Any]:
    caches = {cache: worker[cache] for cache in workers.CACHES}
    return {"pid": worker["pid"], "age": now - worker["since"], **_shape_figures(worker), "cache": caches}


def _shape_figures(figures: dict[str, Any]) -> dict[str, Any]:
    """In mtango-py's shape."""
    return {
        **{key: figures[key] for key in ("requests", "responses", "failures")},
        "proxies": {"device": figures["devices"]["currsize"], "attribute": figures["attributes"]["currsize"]},
        **{key: figures[key] for key in ("pool", "circuits", "events", "async", "resource")},
    }


@blueprint.get("/devices")
def show_devices() -> Response:
    """How each device does that has been asked, as all workers know it."""
    app_state().client.publish()
    rows = reports.merged(app_state().figures.board.reports.read())
    return reply.value([_shape_device(row) for row in rows])


def _shape_device(row: dict[str, Any]) -> dict[str, Any]:
    seconds = row.pop("seconds")
    return {**row, "mean_time": seconds / row["calls"] if row["calls"] else None}


@blueprint.get("/config")
def show_config() -> Response:
    """What is in force, also where gunicorn's command line decided."""
    settings = {**dataclasses.asdict(config()), **app_state().in_force}
    return reply.metadata({**settings, "version": __version__, "TANGO_HOST": tango_host_variable()})


@blueprint.get("/cache/<cache>")
@blueprint.get("/active/<cache>")
def show_cache(cache: str) -> Response:
    """Hits, misses, currsize, maxsize: of the device proxies, or of the attribute configurations, of all workers."""
    _check(cache)
    app_state().client.publish()
    total, _ = app_state().figures.board.read()
    return reply.value(workers.grouped(total)[cache])


@blueprint.get("/clean/<cache>")
def clean_cache(cache: str) -> Response:
    """Whichever worker has the next request, it has an empty cache."""
    _check(cache)
    app_state().figures.board.clean(*(workers.CACHES if cache == "devices" else ["attributes"]))
    app_state().client.apply_pending_clears()
    return reply.no_content()


def _check(cache: str) -> None:
    if cache not in workers.CACHES:
        raise NotFound(f"no cache of that name: there are {' and '.join(workers.CACHES)}")
