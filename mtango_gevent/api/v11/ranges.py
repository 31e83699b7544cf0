"""Parts of lists: the parameter `range`. Contract: v11, 2."""

from __future__ import annotations

import re

from mtango_gevent.api import query
from mtango_gevent.api.query import Range
from mtango_gevent.errors import ApiError

_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})", re.ASCII)


def requested_part(total: int) -> Range | None:
    """Return the part of a list that the request is for, `a-b` with items from a to before b; None for the whole.

    Raises ApiError 416 where the list has no such part.
    """
    text = query.single("range")
    if text is None:
        return None
    found = _RANGE.fullmatch(text)
    part = Range(int(found[1]), int(found[2])) if found else None
    if part is None or not part.start < part.stop <= total:
        expected = f"a-b, two whole numbers with a < b <= {total}, the number of items"
        description = f"range: expected {expected}, got {query.quoted(text)}"
        raise ApiError(416, "MTANGO_Http416", description, {"Content-Range": f"items */{total}"})
    return part


def headers(part: Range | None, total: int) -> dict[str, str]:
    """Return the headers of a list, or of a part of it."""
    found = {"Accept-Ranges": "items", "X-size": str(total)}
    return found if part is None else {**found, "Content-Range": f"items {part}/{total}"}
