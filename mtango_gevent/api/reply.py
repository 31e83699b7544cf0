"""Plain values as responses: JSON, parts of collections, for how long they may be used again."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import orjson
from flask import Response, request
from werkzeug.http import generate_etag, http_date, quote_etag

from mtango_gevent.api import query, urls
from mtango_gevent.api.exchange import Headers, config, current
from mtango_gevent.errors import ApiError, BadRequest, DevFailed, as_failure, body, describe, explained, tango_failure

logger = logging.getLogger(__name__)

T = TypeVar("T")

# When a value began that is not to be used again, whatever the settings say.
LONG_AGO = -math.inf


class Rendered(NamedTuple):
    """What is sent of a value. reusable: whether it may be used again, for as long as the settings say."""

    body: bytes
    headers: Headers
    reusable: bool


def render(
    shown: Any, sent: Callable[[Any], Any] | None = None, modified: int | None = None, varies: str | None = None
) -> Rendered:
    """shown: the whole of it, a dict or a list of them; sent: gives what of it is sent, if that may be less.

    modified: milliseconds since the epoch; varies: the header of the request that makes a difference, if one does.
    """
    body = encode(sent(shown) if sent else shown)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Vary", varying(varies))]
    date = None if modified is None else _date(modified // 1000)
    if date:
        headers.append(("Last-Modified", date))
    return Rendered(body, headers, not _has_failure(shown))


def rendered(found: Rendered, began: float | None, status: int = 200) -> Response:
    """As Flask sends it. began: as for momentary; None for metadata."""
    return _cached(Response(found.body, status, headers=found.headers), _left_of(found, began))


def headers(found: Rendered, began: float) -> Headers:
    """The same for who sends it without Flask."""
    left = _left_of(found, began)
    return [*found.headers, *freshness(left, found.body if left > 0 else None)]


def encode(data: Any) -> bytes:
    """As JSON; there may be NumPy arrays in it. An item of a list that JSON cannot have is a failure in its place."""
    try:
        return _encode(data)
    except TypeError:
        shown = {key: _encodable(value) for key, value in data.items()} if isinstance(data, dict) else _encodable(data)
    try:
        return _encode(shown)
    except TypeError as error:
        raise tango_failure("MTANGO_NotShown", f"the gateway cannot put it into JSON: {error}") from None


def _encode(data: Any) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


def _encodable(value: Any) -> Any:
    """Return `value`; in a list, items that JSON cannot represent are replaced by failures."""
    return [_encodable_item(item) for item in value] if isinstance(value, list) else value


def _encodable_item(item: Any) -> Any:
    try:
        _encode(item)
    except TypeError as error:
        name = str(item.get("name")) if isinstance(item, dict) else ""
        return unshown_item(name, error)
    return item


def json(data: Any, status: int = 200) -> Response:
    """`data`, which may hold NumPy arrays, as JSON."""
    return Response(encode(data), status, mimetype="application/json")


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


def value(data: Any, began: float = LONG_AGO) -> Response:
    """What changes all the time; began: as for momentary."""
    return momentary(filtered(data), began=began)


def momentary(response: Response, modified: int | None = None, began: float = LONG_AGO) -> Response:
    """What changes all the time. modified: when it did, milliseconds since the epoch; began: when the gateway began to
    read it, by time.perf_counter(), from when on it may be used again for as long as the settings say."""
    date = None if modified is None else _date(modified // 1000)
    if date:
        response.headers["Last-Modified"] = date
    return _cached(response, _left(began))


def came() -> float:
    """When the request did, which is before anything was read for it; by time.perf_counter()."""
    return current().began


def collection(items: Sequence[T], shape: Callable[[T], Any], began: float | None = None) -> Response:
    """`items`, each in its `shape`; only a part, with an item that says so, if the parameter `range` asks for one.

    began: as for momentary; None for metadata. With a failure in it, it is not to be used again.
    Contract: rc3, section 4 and Decisions. Raises BadRequest for a range that begins behind the last item.
    """
    part, total = query.range_of_items(), len(items)
    if part is None or (part.start == 0 and part.stop >= total):
        return rendered(render([shape(item) for item in items], query.filtered), began)
    if part.start >= total:
        raise BadRequest(f"range={part} begins behind the last of {total} items")
    shown = [shape(item) for item in items[part.start : part.stop]]
    links = _links_to_parts(part, total)
    stop = min(part.stop, total)
    about = {"name": "partial_content", "total": total, "offset": part.start, "limit": stop, "_links": links}
    response = rendered(render(shown, lambda whole: [*query.filtered(whole), about]), began, 206)
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


def unshown_item(name: str, error: Exception) -> dict[str, Any]:
    """Return the failure of an item of an array that cannot be shown, for whatever reason."""
    if isinstance(error, (ApiError, DevFailed)):
        return failed_item(name, describe(error))
    logger.warning("cannot show %s: %s: %s", ascii(name), type(error).__name__, ascii(str(error)))
    return failed_item(name, describe(as_failure(error, "MTANGO_NotShown", "the gateway cannot show it")))


def item(name: str, shape: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `shape` gives, or the failure of the item of that name where it raises anything."""
    try:
        return shape()
    except Exception as error:
        return unshown_item(name, error)


