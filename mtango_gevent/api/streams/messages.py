"""The messages of a client of the WebSocket: JSON objects. Reference: docs/reference/stream.md."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import orjson

from mtango_gevent.api.query import quoted
from mtango_gevent.control.events import KINDS, Cursor, Filter
from mtango_gevent.errors import BadRequest, check_limit
from mtango_gevent.values import shown

# Subscriptions that one message may begin, and end.
ITEMS = 1_000

# Greatest id of a subscription: it has 32 bits in a binary frame.
MOST_ID = (1 << 32) - 1

# Characters of a ping.
_PING = 100

_KEYS = {"id", "device", "attribute", "event", "max_hz", "deadband", "keep", "after", "binary", "set_value"}
_MESSAGE_KEYS = {"subscribe", "unsubscribe", "ping", "token"}

# Microseconds, the number of which is below 2^53, as a browser can count.
_MOST_TIME = (1 << 53) - 1

_NO_CHANNEL = "0" * 12


class Wish(NamedTuple):
    """A subscription as the client asks for it. host: in the name of the device; None for the first one."""

    id: int
    host: str | None
    device: str
    attribute: str
    event: str
    through: Filter
    after: Cursor | None
    binary: bool
    set_value: bool


class Message(NamedTuple):
    """subscribe: the objects of the subscriptions, each checked by `parse_wish`."""

    subscribe: list[Any]
    unsubscribe: list[Any]
    ping: str | float | None
    token: str | None


def parse_message(text: str) -> Message | None:
    """Return a message; None for a text that is no JSON object. Raises BadRequest."""
    try:
        document = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    _check_keys("a message", document, _MESSAGE_KEYS)
    return Message(_list(document, "subscribe"), _list(document, "unsubscribe"), _ping(document), _token(document))


def _check_keys(what: str, document: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(document.keys() - known)
    if unknown:
        raise BadRequest(f"{what}: expected the keys {', '.join(sorted(known))}, got {quoted(unknown[0])}")


def _list(document: dict[str, Any], key: str) -> list[Any]:
    given = document.get(key, [])
    if not isinstance(given, list):
        raise BadRequest(f"{key}: expected a list, got {shown(given)}")
    check_limit(len(given), ITEMS, f"items in {key}")
    return given


def _ping(document: dict[str, Any]) -> str | float | None:
    given = document.get("ping")
    if (isinstance(given, str) and len(given) > _PING) or isinstance(given, (list, dict)):
        raise BadRequest(f"ping: expected a number or a text of at most {_PING} characters, got {shown(given)}")
    return given


def _token(document: dict[str, Any]) -> str | None:
    given = document.get("token")
    if given is not None and not isinstance(given, str):
        raise BadRequest("token: expected a text")
    return given


# --- a subscription ---


def parse_id(given: object) -> int:
    """Return the id of a subscription. Raises BadRequest."""
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= MOST_ID:
        return given
    raise BadRequest(f"id: expected a whole number from 0 to {MOST_ID}, got {shown(given)}")


def parse_wish(number: int, given: dict[str, Any]) -> Wish:
    """Return the subscription that an object of `subscribe` asks for. Raises BadRequest."""
    _check_keys("a subscription", given, _KEYS)
    host, device = _split(_text(given, "device"))
    return Wish(
        number,
        host,
        device,
        _text(given, "attribute"),
        _one_of(given, "event", tuple(KINDS), "change"),
        Filter(
            _number(given, "max_hz", 0.001, 1000),
            _number(given, "deadband", 0, math.inf),
            _one_of(given, "keep", ("latest", "all"), "latest") == "latest",
        ),
        _cursor(given.get("after")),
        _flag(given, "binary"),
        _flag(given, "set_value"),
    )


def _split(name: str) -> tuple[str | None, str]:
    """Return the Tango host in the full name of a device, and the rest; None for a name without a host."""
    if not name.startswith("tango://"):
        return None, name
    host, _, device = name.removeprefix("tango://").partition("/")
    return host, device


def _text(given: dict[str, Any], key: str) -> str:
    value = given.get(key)
    if isinstance(value, str) and value:
        return value
    raise BadRequest(f"{key}: expected a text, got {shown(value)}")


def _one_of(given: dict[str, Any], key: str, known: tuple[str, ...], default: str) -> str:
    value = given.get(key, default)
    if value in known:
        return value
    raise BadRequest(f"{key}: expected one of {', '.join(known)}, got {shown(value)}")


def _number(given: dict[str, Any], key: str, low: float, high: float) -> float | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise BadRequest(f"{key}: expected a number from {low:g} to {high:g}, got {shown(value)}")


def _flag(given: dict[str, Any], key: str) -> bool:
    value = given.get(key, False)
    if isinstance(value, bool):
        return value
    raise BadRequest(f"{key}: expected true or false, got {shown(value)}")


def _cursor(after: object) -> Cursor | None:
    """Return the position behind a record: its `time`, or [`time`, `came`]."""
    if after is None:
        return None
    times = after if isinstance(after, list) and len(after) == 2 else [after, after]
    mark, came = (_time(time, after) for time in times)
    return Cursor(_NO_CHANNEL, 0, came, mark)


def _time(time: object, after: object) -> int:
    if isinstance(time, int) and not isinstance(time, bool) and 0 <= time <= _MOST_TIME:
        return time
    raise BadRequest(f"after: expected the time of a record, or its time and came, got {shown(after)}")
