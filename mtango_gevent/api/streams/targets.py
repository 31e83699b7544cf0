"""Targets of subscriptions: from the texts of a client to an attribute of a device. Contract: v11, 6."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson
from flask import request

from mtango_gevent.api import guard, hosts
from mtango_gevent.api.failures import failure_body
from mtango_gevent.api.query import check_name, quoted
from mtango_gevent.api.request_context import app_state
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import KINDS
from mtango_gevent.errors import ApiError, BadRequest, DevFailed, describe
from mtango_gevent.store import Target
from mtango_gevent.values import JsonObject, shown


class Followed(NamedTuple):
    """What a target names. kind: of the events, in lower case."""

    device: Device
    attribute: str
    kind: str


def sent() -> list[Target] | None:
    """Return the targets in the body, each once; None without a body. Raises BadRequest for anything else."""
    body = request.get_data()
    if not body:
        return None
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body: expected JSON, got an error: {error}") from None
    if found in ({}, None):  # which clients send for no body
        return None
    if not isinstance(found, list):
        raise BadRequest(f"the body: expected a list of targets, got {shown(found)}")
    return list(dict.fromkeys(map(_target, app_state().client.concurrency.in_turns(found))))


def _target(item: object) -> Target:
    given = item if isinstance(item, dict) else {}
    texts = [text for key in Target._fields if isinstance(text := given.get(key), str)]
    if len(texts) < len(Target._fields):
        raise BadRequest(f"the body: expected {', '.join(Target._fields)} as texts, got {shown(item)}")
    return Target(*texts)


def find(target: Target) -> Followed:
    """Return what a target names. Calls no device.

    Raises ApiError for impossible names, a Tango host that is not served, and what the client may not read.
    """
    kind = target.type.lower()
    if kind not in KINDS:
        raise BadRequest(f"type: expected one of {', '.join(KINDS)}, got {quoted(target.type)}")
    attribute = check_name("attribute", target.attribute)
    return Followed(hosts.find_device(target.host, target.device), attribute, kind)


def refusal(followed: Followed) -> ApiError | None:
    """Return why the client of the current request may not follow this; None where it may."""
    return guard.refusals("read", "attribute", followed.device, [followed.attribute]).get(followed.attribute)


def sort(targets: Iterable[Target]) -> tuple[list[Target], dict[Target, Exception]]:
    """Return the targets that can be followed, and why the others cannot."""
    good, bad = list[Target](), dict[Target, Exception]()
    for target in app_state().client.concurrency.in_turns(targets):
        try:
            problem = refusal(find(target))
        except (ApiError, DevFailed) as error:
            problem = error
        if problem is None:
            good.append(target)
        else:
            bad[target] = problem
    return good, bad


def shape_failure(target: Target, error: Exception) -> JsonObject:
    return {**failure_body(describe(error)), "target": target._asdict()}