@contextlib.contextmanager
def after_a_change(problem: str) -> Iterator[None]:
    """Have every failure in the block say that the change was made. problem: the words for it."""
    try:
        yield
    except DevFailed as failure:
        raise explained(failure, problem) from None
    except Exception as error:
        logger.exception("after a change")
        raise tango_failure("MTANGO_NotShown", f"{problem}: {type(error).__name__}: {error}") from None


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


def _left(began: float) -> float:
    """Seconds for which what was read then may be used again; 0 or less if not at all."""
    return config().value_max_age - (time.perf_counter() - began)


def _left_of(found: Rendered, began: float | None) -> float:
    if not found.reusable:
        return 0.0
    return config().metadata_max_age if began is None else _left(began)


def _has_failure(shown: Any) -> bool:
    return any(item.get("quality") == "FAILURE" for item in ([shown] if isinstance(shown, dict) else shown))


def _cached(response: Response, left: float) -> Response:
    """For how long what a GET answers may be used again, and 304 where the client has it already."""
    if request.method not in ("GET", "HEAD"):
        return response
    again = left > 0 and response.status_code == 200  # parts have no tag: HTTP would take two of one tag for one whole
    response.headers.update(freshness(left, response.get_data() if again else None))
    if again and request.if_none_match.contains_weak(response.get_etag()[0] or ""):
        response.status_code = 304
        response.set_data(b"")
    return response


def freshness(left: float, body: bytes | None = None) -> Headers:
    """For how many seconds an answer may be used again; HTTP counts whole ones, so they are rounded down.

    body: if given, its tag is among the headers. If-Modified-Since is not looked at: HTTP's dates are whole seconds,
    and values change more often.
    """
    whole = int(max(0.0, left))
    expires = _date(int(time.time()) + whole)
    headers = [("Cache-Control", f"max-age={whole}" if whole else "no-cache"), ("Expires", expires or "0")]
    return headers if body is None else [*headers, ("ETag", quote_etag(generate_etag(body)))]


def varying(varies: str | None) -> str:
    """The header Vary. With Origin also for who sends none: what a browser has kept of him must not be what a page of
    another origin gets."""
    if not varies or "Origin" in varies:
        return varies or "Origin"
    return f"{varies}, Origin"


@functools.lru_cache(maxsize=256)
def _date(second: int) -> str | None:
    """Since the epoch, as HTTP writes it: many answers have the same. None for a year that HTTP cannot write."""
    try:
        return http_date(second)
    except (ValueError, OverflowError):
        return None
