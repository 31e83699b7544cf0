"""Responses of v11 in JSON, with its caching headers and its parts of lists. Contract: v11, 2."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from flask import Response, request

from mtango_gevent.api import freshness, query, reply
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.api.v11 import ranges
from mtango_gevent.values import JsonObject

T = TypeVar("T")


def metadata(data: object) -> Response:
    """Return metadata, reduced by the parameter `filter`."""
    response = reply.json(query.filtered(data))
    return add_caching(response, config().metadata_max_age, lambda: freshness.etag(response.get_data()))


def value(data: JsonObject, began: float = freshness.LONG_AGO) -> Response:
    """Return a value, reduced by the parameter `filter`. began: as in freshness.add_value_headers."""
    return rendered(reply.render(data, query.filtered), began)


def rendered(content: Rendered, began: float | None, status: int = 200) -> Response:
    """Return the response with this content. began: as in freshness.add_value_headers; None for metadata."""
    response = Response(content.body, status, headers=content.headers)
    return add_caching(response, reply.left(content, began), (lambda: content.etag) if content.reusable else None)


def listing(
    items: Sequence[T], shape: Callable[[T], JsonObject], began: float | None = None, varies: str | None = None
) -> Response:
    """Return the shapes of `items`, or those of the part that the parameter `range` asks for.

    began: as in freshness.add_value_headers; None for metadata. varies: as in reply.render.
    """
    in_turns = app_state().client.concurrency.in_turns

    def render_items(selected: Sequence[T]) -> Rendered:
        shapes = [shape(item) for item in in_turns(selected)]
        return reply.render(
            shapes, lambda all_keys: [query.filtered(each) for each in in_turns(all_keys)], varies=varies
        )

    return part_of(items, render_items, began)


def part_of(items: Sequence[T], render_items: Callable[[Sequence[T]], Rendered], began: float | None) -> Response:
    """Return what `render_items` makes of the items that the parameter `range` selects.

    Raises ApiError 416 for an impossible part.
    """
    part = ranges.requested_part(len(items))
    content = render_items(items if part is None else items[part.start : part.stop])
    response = rendered(content, began, 200 if part is None else 206)
    response.headers.update(ranges.headers(part, len(items)))
    return response


def add_caching(response: Response, left: float, tag: Callable[[], str | None] | None) -> Response:
    """Add the caching headers to the response to a GET, and make it a 304 where the client has it already.

    left: seconds for which the response is fresh; browsers ask again for an older one, with its ETag.
    tag: returns its ETag; None for a failure, which has none.
    """
    if request.method not in ("GET", "HEAD"):
        return response
    found = tag() if tag else None
    response.headers.update(_caching_headers(left, found))
    if found and _is_unchanged(response):
        response.status_code = 304
        response.set_data(b"")
    return response


def headers(content: Rendered, began: float) -> list[tuple[str, str]]:
    """Return the headers of a value, for code that needs no Flask."""
    etag = content.etag if content.reusable else None
    return [*content.headers, *_caching_headers(reply.left(content, began), etag)]


def _caching_headers(left: float, etag: str | None) -> list[tuple[str, str]]:
    left = max(0.0, left)
    fresh = f'no-transform, max-age={int(left)}, max-age-millis="{int(left * 1000)}"'
    # A shared cache would answer clients that may not read this.
    cache_control = fresh if app_state().access.is_open else f"private, {fresh}"
    expires = freshness.http_time(int(time.time()) + int(left))
    found = [("Cache-Control", cache_control), ("Expires", expires or "0")]
    return [*found, ("ETag", etag)] if etag else found


def _is_unchanged(response: Response) -> bool:
    """Return whether the client has the response, by its ETag if it sends one, else by the second of its value."""
    if request.if_none_match:
        return request.if_none_match.contains_weak(response.get_etag()[0] or "")
    since, modified = request.if_modified_since, response.last_modified
    return since is not None and modified is not None and modified <= since
