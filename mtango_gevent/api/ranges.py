"""Parts of collections: the parameter `range`. Contract: rc3, section 4 and Decisions."""

from __future__ import annotations

import dataclasses

from mtango_gevent.api import query, urls
from mtango_gevent.api.query import Range
from mtango_gevent.api.request_context import http_request
from mtango_gevent.errors import BadRequest
from mtango_gevent.values import JsonObject


@dataclasses.dataclass(frozen=True)
class Part:
    """The items of `span` out of `total`."""

    span: Range
    total: int

    @property
    def stop(self) -> int:
        return min(self.span.stop, self.total)

    def describe(self) -> JsonObject:
        """Return the item that follows the items of the part."""
        place = {"total": self.total, "offset": self.span.start, "limit": self.stop}
        return {"name": "partial_content", **place, "_links": self._links()}

    def headers(self) -> dict[str, str]:
        return {
            "Content-Range": f"{self.span.start}-{self.stop}/{self.total}",
            "Accept-Range": f"{http_request().path.rstrip('/').rpartition('/')[2]} {self.total}",
            "Link": ", ".join(f'<{url}>; rel="{name[1:]}"' for name, url in self._links().items()),
        }

    def _links(self) -> dict[str, str]:
        start, stop, size = self.span.start, self.span.stop, self.span.stop - self.span.start
        last = (self.total - 1) // size * size
        parts = {"_first": Range(0, size), "_last": Range(last, last + size)}
        if start > 0:
            parts["_prev"] = Range(max(0, start - size), start)
        if stop < self.total:
            parts["_next"] = Range(stop, stop + size)
        return {name: urls.with_parameter("range", str(span)) for name, span in parts.items()}


def requested_part(total: int) -> Part | None:
    """Return the part of a collection that the request is for; None for the whole.

    Raises BadRequest for a part that begins behind the last item.
    """
    span = query.range_of_items()
    if span is None or (span.start == 0 and span.stop >= total):
        return None
    if span.start >= total:
        raise BadRequest(f"range: expected a beginning below {total}, the number of items, got {span}")
    return Part(span, total)
