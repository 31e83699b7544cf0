"""The query string as plain values. What cannot be used is a BadRequest that names it."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import request

from mtango_gevent import limits
from mtango_gevent.errors import BadRequest, NotImplementedHere, check_limit
from mtango_gevent.names import folded

# Longer than any name that Tango's database can hold, shorter than what would fill a log.
MAXIMUM_NAME = 255

# Characters that cannot be in a name, by what it is a name of. Tango allows all but NUL and `/` in the name of an
# attribute, command or pipe, and all but NUL in that of a property. The name of a device is different: PyTango reads
# hosts and modifiers in it (`:`, `#dbase=no`, `->`), and the C++ database puts it into SQL as it is, as a pattern.
_IN_DEVICE_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\"'`\\%/:#*]|->")
_FORBIDDEN_IN = {
    **dict.fromkeys(("host", "domain", "family", "member"), _IN_DEVICE_NAMES),
    "property_name": re.compile(r"\0"),
    # The databases escape `%` in a wildcard, but not `\`.
    "wildcard": re.compile(r"[\x00-\x1f\x7f-\x9f\"'`\\]"),
}
_FORBIDDEN = re.compile(r"[\0/]")

# What bytes that are no UTF-8 become on their way here.
_NOT_UTF8 = re.compile("[\ufffd\ud800-\udfff]")

# Tango's names for "all", where a name is due: exactly so spelled. (AllAttr and AllAttr_3 in tango.constants)
_ALL = {"attribute": ("All attributes", "All attributes_3")}


def check_name(kind: str, name: str) -> str:
    """`name` if it can be the name of a `kind`: domain, attribute, property_name, wildcard, ... Raises BadRequest."""
    problem = _name_problem(kind, name)
    if problem:
        raise BadRequest(f"the {kind.replace('_', ' ')} {quoted(name)} {problem}")
    return name


def _name_problem(kind: str, name: str) -> str | None:
    if not name:
        return "is empty"
    if len(name) > MAXIMUM_NAME:
        return f"is longer than {MAXIMUM_NAME} characters"
    found = _FORBIDDEN_IN.get(kind, _FORBIDDEN).search(name)
    if found:
        return f"contains {found[0]!r}, which no {kind.replace('_', ' ')} has"
    if _NOT_UTF8.search(name):
        return "is not UTF-8"
    if name in _ALL.get(kind, ()):
        return f"stands for every {kind} in Tango"
    if kind in ("domain", "family", "member", "wildcard") and not _is_latin1(name):
        return "contains a character that is not Latin-1"
    return None


def quoted(text: str, maximum: int = 60) -> str:
    """`text` as an error message may show it."""
    return repr(text if len(text) <= maximum else text[:maximum] + "...")


def _is_latin1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def check_query() -> None:
    """Raises BadRequest for a query that check_parameters refuses."""
    check_parameters("query", request.query_string)


def check_parameters(kind: str, encoded: bytes) -> None:
    """Raises BadRequest where a query, or a form, has too many parameters, or is not UTF-8 below its percent signs.

    werkzeug would take such bytes for the text `%FF`.
    """
    check_limit(encoded.count(b"&") + 1, limits.PARAMETERS, f"parameters in the {kind}")
    try:
        unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the {kind} is not UTF-8 at byte {error.start}") from None


def has_only(*keys: str) -> bool:
    """Whether no other parameters are given."""
    return request.args.keys() <= set(keys)


def single(key: str) -> str | None:
    """The value of a parameter that is given once at most."""
    given = request.args.getlist(key)
    if len(given) > 1:
        raise BadRequest(f"the parameter {key} is given {len(given)} times")
    return given[0] if given else None


def names(key: str, kind: str) -> list[str]:
    """The values of a repeatable parameter that names things."""
    given = request.args.getlist(key)
    check_number(kind, given)
    return [check_name(kind, name) for name in given]


def check_number(kind: str, given: Collection[str]) -> None:
    """Raises BadRequest for more names than a request may have, and for one that is there too often."""
    check_limit(len(given), limits.NAMES, f"{kind}s")
    for name, times in collections.Counter(map(folded, given)).items():
        check_limit(times, limits.REPEATS, f"times the {kind} {quoted(name)}")


def whole_number(key: str, default: int | None = None) -> Any:
    """A parameter that counts something, as an integer."""
    text = single(key)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        raise BadRequest(f"{key}={quoted(text)} is not a whole number of at most 15 digits")
    return int(text)


def choice(key: str, among: Sequence[str]) -> str:
    """A parameter that names one of `among`, in any case; the first of them where it is not given."""
    text = single(key)
    if text is None:
        return among[0]
    if text.upper() not in among:
        raise BadRequest(f"{key}={quoted(text)} is none of {', '.join(among)}")
    return text.upper()


# --- devices ---

_PARTS = ("domain", "family", "member")


def wildcards() -> list[str]:
    """Patterns of device names, `*` for any characters; all of them without a parameter."""
    given = dict.fromkeys(request.args.getlist("wildcard") or ["*"])
    check_limit(len(given), limits.WILDCARDS, "wildcards")
    return [check_name("wildcard", wildcard) for wildcard in given]


@dataclasses.dataclass(frozen=True)
class NameParts:
    """mtango-py's `domain`, `family` and `member`: expressions that each part of a name must contain, in any case."""

    patterns: tuple[Any, ...]

    def match(self, name: str) -> bool:
        parts = name.split("/")
        return len(parts) == len(self.patterns) and all(
            pattern is None or pattern.search(part) for pattern, part in zip(self.patterns, parts, strict=True)
        )


