"""The tree of devices, of one Tango host or of several. Contract: v11, 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson
from flask import Blueprint, Response

from mtango_gevent import limits
from mtango_gevent.api import access, failures, guard, query, reply
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import app_state, http_request
from mtango_gevent.api.v11 import answers, urls
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import DevFailed, check_limit, describe
from mtango_gevent.names import folded
from mtango_gevent.values import JsonObject

blueprint = Blueprint("tree", __name__)

# The names and the aliases of the devices of a Tango host.
Found: TypeAlias = tuple[list[str], dict[str, str]]


@blueprint.get(urls.HOST + "/devices/tree")
@access.needs("read")
def show_tree_of_host(tango_host: TangoHost) -> Response:
    return _answer([tango_host])


@blueprint.get("/devices/tree")
@access.needs("read", by_view=True)
def show_tree() -> Response:
    """Answer the tree of each `host`, without those that are not served or that the client may not read."""
    return _answer(_readable(_hosts()))


def _answer(hosts: Sequence[TangoHost]) -> Response:
    wildcards = _wildcards()
    found = tuple(app_state().client.ask_at_once(lambda host: _find(host, wildcards), hosts))

    def render() -> Rendered:
        shapes = [_shape_host(host, each) for host, each in zip(hosts, found, strict=True)]
        return reply.render(shapes, lambda shapes: [_encode(query.filtered(shape)) for shape in shapes])

    return answers.rendered(reply.kept(tuple(hosts), found, render), began=None)


def _hosts() -> list[TangoHost]:
    given = dict.fromkeys(filter(None, http_request().args.getlist("host")))
    check_limit(len(given), limits.WILDCARDS, "hosts")
    return list(dict.fromkeys(host for host in map(urls.parse_host, given) if host is not None))


def _readable(hosts: list[TangoHost]) -> list[TangoHost]:
    """Return the hosts that the client may read. Raises ApiError where it may read none of them."""
    refusals = {host: guard.refusal("read", "device", Device(host, "")) for host in hosts}
    readable = [host for host, refusal in refusals.items() if refusal is None]
    for refusal in refusals.values():
        if refusal is not None and not readable:
            raise refusal
    return readable


def _wildcards() -> list[str]:
    """Return patterns of whole names; the parts that a wildcard does not have are any."""
    given = query.wildcards_with_text() or ["*"]
    return [wildcard + "/*" * (2 - wildcard.count("/")) for wildcard in given]


def _find(host: TangoHost, wildcards: list[str]) -> Found | DevFailed:
    try:
        return host.device_names(wildcards), host.aliases()
    except DevFailed as failure:
        return DevFailed(*failure.args)  # without a traceback, as it may be kept


def _shape_host(host: TangoHost, found: Found | DevFailed) -> JsonObject:
    """Return the tree of a Tango host, or the failure of its database."""
    root = {"id": urls.host_id(host), "value": urls.host_id(host), "$css": "tango_host"}
    if isinstance(found, DevFailed):
        return {**root, "data": [], "isAlive": False, "devFailed": failures.failure_body(describe(found))}
    return {**root, "data": [_shape_aliases(*found), *_shape_domains(host, found[0])], "isAlive": True}


def _encode(branch: JsonObject) -> orjson.Fragment:
    """Encode a branch while other greenlets run from time to time."""
    if "data" not in branch:
        return orjson.Fragment(reply.encode(branch))
    items = [_encode(item) if "data" in item else item for item in branch["data"]]
    return orjson.Fragment(reply.encode({**branch, "data": orjson.Fragment(reply.encode_in_turns(items))}))


def _shape_aliases(names: Sequence[str], aliases: Mapping[str, str]) -> JsonObject:
    concurrency = app_state().client.concurrency
    devices = {aliases[folded(name)]: name for name in concurrency.in_turns(names) if folded(name) in aliases}
    items = [
        {"value": alias, "$css": "member", "isAlias": True, "device_name": devices[alias]}
        for alias in concurrency.sorted_in_turns(devices, folded)
    ]
    return {"value": "aliases", "$css": "aliases", "data": items}


def _shape_domains(host: TangoHost, names: Sequence[str]) -> list[JsonObject]:
    branches: dict[str, JsonObject] = {"": {"data": []}}
    for name in app_state().client.concurrency.in_turns(names):
        domain, family, member = name.split("/", 2)
        _branch(branches, "", domain, "tango_domain")
        family_data = _branch(branches, domain, family, "tango_family")
        family_data.append(_shape_member(host, name, member))
    return branches[""]["data"]


def _branch(branches: dict[str, JsonObject], parent: str, value: str, css: str) -> list[JsonObject]:
    """Return the items of a domain or family, which is added to its parent if it is new."""
    key = folded(f"{parent}/{value}" if parent else value)
    if key not in branches:
        branches[key] = {"value": value, "$css": css, "data": []}
        branches[folded(parent)]["data"].append(branches[key])
    return branches[key]["data"]


def _shape_member(host: TangoHost, name: str, member: str) -> JsonObject:
    return {
        "id": f"{urls.host_id(host)}/{name}",
        "value": member,
        "$css": "member",
        "isMember": True,
        "device_name": name,
    }
