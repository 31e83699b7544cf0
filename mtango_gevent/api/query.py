"""Parameters of the query string. A parameter that cannot be used raises BadRequest: "expected ..., got ..."."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol, TypeVar, overload
from urllib.parse import unquote_to_bytes

from mtango_gevent import limits
from mtango_gevent.api.request_context import app_state, http_request
from mtango_gevent.errors import BadRequest, NotImplementedHere, check_limit
from mtango_gevent.names import folded

T = TypeVar("T")

# Characters of a name: longer than Tango's database can hold, shorter than what would fill a log.
MAXIMUM_NAME = 255

# Characters that cannot be in a name, by its kind. Tango allows all but NUL and `/` in the name of an attribute,
# command or pipe, and all but NUL in that of a property. In the name of a device PyTango reads hosts and modifiers
# (`:`, `#dbase=no`, `->`), and the C++ database puts it into SQL as it is, as a pattern.
_IN_DEVICE_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\"'`\\%/:#*]|->")
_FORBIDDEN_IN = {
    **dict.fromkeys(("host", "domain", "family", "member"), _IN_DEVICE_NAMES),
    "property_name": re.compile(r"\0"),
    # The databases escape `%` in a wildcard, but not `\`.
    "wildcard": re.compile(r"[\x00-\x1f\x7f-\x9f\"'`\\]"),
}
_FORBIDDEN = re.compile(r"[\0/]")

# Characters that stand for bytes that are not UTF-8.
_NOT_UTF8 = re.compile("[\ufffd\ud800-\udfff]")

# Tango's names for all attributes, where one name is expected (AllAttr and AllAttr_3 in tango.constants).
_ALL = {"attribute": ("All attributes", "All attributes_3")}


def check_name(kind: str, name: str) -> str:
    """Return `name`. Raises BadRequest if no domain, attribute, wildcard, ... can have it. kind: what it names."""
    expected = _expected_name(kind, name)
    if expected:
        raise BadRequest(f"the {kind.replace('_', ' ')} {quoted(name)}: expected {expected}")
    return name


def _expected_name(kind: str, name: str) -> str | None:
    """Return what is expected of a name that does not have it; None for a good name."""
    if not 0 < len(name) <= MAXIMUM_NAME:
        return f"1 to {MAXIMUM_NAME} characters, got {len(name)}"
    found = _FORBIDDEN_IN.get(kind, _FORBIDDEN).search(name)
    if found:
        return f"a name without {found[0]!r}"
    if _NOT_UTF8.search(name):
        return "UTF-8"
    if name in _ALL.get(kind, ()):
        return f"the name of one {kind}, got Tango's name for all"
    if kind in ("domain", "family", "member", "wildcard") and not _is_latin1(name):
        return "Latin-1 characters"
    return None


def quoted(text: str, maximum: int = 60) -> str:
    """Return `text` in quotes for an error message, cut after `maximum` characters."""
    return repr(text if len(text) <= maximum else text[:maximum] + "...")


def _is_latin1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def check_query() -> None:
    """Raise BadRequest for a query that check_parameters refuses."""
    check_parameters("query", http_request().query_string)


def check_parameters(kind: str, encoded: bytes) -> None:
    """Raise BadRequest if a query or form has too many parameters, or is not percent-encoded UTF-8.

    werkzeug would decode such bytes to the text `%FF`. kind: query or form.
    """
    check_limit(encoded.count(b"&") + 1, limits.PARAMETERS, f"parameters in the {kind}")
    try:
        unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the {kind}: expected UTF-8, got other bytes at {error.start}") from None


def single(key: str) -> str | None:
    """Return the value of a parameter, or None. Raises BadRequest if it is repeated."""
    given = http_request().args.getlist(key)
    if len(given) > 1:
        raise BadRequest(f"{key}: expected one value, got {len(given)}")
    return given[0] if given else None


def names(key: str, kind: str) -> list[str]:
    """Return the values of a repeatable parameter, all of them names of a kind."""
    given = http_request().args.getlist(key)
    check_names(kind, given)
    return [check_name(kind, name) for name in given]


def check_names(kind: str, given: Collection[str]) -> None:
    """Raise BadRequest for more names than a request may have, and for a name that is repeated too often."""
    check_limit(len(given), limits.NAMES, f"{kind}s")
    for name, times in collections.Counter(map(folded, given)).items():
        check_limit(times, limits.REPEATS, f"times the {kind} {quoted(name)}")


@overload
def whole_number(key: str) -> int | None: ...
@overload
def whole_number(key: str, default: int) -> int: ...
def whole_number(key: str, default: int | None = None) -> int | None:
    """Return a parameter as an integer of 0 or more."""
    text = single(key)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        raise BadRequest(f"{key}: expected a whole number of at most 15 digits, got {quoted(text)}")
    return int(text)


def choice(key: str, among: Sequence[str]) -> str:
    """Return a parameter that is one of `among`, in any case; the first of them if the query does not have it."""
    text = single(key)
    if text is None:
        return among[0]
    if text.upper() not in among:
        raise BadRequest(f"{key}: expected one of {', '.join(among)}, got {quoted(text)}")
    return text.upper()


# --- devices ---

_PARTS = ("domain", "family", "member")


def wildcards() -> list[str]:
    """Return patterns of device names, in which `*` is any text; by default the pattern of all names."""
    return _checked_wildcards(http_request().args.getlist("wildcard") or ["*"])


def wildcards_with_text() -> list[str]:
    """Return the parameters `wildcard` that are not empty."""
    return _checked_wildcards(filter(None, http_request().args.getlist("wildcard")))


def _checked_wildcards(texts: Iterable[str]) -> list[str]:
    given = dict.fromkeys(texts)
    check_limit(len(given), limits.WILDCARDS, "wildcards")
    return [check_name("wildcard", wildcard) for wildcard in given]


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> object: ...


@dataclasses.dataclass(frozen=True)
class NameParts:
    """mtango-py's `domain`, `family` and `member`: expressions that must match somewhere in that part, in any case."""

    patterns: tuple[Pattern | None, ...]

    def match(self, name: str) -> bool:
        parts = name.split("/")
        return len(parts) == len(self.patterns) and all(
            pattern is None or pattern.search(part) for pattern, part in zip(self.patterns, parts, strict=True)
        )


