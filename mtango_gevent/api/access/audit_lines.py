"""Lines of the audit log, as text or as JSON. A client cannot break a line or forge a part of it."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from typing import Any, NamedTuple

from mtango_gevent.api.access.targets import Target

# Characters of a value, of an outcome and of any other text; more are cut off.
VALUE, _OUTCOME, _TEXT = 200, 500, 300

# What the text format writes without quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/+@~-]*[A-Za-z0-9_.:/+@~]")


class Origin(NamedTuple):
    """The request that a line is about. method: how the user has been authenticated."""

    request: str = ""
    user: str = ""
    method: str = "none"
    address: str = ""


@dataclasses.dataclass(slots=True)
class Change:
    """One thing that a request changes. Values are texts for people; old: empty where it is not known.

    detail: the property of an attribute, or the cache; age: seconds since the old value was read;
    outcome: empty as long as it is that of the whole request.
    """

    target: Target
    detail: str = ""
    new: str = ""
    old: str = ""
    age: float | None = None
    outcome: str = ""

    @property
    def names_property(self) -> bool:
        """Whether it is the change of a single property."""
        return self.target.kind == "property" or bool(self.detail)


class Line(NamedTuple):
    """time: of the line, in seconds since the epoch."""

    time: float
    origin: Origin
    change: Change
    outcome: str

    def fields(self) -> dict[str, Any]:
        """Return the fields in their order; those that are not known are empty."""
        origin, change, target = self.origin, self.change, self.change.target
        return {
            "time": _utc(self.time),
            "request": origin.request,
            "user": bounded(origin.user, _TEXT),
            "auth": origin.method,
            "address": bounded(origin.address, _TEXT),
            "tango_host": target.tango_hosts[0] if target.tango_hosts else "",
            "device": bounded(target.device, _TEXT),
            "kind": target.kind,
            "name": bounded(target.name, _TEXT),
            "detail": bounded(change.detail, _TEXT),
            "action": target.action,
            "old": bounded(change.old, VALUE),
            "old_age": None if change.age is None else round(change.age, 3),
            "new": bounded(change.new, VALUE),
            "outcome": bounded(self.outcome, _OUTCOME),
        }


def _utc(seconds: float) -> str:
    milliseconds = int(seconds * 1000) % 1000
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"


def bounded(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."


def as_json(line: Line) -> bytes:
    return (json.dumps(line.fields()) + "\n").encode("ascii")  # which has no control characters


def as_text(line: Line) -> bytes:
    """Return `time key=value ...`, without empty values; a text that is not plain is quoted as in JSON."""
    fields = line.fields()
    began = fields.pop("time")
    shown = [f"{key}={_quoted(value)}" for key, value in fields.items() if value not in ("", None)]
    return f"{began} {' '.join(shown)}\n".encode("ascii")


def _quoted(value: str | float) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
