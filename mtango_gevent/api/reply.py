"""Responses in JSON: of values, metadata and collections."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson
from flask import Response

from mtango_gevent.api import freshness, query, ranges
from mtango_gevent.api.failures import unshown_item
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.errors import tango_failure
from mtango_gevent.values import JsonObject

T = TypeVar("T")

# The body of a response before its encoding.
Shape = TypeVar("Shape", bound=JsonObject | list[JsonObject])


@dataclasses.dataclass
class Rendered:
    """A body with its headers, the content type first. reusable: whether it may be fresh, which a failure never is.

    described: headers without which the body means nothing.
    """

    body: bytes
    headers: list[tuple[str, str]]
    reusable: bool
    described: str = ""

    @property
    def media_type(self) -> str:
        return self.headers[0][1].partition(";")[0]

    @functools.cached_property
    def etag(self) -> str | None:
        return freshness.etag(self.body, self.described)


def render(
    shape: Shape,
    select: Callable[[Shape], object] | None = None,
    modified: int | None = None,
    varies: str | None = None,
) -> Rendered:
    """Render JSON. shape: an object, or a list of objects; select: reduces it to the keys that are sent.

    modified: milliseconds since the epoch; varies: a header of requests on which the response depends.
    """
    body = encode(select(shape) if select else shape)
    return Rendered(body, entity_headers(body, "application/json", modified, varies), not _has_failure(shape))


def entity_headers(body: bytes, content_type: str, modified: int | None, varies: str | None) -> list[tuple[str, str]]:
    """Return the headers of a body. modified, varies: as in render."""
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    if varies:
        headers.append(("Vary", varies))
    date = freshness.last_modified(modified)
    if date:
        headers.append(("Last-Modified", date))
    return headers


def rendered(content: Rendered, began: float | None, status: int = 200) -> Response:
    """Return the response with this content. began: as in freshness.add_value_headers; None for metadata."""
    response = Response(content.body, status, headers=content.headers)
    return freshness.add_headers(response, left(content, began), lambda: content.etag)


def headers(content: Rendered, began: float) -> list[tuple[str, str]]:
    """Return the headers of the same response, for code that needs no Flask."""
    seconds = left(content, began)
    return [*content.headers, *freshness.headers(seconds, content.etag if seconds > 0 else None)]


def left(content: Rendered, began: float | None) -> float:
    """Return the seconds for which a response is fresh. began: as in rendered."""
    if not content.reusable:
        return 0.0
    return config().metadata_max_age if began is None else freshness.left_of_value(began)


def _has_failure(shape: JsonObject | list[JsonObject]) -> bool:
    return any(item.get("quality") == "FAILURE" for item in ([shape] if isinstance(shape, dict) else shape))


def json(data: object, status: int = 200) -> Response:
    """Return a response without caching headers. data: may contain NumPy arrays."""
    return Response(encode(data), status, mimetype="application/json")


def no_content() -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def metadata(data: object) -> Response:
    """Return metadata, reduced by the parameter `filter`."""
    return freshness.add_headers(json(query.filtered(data)), config().metadata_max_age)


def value(data: object, began: float = freshness.LONG_AGO) -> Response:
    """Return a value, reduced by the parameter `filter`. began: as in freshness.add_value_headers."""
    return freshness.add_value_headers(json(query.filtered(data)), began=began)


def collection(
    items: Sequence[T], shape: Callable[[T], JsonObject], began: float | None = None, varies: str | None = None
) -> Response:
    """Return the shapes of `items`; with the parameter `range` a part of them, and an item that describes the part.

    began: as in freshness.add_value_headers; None for metadata. A collection with a failure is never fresh.
    varies: as in render. Contract: rc3, section 4 and Decisions.
    """

    def render_items(selected: Sequence[T], part: ranges.Part | None) -> Rendered:
        shapes = [shape(item) for item in app_state().client.concurrency.in_turns(selected)]
        described = [part.describe()] if part else []
        return render(shapes, lambda all_keys: [*query.filtered(all_keys), *described], varies=varies)

    return part_of(items, render_items, began)


def part_of(
    items: Sequence[T], render_items: Callable[[Sequence[T], ranges.Part | None], Rendered], began: float | None
) -> Response:
    """Return what `render_items` makes of the items that the parameter `range` selects, and of their place.

    Raises BadRequest for a range that begins behind the last item.
    """
    part = ranges.requested_part(len(items))
    if part is None:
        return rendered(render_items(items, None), began)
    response = rendered(render_items(items[part.span.start : part.stop], part), began, 206)
    response.headers.update(part.headers())
    return response


# --- JSON ---


def encode(data: object) -> bytes:
    """Encode as JSON; NumPy arrays are lists. An item of a list that JSON cannot represent becomes a failure."""
    try:
        return _encode(data)
    except TypeError:
        shape = {key: _encodable(value) for key, value in data.items()} if isinstance(data, dict) else _encodable(data)
    try:
        return _encode(shape)
    except TypeError as error:
        raise tango_failure("MTANGO_NotShown", f"the gateway cannot put it into JSON: {error}") from None


def encode_to_keep(data: object) -> bytes:
    """Encode as JSON that is kept for a while, in memory of its size: what orjson returns occupies 4 kB at least."""
    return bytes(memoryview(encode(data)))


def _encode(data: object) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


def _encodable(value: object) -> object:
    return [_encodable_item(item) for item in value] if isinstance(value, list) else value


def _encodable_item(item: object) -> object:
    try:
        _encode(item)
    except TypeError as error:
        name = str(item.get("name")) if isinstance(item, dict) else ""
        return unshown_item(name, error)
    return item
