"""The entry of v11 and its Tango hosts. Contract: v11, 3."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent.api import access, reply
from mtango_gevent.api.request_context import config
from mtango_gevent.api.v11 import urls
from mtango_gevent.control.host import TangoHost

blueprint = Blueprint("hosts", __name__)


@blueprint.get(urls.HOST)
@access.needs("read")
def show_host(tango_host: TangoHost) -> Response:
    url = urls.of_host(tango_host)
    return reply.metadata(
        {
            "id": f"{tango_host.host}:{tango_host.port}",
            "host": tango_host.host,
            "port": str(tango_host.port),
            "name": config().database_device,
            "info": tango_host.info(),
            "devices": f"{url}/devices",
            "tree": f"{url}/devices/tree",
        }
    )
