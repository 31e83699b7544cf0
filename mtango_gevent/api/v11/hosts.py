"""The entry of v11, its Tango hosts and their devices. Contract: v11, 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, Response

from mtango_gevent.api import access, query, reply
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.api.v11 import answers, urls
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import BadRequest
from mtango_gevent.names import folded
from mtango_gevent.values import JsonObject

blueprint = Blueprint("hosts", __name__)

# The challenge of the specification, where the gateway has none of its own.
_CHALLENGE = 'Basic realm="Tango-Controls Realm"'


@blueprint.get("")
@access.needs("read", "gateway", "api")
def show_entry() -> Response:
    response = answers.metadata({"hosts": f"{urls.base()}/hosts"})
    for challenge in app_state().access.authentication.challenges() or [_CHALLENGE]:
        response.headers.add("WWW-Authenticate", challenge)
    return response


@blueprint.get("/hosts")
@access.needs("read", "gateway", "api")
def refuse_list_of_hosts() -> Response:
    raise BadRequest("expected a Tango host in the URL, as hosts/host;port=10000")


@blueprint.get(urls.HOST)
@access.needs("read")
def show_host(tango_host: TangoHost) -> Response:
    url = urls.of_devices(tango_host)
    return answers.metadata(
        {
            "id": urls.host_id(tango_host),
            "host": tango_host.host,
            "port": str(tango_host.port),
            "name": config().database_device,
            "info": tango_host.info(),
            "devices": url,
            "tree": f"{url}/tree",
        }
    )


# --- devices ---


@blueprint.get(urls.HOST + "/devices")
@access.needs("read")
def list_devices(tango_host: TangoHost) -> Response:
    """Answer the devices that match one `wildcard` or more."""
    names, aliases = tango_host.device_names(query.wildcards_with_text() or ["*"]), tango_host.aliases()
    url = urls.of_devices(tango_host)

    def render(selected: Sequence[str]) -> Rendered:
        return reply.render_items(selected, None, lambda name: _shape_name(name, aliases.get(folded(name)), url))

    return answers.part_of(
        names, lambda selected: reply.kept(url, (names, aliases), lambda: render(selected)), began=None
    )


def _shape_name(name: str, alias: str | None, url: str) -> JsonObject:
    shape = {"name": name, "alias": alias, "href": f"{url}/{urls.path(name)}"}
    return shape if alias else {key: text for key, text in shape.items() if key != "alias"}


@blueprint.get(urls.HOST + "/devices/<domain>")
@access.needs("read")
def list_families(tango_host: TangoHost, domain: str) -> Response:
    return _answer_names(tango_host.families, f"{domain}/{{}}/*")


@blueprint.get(urls.HOST + "/devices/<domain>/<family>")
@access.needs("read")
def list_members(tango_host: TangoHost, domain: str, family: str) -> Response:
    return _answer_names(tango_host.members, f"{domain}/{family}/{{}}")


def _answer_names(find: Callable[[str], list[str]], pattern: str) -> Response:
    """Answer the names that match one `wildcard` or more in their part of a device's name."""
    found = {name for part in query.wildcards_with_text() or ["*"] for name in find(pattern.format(part))}
    return answers.metadata(sorted(found, key=folded))
