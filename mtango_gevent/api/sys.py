"""mtango-py's system API: figures, caches, settings. Contract: rc3, section 9."""

from __future__ import annotations

import dataclasses
import time

from flask import Blueprint, Response

from mtango_gevent import __version__
from mtango_gevent.api import reply, urls
from mtango_gevent.api.context import config, context
from mtango_gevent.control.host import tango_host_variable
from mtango_gevent.errors import NotFound
from mtango_gevent.workers import resource_usage

blueprint = Blueprint("sys", __name__)

CACHES = ("devices", "attributes")


@blueprint.get("")
def show_entry() -> Response:
    base = urls.base("sys")
    return reply.metadata(
        {
            "stats": f"{base}/stats",
            "gc": [f"{base}/clean/{cache}" for cache in CACHES],
            "active": [f"{base}/active/{cache}" for cache in CACHES],
            "config": f"{base}/config",
            "version": f"mtango-gevent {__version__}",
        }
    )


@blueprint.get("/stats")
def show_statistics() -> Response:
    """Of the worker that answers."""
    client, statistics = context().client, context().statistics
    return reply.value(
        {
            "requests": statistics.requests,
            "responses": statistics.responses,
            "running_since": statistics.running_since,
            "time": time.time(),
            "proxies": {"device": client.proxies.info()["currsize"], "attribute": client.attributes.info()["currsize"]},
            "pool": client.green.info(),
            "events": client.events.info(),
            "async": client.background.info(),
            "resource": resource_usage(),
        }
    )


@blueprint.get("/config")
def show_config() -> Response:
    settings = dataclasses.asdict(config())
    return reply.metadata({**settings, "version": __version__, "TANGO_HOST": tango_host_variable()})


@blueprint.get("/cache/<cache>")
@blueprint.get("/active/<cache>")
def show_cache(cache: str) -> Response:
    """Hits, misses, currsize, maxsize: of the device proxies, or of the attribute configurations."""
    client = context().client
    return reply.value({"devices": client.proxies, "attributes": client.attributes}[_check(cache)].info())


@blueprint.get("/clean/<cache>")
def clean_cache(cache: str) -> Response:
    client = context().client
    {"devices": client.clean_devices, "attributes": client.clean_attributes}[_check(cache)]()
    return reply.nothing()


def _check(cache: str) -> str:
    if cache not in CACHES:
        raise NotFound(f"no cache of that name: there are {' and '.join(CACHES)}")
    return cache