def name_parts() -> NameParts | None:
    """Return the expressions of the query, or None if it has none."""
    texts = [single(part) for part in _PARTS]
    if not any(texts):
        return None
    return NameParts(tuple(_compile(part, text) for part, text in zip(_PARTS, texts, strict=True)))


def _compile(part: str, text: str | None) -> Pattern | None:
    """Compile an expression for an engine of linear time: Python's own can be made to run for years."""
    if not text:
        return None
    if len(text) > MAXIMUM_NAME:
        raise BadRequest(f"{part}: expected at most {MAXIMUM_NAME} characters, got {len(text)}")
    try:
        import re2
    except ImportError:
        raise NotImplementedHere(f"{part} needs google-re2, which is not installed (the extra `mtango-py`)") from None
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else error
        raise BadRequest(f"{part}: expected a regular expression, got {quoted(text)}: {reason}") from None


# --- range ---


@dataclasses.dataclass(frozen=True)
class Range:
    """Indices of items, from `start` to before `stop`."""

    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.start}-{self.stop}"


def range_of_items() -> Range | None:
    """Return the parameter `range`, `a-b`, or None. Contract: rc3, section 4 and Decisions."""
    text = single("range")
    if text is None:
        return None
    parts = re.fullmatch(r"([0-9]{1,9})-([0-9]{1,9})", text, re.ASCII)
    if parts is None or int(parts[1]) >= int(parts[2]):
        raise BadRequest(f"range: expected a-b, two whole numbers with a < b, got {quoted(text)}")
    return Range(int(parts[1]), int(parts[2]))


# --- filter ---


def filtered(data: T) -> T:
    """Return JSON data with the keys that the parameter `filter` selects. Contract: rc3, section 3 and Decisions."""
    given = http_request().args.getlist("filter")
    include = {name for name in given if not name.startswith("!")}
    exclude = {name[1:] for name in given if name.startswith("!")}
    if include:
        data, _ = _include(data, include)
    return _exclude(data, exclude) if exclude else data


def _include(data: Any, keys: set[str]) -> tuple[Any, bool]:
    """Return the part of `data` with these keys, and whether there is any. Items of lists keep their places."""
    if isinstance(data, dict):
        kept = {}
        for key, value in data.items():
            inside, found = (value, True) if key in keys else _include(value, keys)
            if found:
                kept[key] = inside
        return kept, bool(kept)
    if isinstance(data, list):
        items = [_include(item, keys) for item in _in_turns(data)]
        return [item for item, _ in items if isinstance(item, (dict, list))], any(found for _, found in items)
    return None, False


def _exclude(data: Any, keys: set[str]) -> Any:
    if isinstance(data, dict):
        return {key: _exclude(value, keys) for key, value in data.items() if key not in keys}
    if isinstance(data, list):
        return [_exclude(item, keys) for item in _in_turns(data)]
    return data


def _in_turns(items: list[Any]) -> Iterable[Any]:
    """Let other greenlets run between objects; the items of a value are scalars."""
    return app_state().client.concurrency.in_turns(items) if items and isinstance(items[0], dict) else items
