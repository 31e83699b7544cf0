"""The entry of rc3, Tango hosts and their devices. Contract: rc3, 2.1."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response

from mtango_gevent.api import access, query, ranges, reply, urls
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.control.host import TangoHost, list_hosts

blueprint = Blueprint("hosts", __name__)


@blueprint.get("")
@access.needs("read", "gateway", "api")
def show_entry() -> Response:
    method = app_state().access.authentication.rc3_name
    return reply.metadata({"hosts": f"{urls.base('rc3')}/hosts", "x-auth-method": method})


@blueprint.get("/hosts")
@access.needs("read", "gateway", "api")
def show_hosts() -> Response:
    """Answer an object; clients begin at the URL of its first key."""
    return reply.metadata({f"{h.host}:{h.port}": urls.of_host("rc3", h) for h in list_hosts(app_state().client)})


@blueprint.get(urls.HOST)
@access.needs("read")
def show_host(tango_host: TangoHost) -> Response:
    return reply.metadata(
        {
            "host": tango_host.host,
            "port": tango_host.port,
            "name": config().database_device,
            "info": tango_host.info(),
            "devices": urls.of_devices("rc3", tango_host),
        }
    )


@blueprint.get(urls.HOST + "/devices")
@access.needs("read")
def list_devices(tango_host: TangoHost) -> Response:
    """Answer the devices that match `wildcard`, and mtango-py's `domain`, `family` and `member`."""
    names = _matching(tango_host.device_names(query.wildcards()))
    url = urls.of_devices("rc3", tango_host)

    def render(selected: Sequence[str], part: ranges.Part | None) -> Rendered:
        return reply.render_items(selected, part, lambda name: {"name": name, "href": f"{url}/{urls.path(name)}"})

    return reply.part_of(
        names, lambda selected, part: reply.kept(url, (names,), lambda: render(selected, part)), began=None
    )


def _matching(names: list[str]) -> list[str]:
    """Return the names that mtango-py's parameters select."""
    parts, in_turns = query.name_parts(), app_state().client.concurrency.in_turns
    return names if parts is None else [name for name in in_turns(names) if parts.match(name)]
