"""Attributes: values, configurations, histories. Contract: rc3, 2.3 and 2.6."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import failures, freshness, pictures, query, reply, timestamps, urls, writes
from mtango_gevent.api.rc3 import configuration
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.control.device import Device
from mtango_gevent.errors import (
    ApiError,
    DevFailed,
    as_failure,
    describe,
    explained,
    not_made,
    status_of,
    tango_failure,
)
from mtango_gevent.names import folded
from mtango_gevent.text import read_text
from mtango_gevent.values import RawInput

blueprint = Blueprint("attributes", __name__)

_NOT_READ_BACK = "it was written, but could not be read back"


@blueprint.get("")
def list_attributes(device: Device) -> Response:
    name = device.find_name()
    infos = device.list_attributes(config().metadata_max_age)
    return reply.collection(
        infos,
        lambda info: failures.shape_item(read_text(info, "name"), lambda: _shape_attribute(device, name, info)),
    )


@blueprint.get("/<attribute>")
def show_attribute(device: Device, attribute: str) -> Response:
    info = device.describe_attribute(attribute, config().metadata_max_age)
    return reply.metadata(_shape_attribute(device, device.find_name(), info))


# --- values ---


@blueprint.get("/<attribute>/value")
def read_value(device: Device, attribute: str) -> Response:
    """Answer an image also as a picture, where the client asks for one (`Accept`)."""
    reading = device.read_value(attribute)
    return answer_value(device, reading.items, reading.began)


def answer_value(device: Device, item: Any, began: float = freshness.LONG_AGO) -> Response:
    """A value, an image also as a picture. began: when it began to be read, unless it is not to be used again."""
    picture = pictures.wanted(item)
    if not picture:
        return _answer_in_json(device, item, began)
    response = freshness.add_value_headers(pictures.answer(item, picture), _time_of(item), began)
    response.headers["Vary"] = "Accept"
    return response


def _answer_in_json(device: Device, item: Any, began: float = freshness.LONG_AGO) -> Response:
    return reply.rendered(render_value(device, item, query.filtered), began)


def render_value(device: Device, item: Any, select: Callable[[Any], Any] | None = None) -> Rendered:
    return reply.render(_shape_value(device, item), select, _time_of(item), "Accept")


def _time_of(item: Any) -> int | None:
    """Milliseconds since the epoch; None where the item has no time that could be read."""
    try:
        return values.milliseconds(item.time)
    except Exception:
        return None


@blueprint.get("/value")
def read_values(device: Device) -> Response:
    """Those named by `attr`, in one Tango call and in that order; each fails for itself."""
    names = query.names("attr", "attribute")
    reading = device.read_values(names)
    return reply.collection(reading.items, lambda item: _shape_value(device, item), reading.began)


def render_values(device: Device, items: Sequence[Any]) -> Rendered:
    return reply.render([_shape_value(device, item) for item in items])


@blueprint.put("/<attribute>/value")
def write_value(device: Device, attribute: str) -> Response:
    """Answers what is read back; of a write-only attribute that is what was written."""
    sent = writes.value("v")
    if writes.asynchronous():
        _check(device, attribute, sent)
        return _later(device, f"write of {attribute}", lambda: _write(device, attribute, sent))
    _write(device, attribute, sent)
    with failures.after_change(_NOT_READ_BACK):
        return _answer_in_json(device, device.read_attribute(attribute, past_polling=True))


@blueprint.put("/value")
def write_values(device: Device) -> Response:
    """Those that the query or a JSON object names, in that order; each is written, read back and fails for itself."""
    sent = writes.values("attribute")
    if writes.asynchronous():
        for name, value in sent.items():
            _check(device, name, value)
        each = {name: functools.partial(_write, device, name, value) for name, value in sent.items()}
        return _later(device, f"write of {', '.join(sent)}", lambda: _write_all(each))
    unknown = _unknown(device, sent) if len(sent) > 1 else ()
    failures = _write_each(
        {
            name: functools.partial(_refuse if name in unknown else _write, device, name, value)
            for name, value in sent.items()
        }
    )
    written = [name for name in sent if name not in failures]
    try:
        items = dict(zip(written, device.read_back(written), strict=True))
    except Exception as error:
        failure = explained(as_failure(error, "MTANGO_NotShown", "the gateway cannot read it"), _NOT_READ_BACK)
        items, failures = {}, {**failures, **dict.fromkeys(written, failure)}
    return reply.json(
        [
            _shape_failure(device, name, failures[name]) if name in failures else _shape_value(device, items[name])
            for name in sent
        ]
    )


def _write_each(writes: Mapping[str, Callable[[], None]]) -> dict[str, ApiError | DevFailed]:
    """Do all, and give the failures by name. Once the device is out of reach the rest is left alone."""
    failures: dict[str, ApiError | DevFailed] = {}
    lost: DevFailed | None = None
    for name, write in writes.items():
        if lost:
            failures[name] = lost
            continue
        try:
            write()
        except ApiError as refusal:
            failures[name] = refusal
        except Exception as error:  # of whatever kind, as others may have been written
            failure = as_failure(error, "MTANGO_NotWritten", "the gateway cannot write it")
            failures[name] = failure
            if status_of(failure) == 503:
                lost = not_made(failure, f"this attribute was not written, as the write of {name} before it failed")
    return failures


def _write_all(writes: Mapping[str, Callable[[], None]]) -> None:
    """The same in the background: what fails is one failure."""
    failures = [as_failure(error, "", "") for error in _write_each(writes).values()]
    if failures:
        raise DevFailed(*(error for failure in failures for error in failure.args))


def _unknown(device: Device, names: Collection[str]) -> Collection[str]:
    """Those that the device has not; a device that is out of reach says so when it is written to."""
    try:
        known = _by_name(device.list_attributes())
        if not all(folded(name) in known for name in names):
            known = _by_name(device.list_attributes(max_age=0))
    except DevFailed:
        return ()
    return {name for name in names if folded(name) not in known}


def _refuse(_device: Device, name: str, _sent: RawInput) -> None:
    raise _not_found(name)


def _check(device: Device, name: str, sent: RawInput) -> None:
    """Raises BadRequest where `sent` does not fit the configuration of the attribute."""
    device.with_written(name, lambda info: _argument(device, info, sent))


def _write(device: Device, name: str, sent: RawInput) -> None:
    """Raises BadRequest as _check does, and DevFailed where the device refuses the value."""

    def write(info: Any) -> None:
        device.write_attribute(info, _argument(device, info, sent), values.describe_write(info, sent))

    device.with_written(name, write)


def _argument(device: Device, info: Any, sent: RawInput) -> Any:
    """Also called by background jobs, after the request has ended."""
    return values.attribute_argument(info, sent, device.host.client.config.text_encoding)


def _later(device: Device, about: str, job: Callable[[], object]) -> Response:
    device.later(about, job)
    return reply.no_content()


@blueprint.get("/<attribute>/history")
def read_history(device: Device, attribute: str) -> Response:
    items = device.read_attribute_history(attribute)
    return reply.collection(items, lambda item: _shape_record(device, item), request_started())


def _shape_record(device: Device, item: Any) -> dict[str, Any]:
    """A value of the past: a failure has its own time, which one of now has not."""
    shown, time = _shape_value(device, item), _time_of(item)
    return shown if time is None else {**shown, "timestamp": timestamps.from_milliseconds(time)}


def _shape_value(device: Device, item: Any) -> dict[str, Any]:
    """A value, or the failure in its place."""
    name = read_text(item, "name")
    if item.has_failed:
        return _shape_failure(device, name, DevFailed(*item.get_err_stack()))
    try:
        return {
            "name": name,
            "value": _shape_bare_value(device, item),
            "quality": values.enum_name(item, "quality"),
            "timestamp": timestamps.from_milliseconds(values.milliseconds(item.time)),
        }
    except Exception as error:
        return failures.unshown_item(name, error)


def _shape_failure(device: Device, name: str, failure: ApiError | DevFailed) -> dict[str, Any]:
    lost = isinstance(failure, DevFailed) and status_of(failure) == 503
    return failures.failed_item(device.spell_attribute(name, ask=not lost), describe(failure))


def _shape_bare_value(device: Device, item: Any) -> Any:
    if config().rc3_mode == "implementation" and values.is_image(item):
        return pictures.java_image(item)
    return values.attribute_value(item, device.enum_labels(item), config().text_encoding)


# --- configurations ---


@blueprint.get("/info")
def show_infos(device: Device) -> Response:
    """Those named by `attr`; one that fails says so in its place."""
    names = query.names("attr", "attribute")
    known = _by_name(device.list_attributes(config().metadata_max_age)) if names else {}
    return reply.collection(names, lambda name: _shape_info_or_failure(name, known.get(folded(name))))


@blueprint.get("/<attribute>/info")
def show_info(device: Device, attribute: str) -> Response:
    return reply.metadata(_shape_info(device.describe_attribute(attribute, config().metadata_max_age)))


@blueprint.put("/<attribute>/info")
def change_info(device: Device, attribute: str) -> Response:
    """The keys that are there, on the device as it is now: what others have changed meanwhile stays."""
    document = writes.document()
    change = functools.partial(configuration.change, document, config().rc3_mode)
    if writes.asynchronous():
        change(device.ask_attribute(attribute))
        return _later(device, f"configuration of {attribute}", lambda: device.configure_attribute(attribute, change))
    info = device.configure_attribute(attribute, change)
    with failures.after_change("it was changed, but cannot be shown"):
        return reply.metadata(_shape_info(info))


def _shape_attribute(device: Device, device_name: str, info: Any) -> dict[str, Any]:
    parent, name = urls.of_device("rc3", device, device_name), read_text(info, "name")
    url = f"{parent}/attributes/{urls.segment(name)}"
    return {
        "name": name,
        "value": f"{url}/value",
        "info": f"{url}/info",
        "properties": f"{url}/properties",
        "history": f"{url}/history",
        "_links": {"_self": url, "_parent": f"{parent}/attributes", "_device": parent},
    }


def _shape_info(info: Any) -> dict[str, Any]:
    return configuration.shape(info, config().rc3_mode)


def _shape_info_or_failure(name: str, info: Any | None) -> dict[str, Any]:
    if info is None:
        return failures.failed_item(name, describe(_not_found(name)))
    return failures.shape_item(read_text(info, "name"), lambda: _shape_info(info))


def _by_name(infos: Collection[Any]) -> dict[str, Any]:
    """Configurations by the name of the attribute in lower case."""
    return {folded(read_text(info, "name")): info for info in infos}


def _not_found(name: str) -> DevFailed:
    """In Tango's words."""
    return tango_failure("API_AttrNotFound", f"{name} attribute not found")
