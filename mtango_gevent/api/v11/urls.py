"""URLs of v11: the Tango host is one part of the path, `host` or `host;port=10000`."""

from __future__ import annotations

import re
from typing import Any

from mtango_gevent.api import timestamps, urls
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import BadRequest

HOST = "/hosts/<host>"
DEVICE = HOST + "/devices/<domain>/<family>/<member>"

_HOST = re.compile(r"([^;]*)(?:;port=([0-9]{1,5}))?")


def resolve(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Replace the parts of the URL, as urls.resolve does. Raises BadRequest, too, for another parameter than `port`."""
    timestamps.use_milliseconds()
    if values and "host" in values:
        found = _HOST.fullmatch(values["host"])
        if found is None:
            raise BadRequest(f"expected a Tango host as host or host;port=10000, got {urls.quoted(values['host'])}")
        values["host"], values["port"] = found[1], found[2] or "10000"
    urls.resolve(endpoint, values)


def of_host(host: TangoHost) -> str:
    return f"{urls.base('v11')}/hosts/{urls.segment(host.host)};port={host.port}"
