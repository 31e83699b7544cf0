"""Items of many devices that wildcards select. Contract: v11, 4.2.

A wildcard is host[:port]/domain/family/member/item: its device may be a pattern, its item is a name or `*`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mtango_gevent import limits
from mtango_gevent.api import failures, guard, query
from mtango_gevent.api.access import Kind
from mtango_gevent.api.request_context import app_state
from mtango_gevent.api.v11 import urls
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import ApiError, BadRequest, DevFailed, check_limit
from mtango_gevent.names import folded
from mtango_gevent.text import read_text
from mtango_gevent.values import JsonObject

ALL = "*"


class Wildcard(NamedTuple):
    """A wildcard with the Tango host that it names. item: a name or ALL."""

    host: TangoHost
    device: str
    item: str

    @property
    def is_pattern(self) -> bool:
        return "*" in self.device


class Match(NamedTuple):
    """A device that a wildcard matches. item: as in the wildcard."""

    device: Device
    item: str


class Failed(NamedTuple):
    """An item, or all items of a device or of devices, that cannot be shown."""

    device: Device
    name: str
    error: Exception

    def shape(self) -> JsonObject:
        identity = {"host": urls.host_id(self.device.host), "device": self.device.name}
        return {**failures.unshown_item(self.name, self.error), **identity}


class Selected(NamedTuple):
    """A device and the descriptions of its items that are selected. device_name: as the database spells it."""

    device: Device
    device_name: str
    infos: list[Any]


class Listing(NamedTuple):
    """A kind of items, how a device lists them, and the key of their names."""

    kind: Kind
    of: Callable[[Device], Sequence[Any]]
    key: str = "name"


def select(listing: Listing) -> tuple[list[Selected], list[Failed]]:
    """Return the items that the wildcards of the request select, by device, and what cannot be listed.

    Hosts, devices and items that do not exist are left out. The devices are asked at the same time.
    Raises BadRequest without a wildcard and for too many devices or items, and ApiError where the client may read none.
    """
    texts = query.wildcards_with_text()
    if not texts:
        raise BadRequest("expected a parameter wildcard, host:port/domain/family/member/name, got none")
    wildcards, client = list(filter(None, map(_parse, texts))), app_state().client
    matches = list(
        itertools.chain.from_iterable(client.ask_at_once(lambda each: _match(listing.kind, each), wildcards))
    )
    failed = [match for match in matches if isinstance(match, Failed)]
    names = _by_device(match for match in matches if not isinstance(match, Failed))
    _raise_refusal(names, failed)
    check_limit(len(names), limits.DEVICES, "devices")
    found = client.ask_at_once(lambda item: _list(listing, *item), list(names.items()))
    selected = [item for item in found if isinstance(item, Selected)]
    check_limit(sum(len(item.infos) for item in selected), limits.ITEMS, "items")
    return selected, failed + [item for items in found if isinstance(items, list) for item in items]


def _parse(text: str) -> Wildcard | None:
    """Return None for a wildcard without all its parts, and for one of a host that is not served."""
    host_name, _, rest = text.partition("/")
    device, _, item = rest.rpartition("/")
    if not host_name or not item or device.count("/") != 2 or not all(device.split("/")):
        return None
    host = urls.parse_host(host_name)
    return Wildcard(host, device, item) if host else None


def _match(kind: Kind, wildcard: Wildcard) -> list[Match | Failed]:
    """Return the devices that a wildcard matches, each with the name of an item or ALL, and what fails."""
    asked = Device(wildcard.host, wildcard.device)
    try:
        devices = [Device(wildcard.host, name) for name in _names(kind, wildcard, asked)]
    except (ApiError, DevFailed) as error:
        return [Failed(asked, wildcard.item, error)]
    refusals = {
        device: _refusal(kind, device, wildcard.item) for device in app_state().client.concurrency.in_turns(devices)
    }
    return [
        Failed(device, wildcard.item, refusal) if refusal else Match(device, wildcard.item)
        for device, refusal in refusals.items()
    ]


def _names(kind: Kind, wildcard: Wildcard, asked: Device) -> list[str]:
    """Return the names of the devices that a wildcard matches. Raises ApiError where the client may not list them."""
    if wildcard.is_pattern:
        refusal = guard.refusal("read", "device", Device(wildcard.host, ""))
    else:
        for kind_of_part, part in zip(("domain", "family", "member"), wildcard.device.split("/"), strict=True):
            query.check_name(kind_of_part, part)
        refusal = _refusal(kind, asked, wildcard.item)
    if refusal is not None:
        raise refusal
    return wildcard.host.device_names([wildcard.device])


def _refusal(kind: Kind, device: Device, item: str) -> ApiError | None:
    return guard.refusal("read", "device", device) if item == ALL else guard.refusal("read", kind, device, item)


def _raise_refusal(names: object, failed: Sequence[Failed]) -> None:
    """Raise the first refusal where nothing else was found."""
    if not names and failed and all(isinstance(item.error, ApiError) for item in failed):
        raise failed[0].error


def _by_device(found: Iterable[Match]) -> dict[Device, list[str]]:
    """Return the names of items by device, each device once."""
    by_device: dict[Device, list[str]] = {}
    for device, name in app_state().client.concurrency.in_turns(found):
        by_device.setdefault(device, []).append(name)
    return by_device


def _list(listing: Listing, device: Device, names: list[str]) -> Selected | list[Failed]:
    """Return the items of a device with these names; the failure of each where the device cannot list them."""
    try:
        device_name, infos = device.find_name(), listing.of(device)
    except Exception as error:
        return [Failed(device, name, error) for name in dict.fromkeys(names)]
    wanted = set(map(folded, names))
    if ALL not in wanted:
        infos = [info for info in infos if folded(read_text(info, listing.key)) in wanted]
    return Selected(device, device_name, list(infos))