def name_parts() -> NameParts | None:
    """None where no part is asked for."""
    texts = [single(part) for part in _PARTS]
    if not any(texts):
        return None
    return NameParts(tuple(_expression(part, text) for part, text in zip(_PARTS, texts, strict=True)))


def _expression(part: str, text: str | None) -> Any:
    """Compiled by an engine of linear time: Python's own can be made to run for ever."""
    if not text:
        return None
    if len(text) > MAXIMUM_NAME:
        raise BadRequest(f"{part}={quoted(text)} is longer than {MAXIMUM_NAME} characters")
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
        raise BadRequest(f"{part}={quoted(text)} is no regular expression: {reason}") from None


# --- range ---


@dataclasses.dataclass(frozen=True)
class Range:
    """Items `start` to `stop`, `stop` not included."""

    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.start}-{self.stop}"


def range_of_items() -> Range | None:
    """The parameter `range`, `a-b`. Contract: rc3, section 4 and Decisions."""
    text = single("range")
    if text is None:
        return None
    parts = re.fullmatch(r"([0-9]{1,9})-([0-9]{1,9})", text, re.ASCII)
    if parts is None:
        raise BadRequest(f"range={quoted(text)} is not of the form a-b, two whole numbers")
    found = Range(int(parts[1]), int(parts[2]))
    if found.start >= found.stop:
        raise BadRequest(f"range={quoted(text)} is empty: b is the first index that is left out")
    return found


# --- filter ---


def filtered(data: Any) -> Any:
    """`data` with the keys that the parameter `filter` lets through. Contract: rc3, section 3 and Decisions."""
    given = request.args.getlist("filter")
    include = {name for name in given if not name.startswith("!")}
    exclude = {name[1:] for name in given if name.startswith("!")}
    if include:
        data, _ = _include(data, include)
    return _exclude(data, exclude) if exclude else data


def _include(data: Any, keys: set[str]) -> tuple[Any, bool]:
    """(what stays of `data`, whether anything does). Items of lists keep their places."""
    if isinstance(data, dict):
        kept = {}
        for key, value in data.items():
            inside, found = (value, True) if key in keys else _include(value, keys)
            if found:
                kept[key] = inside
        return kept, bool(kept)
    if isinstance(data, list):
        items = [_include(item, keys) for item in data]
        return [item for item, _ in items if isinstance(item, (dict, list))], any(found for _, found in items)
    return None, False


def _exclude(data: Any, keys: set[str]) -> Any:
    if isinstance(data, dict):
        return {key: _exclude(value, keys) for key, value in data.items() if key not in keys}
    if isinstance(data, list):
        return [_exclude(item, keys) for item in data]
    return data
