"""Changes of many devices in one request: each fails for itself, and a hanging device delays no other."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response

from mtango_gevent import limits
from mtango_gevent.api import changes, failures, guard, reply, writes
from mtango_gevent.api.access import Action, Change, Kind
from mtango_gevent.api.query import check_name, quoted
from mtango_gevent.api.request_context import app_state
from mtango_gevent.api.v11 import urls
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import (
    ApiError,
    BadRequest,
    DevFailed,
    NotFound,
    as_failure,
    check_limit,
    explained,
    not_made,
    status_of,
)
from mtango_gevent.names import folded
from mtango_gevent.values import JsonObject, RawInput

_NOT_SHOWN = "it was done, but its result cannot be shown"


@dataclasses.dataclass
class Item:
    """One change of a request. sent: the object in the body; raw: the new value or argument in it.

    check: raises ApiError where the client may not change what the device has by some name.
    result: of the change; shown: what the answer has besides host and device, as they were sent.
    """

    sent: JsonObject
    device: Device
    raw: RawInput
    check: Callable[[str], None]
    result: Any = None
    shown: JsonObject = dataclasses.field(default_factory=dict)
    failure: Exception | None = None
    change: Change | None = None

    @property
    def name(self) -> str:
        return self.sent["name"]

    @property
    def noted(self) -> list[Change]:
        """The change for the audit log, if there is one."""
        return [self.change] if self.change else []

    def fail(self, error: Exception) -> None:
        """Keep why the change was not made. A refusal stays one."""
        known = isinstance(error, (ApiError, DevFailed))
        self.failure = error if known else as_failure(error, "MTANGO_NotMade", "the gateway cannot do it")

    def show(self, shape: Callable[[Item], JsonObject]) -> None:
        """Add what `shape` returns to the answer. A failure says that the change itself was made."""
        try:
            self.shown |= shape(self)
        except Exception as error:
            self.failure = explained(as_failure(error, "MTANGO_NotShown", "the gateway cannot show it"), _NOT_SHOWN)


@dataclasses.dataclass(frozen=True)
class Task:
    """What a request does with each item. key: of the new value in an item.

    check: raises BadRequest for a value that does not fit; make: makes the change and returns its result.
    show: adds to the answer of items of a device, which have been changed.
    """

    action: Action
    kind: Kind
    key: str
    check: Callable[[Item], object]
    make: Callable[[Item], object]
    show: Callable[[Device, list[Item]], object]


def answer_changes(task: Task) -> Response:
    """Make the changes that the body lists, of all devices at the same time, and answer each in its place."""
    sent, client = writes.items(), app_state().client
    hosts = {item["host"] for item in sent}
    check_limit(len(hosts), limits.WILDCARDS, "hosts")
    known = {host: urls.parse_host(host) for host in hosts}
    found = [_item(task, each, known[each["host"]]) for each in client.concurrency.in_turns(sent)]
    items = [item for item in found if isinstance(item, Item)]
    _begin(task, items)
    if writes.asynchronous():
        return _answer_later(task, found)
    client.ask_at_once(functools.partial(_change, task), _by_device(items))
    return reply.json([_shape(task, *each) for each in zip(sent, found, strict=True)])


def _item(task: Task, sent: JsonObject, host: TangoHost | None) -> Item | Exception:
    """Return the change that a part of the body asks for, or why there can be none."""
    parts = sent["device"].split("/")
    if host is None:
        return NotFound(f"expected a Tango host that is served, got {quoted(sent['host'])}")
    try:
        if len(parts) != 3:
            raise BadRequest(f"expected a device as domain/family/member, got {quoted(sent['device'])}")
        for kind, part in zip(("domain", "family", "member", task.kind), [*parts, sent["name"]], strict=True):
            check_name(kind, part)
    except BadRequest as error:
        return error
    device = Device(host, sent["device"])
    return Item(sent, device, writes.member(sent.get(task.key)), guard.checker(task.action, task.kind, device))


def _begin(task: Task, items: Sequence[Item]) -> None:
    """Check the access of the client, and begin the lines of the audit log."""
    begun = changes.begin_items(task.action, task.kind, [(item.device, item.name, item.raw) for item in items])
    for item, (refusal, change) in zip(items, begun, strict=True):
        item.failure, item.change = refusal, change
        if refusal is None:
            _check_device(item)


def _check_device(item: Item) -> None:
    try:
        guard.check_device(item.device)
    except DevFailed as failure:
        item.failure = failure
        changes.note_failure(item.noted, failure)


def _by_device(items: Sequence[Item]) -> list[list[Item]]:
    """Return the items without a failure, in the order of the request, by device."""
    by_device: dict[str, list[Item]] = {}
    for item in items:
        if item.failure is None:
            by_device.setdefault(folded(item.device.full_name), []).append(item)
    return list(by_device.values())


def _change(task: Task, items: list[Item]) -> None:
    """Make the changes of one device, and show the results."""
    _make(task, items)
    made = [item for item in items if item.failure is None]
    if made:
        task.show(made[0].device, made)


def _make(task: Task, items: Sequence[Item]) -> None:
    """Make the changes of one device. Once the device is unreachable the rest is not tried."""
    unreachable: DevFailed | None = None
    for item in items:
        try:
            if unreachable is not None:
                raise unreachable
            item.result = task.make(item)
            changes.note_outcomes(item.noted, {})
        except Exception as error:
            item.fail(error)
            changes.note_failure(item.noted, error)
            if unreachable is None and isinstance(error, DevFailed) and status_of(error) == 503:
                unreachable = not_made(error, f"this was not tried, as {item.name} failed")


def _answer_later(task: Task, found: Sequence[Item | Exception]) -> Response:
    """Queue the changes behind those that wait for their devices. Raises the first failure, and then none is made."""
    for item in found:
        failure = item.failure if isinstance(item, Item) else item
        if failure is not None:
            raise failure
    groups = _by_device([item for item in found if isinstance(item, Item)])
    app_state().client.ask_at_once(lambda items: [task.check(item) for item in items], groups)
    for items in groups:
        _queue(task, items)
    return reply.no_content()


def _queue(task: Task, items: list[Item]) -> None:
    def make_all(noted: Sequence[Change]) -> None:
        copies = iter(noted)
        for item in items:
            item.change = next(copies) if item.change else None
        _make(task, items)
        changes.raise_failures(item.failure for item in items if item.failure is not None)

    about = f"{task.action} of {', '.join(item.name for item in items)}"
    changes.later(items[0].device, about, make_all, [each for item in items for each in item.noted])


def _shape(task: Task, sent: JsonObject, item: Item | Exception) -> JsonObject:
    """Return the answer to one change, with what was sent besides a new value."""
    identity = {"host": sent["host"], "device": sent["device"]}
    if task.key == "input" and sent.get("input") is not None:
        identity["input"] = sent["input"]
    failure = item.failure if isinstance(item, Item) else item
    if isinstance(item, Item) and failure is None:
        return {"name": item.name, **item.shown, **identity}
    assert failure is not None
    shown = failures.unshown_item(sent["name"], failure)
    if isinstance(failure, BadRequest):  # as tests of the field expect of a value of another type
        shown["errors"] = [{**error, "severity": "PANIC"} for error in shown["errors"]]
    return {**shown, **identity}
