"""Plain values as responses: JSON, parts of collections, caching headers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
from flask import Response, request
from werkzeug.http import http_date

from mtango_gevent.api import query, urls
from mtango_gevent.api.context import config
from mtango_gevent.errors import BadRequest, body

T = TypeVar("T")


def json(data: Any, status: int = 200) -> Response:
    """`data`, which may hold NumPy arrays, as JSON."""
    return Response(orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY), status, mimetype="application/json")


def nothing() -> Response:
    """Done, and nothing to say of it."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def metadata(data: Any) -> Response:
    """What changes slowly, as far as the parameter `filter` lets it through."""
    return _cached(filtered(data), config().metadata_max_age)


def filtered(data: Any) -> Response:
    """As far as the parameter `filter` lets it through."""
    return json(query.filtered(data))


def value(data: Any) -> Response:
    """What changes all the time."""
    return momentary(filtered(data))


def momentary(response: Response, modified: int | None = None, max_age: float | None = None) -> Response:
    """What changes all the time. modified: when it did, milliseconds since the epoch; max_age: seconds, if it is
    another one than that of the settings."""
    if modified is not None:
        response.headers["Last-Modified"] = http_date(modified // 1000)
    return _cached(response, config().value_max_age if max_age is None else max_age)


def collection(items: Sequence[T], shape: Callable[[T], Any], max_age: float | None = None) -> Response:
    """`items`, each in its `shape`; only a part, with an item that says so, if the parameter `range` asks for one.

    Contract: rc3, section 4 and Decisions. Raises BadRequest for a range that begins behind the last item.
    """
    max_age = config().metadata_max_age if max_age is None else max_age
    part, total = query.range_of_items(), len(items)
    if part is None or (part.start == 0 and part.stop >= total):
        return _cached(filtered([shape(item) for item in items]), max_age)
    if part.start >= total:
        raise BadRequest(f"range={part} begins behind the last of {total} items")
    shown = query.filtered([shape(item) for item in items[part.start : part.stop]])
    links = _links_to_parts(part, total)
    stop = min(part.stop, total)
    about = {"name": "partial_content", "total": total, "offset": part.start, "limit": stop, "_links": links}
    response = _cached(json([*shown, about], 206), max_age)
    response.headers["Content-Range"] = f"{part.start}-{stop}/{total}"
    response.headers["Accept-Range"] = f"{request.path.rstrip('/').rpartition('/')[2]} {total}"
    response.headers["Link"] = ", ".join(f'<{url}>; rel="{name[1:]}"' for name, url in links.items())
    return response


def failure(errors: list[dict[str, str]], milliseconds: int | None = None) -> dict[str, Any]:
    """The body of a failure: of that time, else of now."""
    return body(errors, now() if milliseconds is None else timestamp(milliseconds))


def failed_item(name: str, errors: list[dict[str, str]]) -> dict[str, Any]:
    """A failure within an array; there rc3's clients look for `desc`."""
    return {"name": name, **failure([{**error, "desc": error["description"]} for error in errors])}


def unit() -> int:
    """Of timestamps, by the settings; in milliseconds."""
    return 1 if config().rc3_timestamps == "ms" else 1000


def timestamp(milliseconds: int) -> int:
    return milliseconds // unit()


def now() -> int:
    return timestamp(int(time.time() * 1000))


def _links_to_parts(part: query.Range, total: int) -> dict[str, str]:
    size = part.stop - part.start
    last = (total - 1) // size * size
    parts = {"_first": query.Range(0, size), "_last": query.Range(last, last + size)}
    if part.start > 0:
        parts["_prev"] = query.Range(max(0, part.start - size), part.start)
    if part.stop < total:
        parts["_next"] = query.Range(part.stop, part.stop + size)
    return {name: urls.with_parameter("range", str(found)) for name, found in parts.items()}


def _cached(response: Response, max_age: float) -> Response:
    """How long the answer may be used again; whole seconds, as HTTP counts."""
    response.headers["Cache-Control"] = f"max-age={int(max_age)}" if max_age >= 1 else "no-cache"
    response.headers["Expires"] = http_date(time.time() + int(max_age))
    return response
