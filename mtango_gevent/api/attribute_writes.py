"""Writes of attributes, for all versions of the API. Contract: rc3, 2.3 and Decisions "Writes"."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

from flask import Response

from mtango_gevent import values
from mtango_gevent.api import changes, failures, guard, reply, writes
from mtango_gevent.api.access import Change
from mtango_gevent.api.attribute_configuration import by_name, not_found
from mtango_gevent.api.request_context import current
from mtango_gevent.api.value_shapes import BareValue, bare_value, shape_failure, shape_value
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError, DevFailed, as_failure, explained, not_made, status_of
from mtango_gevent.names import folded
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeConfiguration, AttributeData, RawInput

_NOT_READ_BACK = "it was written, but could not be read back"

# Failures by the name of the attribute.
Failures: TypeAlias = dict[str, ApiError | DevFailed]

# Raises ApiError where the client may not write the attribute of a name.
NameCheck: TypeAlias = Callable[[str], None]


def put_value(device: Device, attribute: str, answer: Callable[[AttributeData], Response]) -> Response:
    """Write one attribute and answer its value as read back; a write-only attribute reads as written."""
    raw, check = writes.value("v"), guard.checker("write", "attribute", device)
    if writes.asynchronous():
        check_input(device, attribute, raw, check)
        changes.later(device, f"write of {attribute}", lambda _: write(device, attribute, raw, check))
        return reply.no_content()
    write(device, attribute, raw, check)
    with failures.after_change(_NOT_READ_BACK):
        return answer(device.read_attribute(attribute, past_polling=True))


def put_values(device: Device, bare: BareValue = bare_value) -> Response:
    """Write several attributes in the order of the request, and answer what is read back; each fails for itself."""
    inputs, check = writes.values("attribute"), guard.checker("write", "attribute", device)
    changes.begin_changes("write", "attribute", device, inputs)
    if writes.asynchronous():
        for name, raw in inputs.items():
            check_input(device, name, raw, check)
        write_all = functools.partial(_write_in_background, device, inputs, check)
        changes.later(device, f"write of {', '.join(inputs)}", write_all)
        return reply.no_content()
    unknown = _unknown_names(device, inputs) if len(inputs) > 1 else ()
    failed = write_each(device, inputs, check, unknown)
    changes.note_outcomes(current().changes, failed)
    items = read_back(device, [name for name in inputs if name not in failed], failed)
    return reply.json(
        [
            shape_failure(device, name, failed[name]) if name in failed else shape_value(device, items[name], bare)
            for name in inputs
        ]
    )


def read_back(device: Device, names: list[str], failed: Failures) -> dict[str, AttributeData]:
    """Return the values of written attributes; if they cannot be read, add the failure of each to `failed`."""
    try:
        return dict(zip(names, device.read_back(names), strict=True))
    except Exception as error:
        failure = explained(as_failure(error, "MTANGO_NotShown", "the gateway cannot read it"), _NOT_READ_BACK)
        failed.update(dict.fromkeys(names, failure))
        return {}


def write_each(
    device: Device, inputs: Mapping[str, RawInput], check: NameCheck, unknown: Collection[str] = ()
) -> Failures:
    """Write all and return their failures. Once the device is unreachable the rest is not tried.

    unknown: names that the device does not have.
    """
    failed: Failures = {}
    unreachable: DevFailed | None = None
    for name, raw in inputs.items():
        try:
            if unreachable or name in unknown:
                raise unreachable or not_found(name)
            write(device, name, raw, check)
        except ApiError as refusal:
            failed[name] = refusal
        except Exception as error:  # of any kind, as others may have been written
            failed[name] = failure = as_failure(error, "MTANGO_NotWritten", "the gateway cannot write it")
            if status_of(failure) == 503 and not unreachable:
                unreachable = not_made(failure, f"this attribute was not written, as the write of {name} failed")
    return failed


def _write_in_background(
    device: Device, inputs: Mapping[str, RawInput], check: NameCheck, noted: Sequence[Change]
) -> None:
    """Write all. Raises one DevFailed with the errors of all that failed."""
    failed = write_each(device, inputs, check)
    changes.note_outcomes(noted, failed)
    changes.raise_failures(failed.values())


def _unknown_names(device: Device, names: Collection[str]) -> Collection[str]:
    """Return the names that the device does not have; none if it is unreachable, which the write will find."""
    try:
        known = by_name(device.list_attributes())
        if not all(folded(name) in known for name in names):
            known = by_name(device.list_attributes(max_age=0))
    except DevFailed:
        return ()
    return {name for name in names if folded(name) not in known}


def check_input(device: Device, name: str, raw: RawInput, check: NameCheck) -> None:
    """Raise BadRequest if the input does not fit the configuration of the attribute."""
    device.with_written(name, lambda info: _argument(device, name, info, raw, check))


def write(device: Device, name: str, raw: RawInput, check: NameCheck) -> None:
    """Write one attribute. Raises BadRequest for unfit input, and DevFailed if the device refuses the value."""

    def write_as(info: AttributeConfiguration) -> None:
        device.write_attribute(info, _argument(device, name, info, raw, check), values.describe_write(info, raw))

    device.with_written(name, write_as)


def _argument(device: Device, name: str, info: AttributeConfiguration, raw: RawInput, check: NameCheck) -> Any:
    """Convert the input; background jobs call this after the request has ended.

    info: of the attribute that is written, which the client may not be allowed to write: READ_WITH_WRITE has another.
    """
    written = read_text(info, "name")
    if folded(written) != folded(name):
        check(written)
    return values.attribute_argument(info, raw, device.host.client.config.text_encoding)
