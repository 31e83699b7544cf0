"""The media types of a value, and the one that a request gets by its header `Accept`. For all versions of the API."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from mtango_gevent import values
from mtango_gevent.api import csv_values, pictures, raw_values, reply, timestamps, value_shapes
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import current
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError, DevFailed, NotAcceptable, as_failure
from mtango_gevent.values import AttributeData

JSON, OCTETS, NPY, CSV = "application/json", "application/octet-stream", "application/x-npy", "text/csv"

# Parameters of CSV: a history has a head line, a value has none.
_CSV_TABLE, _CSV_HISTORY = "; charset=utf-8; header=absent", "; charset=utf-8; header=present"


class Encoded(NamedTuple):
    """A value in some media type. headers: its own; parameters: of the content type."""

    body: bytes
    headers: Mapping[str, str] = {}
    parameters: str = ""


# Encode a value. Raises NotAcceptable for a value that the media type does not have.
Encode: TypeAlias = Callable[[Device, AttributeData], Encoded]

# The media types besides JSON; of those that a client likes equally, the first one is sent.
FORMS: dict[str, Encode] = {
    "image/png": lambda _, item: Encoded(pictures.draw(item, "PNG")),
    "image/jpeg": lambda _, item: Encoded(pictures.draw(item, "JPEG")),
    "image/tiff": lambda _, item: Encoded(pictures.tiff(item)),
    OCTETS: lambda _, item: Encoded(*raw_values.octets(item)),
    NPY: lambda _, item: Encoded(*raw_values.npy(item)),
    CSV: lambda device, item: Encoded(csv_values.table(device, item), parameters=_CSV_TABLE),
}


def _accept() -> str:
    """Return the header `Accept` of the current request, which need not be one of Flask."""
    return current().environ.get("HTTP_ACCEPT", "")


@functools.lru_cache(maxsize=256)
def ranked(accept: str, offered: tuple[str, ...]) -> tuple[str, ...]:
    """Return the media types among JSON and `offered` that a header `Accept` allows, the preferred one first.

    JSON is the last one, as every value can be sent in it. The result is JSON alone where the header allows no media
    type: clients of rc3 and v11 have always got JSON then.
    """
    left, found = [JSON, *offered], list[str]()
    allowed = _allowed(accept, left)
    while JSON in left and (best := allowed.best_match(left)) is not None:
        left.remove(best)
        found.append(best)
    return tuple(found) or (JSON,)


def _allowed(accept: str, offered: Sequence[str]) -> MIMEAccept:
    """Return the entries of a header that matter, without parameters: a header may have a thousand others."""
    known = {*offered, "*/*", *(f"{media_type.partition('/')[0]}/*" for media_type in offered)}
    entries = [(text.partition(";")[0].strip().lower(), q) for text, q in parse_accept_header(accept, MIMEAccept)]
    best_last = reversed([entry for entry in entries if entry[0] in known])
    return MIMEAccept(dict(best_last).items())


def negotiated(device: Device, item: AttributeData, forms: Mapping[str, Encode] = FORMS) -> Rendered | None:
    """Return a value in the media type that the client prefers among those that the value has; None for JSON.

    Raises NotAcceptable where the client allows none of them, with the reason of the first.
    """
    refusal: NotAcceptable | None = None
    for media_type in ranked(_accept(), tuple(forms)):
        if media_type == JSON:
            return None
        try:
            return render(media_type, device, item, forms)
        except NotAcceptable as error:
            refusal = refusal or error.with_traceback(None)
    assert refusal is not None
    try:
        raise refusal
    finally:
        refusal = None  # its traceback would otherwise form a reference cycle


def render(media_type: str, device: Device, item: AttributeData, forms: Mapping[str, Encode] = FORMS) -> Rendered:
    """Render a value.

    Raises NotAcceptable for a value that the media type does not have, and DevFailed for a failed one.
    """
    if item.has_failed:
        raise DevFailed(*item.get_err_stack())
    try:
        encoded = forms[media_type](device, item)
    except (ApiError, DevFailed):
        raise
    except Exception as error:
        raise as_failure(error, "MTANGO_NotShown", "the gateway cannot show it") from None
    time = value_shapes.time_of(item)
    described = {"X-Quality": values.enum_name(item, "quality"), **encoded.headers}
    if time is not None:
        described["X-Timestamp"] = str(timestamps.from_milliseconds(time))
    content_type = media_type + encoded.parameters
    headers = [*reply.entity_headers(encoded.body, content_type, time, "Accept"), *described.items()]
    return Rendered(encoded.body, headers, True, f"{content_type} {described}")


def prefers_csv() -> bool:
    """Return whether the client prefers CSV to JSON, where there are these two."""
    return ranked(_accept(), (CSV,))[0] == CSV


def render_history(device: Device, items: Sequence[AttributeData]) -> Rendered:
    """Render a history in CSV."""
    body, has_failure = csv_values.history(device, items)
    return Rendered(body, reply.entity_headers(body, CSV + _CSV_HISTORY, None, "Accept"), not has_failure)
