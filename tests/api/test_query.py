"""Parameters of the query, without any device."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ
from werkzeug.wrappers import Request

from mtango_gevent import create_app
from mtango_gevent.api import query, request_context
from mtango_gevent.api.request_context import AppState
from mtango_gevent.config import Config
from mtango_gevent.errors import BadRequest


@functools.cache
def state() -> AppState:
    return create_app(Config()).extensions["mtango"]


def begin_request(text: str) -> None:
    """Make a request with this query the current one."""
    context = request_context.begin(state(), create_environ(query_string=text))
    context.request = Request(context.environ)


def in_request(text: str, function: Callable[..., Any], *arguments: object) -> Any:
    begin_request(text)
    return function(*arguments)


@pytest.mark.parametrize(("text", "start", "stop"), [("0-1", 0, 1), ("5-10", 5, 10), ("0-999999999", 0, 999999999)])
def test_a_range_ends_before_its_second_number(text: str, start: int, stop: int) -> None:
    assert in_request(f"range={text}", query.range_of_items) == query.Range(start, stop)


@pytest.mark.parametrize(
    "text", ["", "5", "-", "a-b", "5-5", "6-5", "-1-5", "1-2-3", "1.0-2", "0-9999999999", "%D9%A1-%D9%A2"]
)
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^range: expected a-b"):
        in_request(f"range={text}", query.range_of_items)


DATA = {"name": "a", "info": {"name": "b", "unit": "V", "deep": [{"unit": "A"}, {"x": 1}]}, "list": [1, 2]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", DATA),
        ("filter=name", {"name": "a", "info": {"name": "b"}}),
        ("filter=info", {"info": DATA["info"]}),
        ("filter=unit", {"info": {"unit": "V", "deep": [{"unit": "A"}, {}]}}),
        ("filter=list", {"list": [1, 2]}),
        ("filter=nothing", {}),
        ("filter=!name", {"info": {"unit": "V", "deep": [{"unit": "A"}, {"x": 1}]}, "list": [1, 2]}),
        ("filter=!info&filter=!list", {"name": "a"}),
        ("filter=info&filter=!unit", {"info": {"name": "b", "deep": [{}, {"x": 1}]}}),
        ("filter=!unit&filter=info", {"info": {"name": "b", "deep": [{}, {"x": 1}]}}),
    ],
)
def test_filter_keeps_what_is_named_or_leads_to_it(text: str, wanted: object) -> None:
    assert in_request(text, query.filtered, DATA) == wanted


def test_a_filter_keeps_items_in_their_places() -> None:
    assert in_request("filter=value", query.filtered, [{"value": 1}, {"errors": []}]) == [{"value": 1}, {}]


@pytest.mark.parametrize("kind", ["attribute", "command", "pipe"])
@pytest.mark.parametrize("name", ["a\x00b", "a/b", "", "x" * 256, "a\udc80", "\ufffdb"])
def test_what_cannot_be_a_name_is_refused_and_named(kind: str, name: str) -> None:
    with pytest.raises(BadRequest) as raised:
        query.check_name(kind, name)
    assert raised.value.description.startswith(f"the {kind} ")
    assert raised.value.description.isprintable()


@pytest.mark.parametrize("name", ["All attributes", "All attributes_3"])
def test_an_attribute_is_not_called_as_all_of_them_are(name: str) -> None:
    with pytest.raises(BadRequest):
        query.check_name("attribute", name)
    assert query.check_name("command", name) == name


@pytest.mark.parametrize("kind", ["attribute", "command", "pipe", "property_name"])
@given(st.text(st.characters(exclude_characters="\0/\ufffd", exclude_categories=["Cs"]), min_size=1, max_size=255))
def test_any_other_text_is_a_name(kind: str, name: str) -> None:
    assert query.check_name(kind, name) == name


@pytest.mark.parametrize("kind", ["domain", "family", "member"])
@pytest.mark.parametrize("text", ["#dbase=no", "a#b", "tango:", "h:1", "a->b", "%", "*", '"', "'", "\\", "`", "\n"])
def test_no_device_name_has_what_leads_elsewhere(kind: str, text: str) -> None:
    """PyTango reads hosts and modifiers in it, and the C++ database puts it into its queries, as a pattern."""
    with pytest.raises(BadRequest):
        query.check_name(kind, text)


@pytest.mark.parametrize("kind", ["domain", "family", "member", "wildcard"])
@pytest.mark.parametrize("text", ["a b", "a?", "a,b", "a+b", "a=b", "a@b", "é", "a;b"])
def test_a_device_may_have_other_odd_characters(kind: str, text: str) -> None:
    assert query.check_name(kind, text) == text


@pytest.mark.parametrize("character", ['"', "'", "\\", "`", "\0", "\n"])
def test_no_wildcard_has_what_means_something_in_sql(character: str) -> None:
    with pytest.raises(BadRequest):
        query.check_name("wildcard", f"a{character}")


def test_parts_of_names_are_searched_in_any_case() -> None:
    parts = in_request("domain=^SY&member=[0-9]$", query.name_parts)
    assert parts.match("sys/tg_test/1")
    assert not parts.match("asys/tg_test/1")
    assert not parts.match("sys/tg_test/one")


@pytest.mark.parametrize("expression", ["(", "[", "a{9999}", "(?P<", "*", "\\"])
def test_a_wrong_expression_is_refused_and_named(expression: str) -> None:
    with pytest.raises(BadRequest, match=r"^family: expected"):
        in_request(urlencode({"family": expression}), query.name_parts)


def test_no_expression_runs_away() -> None:
    """Python's own engine takes years for this one."""
    parts = in_request(urlencode({"member": "(.?){40}(.?){40}Q"}), query.name_parts)
    began = time.monotonic()
    assert not parts.match("a/b/" + "x" * 100)
    assert time.monotonic() - began < 3


# --- whatever is asked ---

TEXTS = st.one_of(
    st.text(), st.text(alphabet="0123456789-", max_size=12), st.text(alphabet="ab*%/!.()[]{}\\?+|^$", max_size=40)
)


def outcome(read: Callable[[], object]) -> tuple[object, str]:
    """(what is read, why not)."""
    try:
        return read(), ""
    except BadRequest as refusal:
        return None, refusal.description


@given(st.sampled_from(["range", "last", "state", "domain", "filter", "wildcard", "attr"]), st.lists(TEXTS, max_size=3))
def test_a_parameter_gives_a_value_or_a_refusal(key: str, given: list[str]) -> None:
    readings = {
        "range": query.range_of_items,
        "last": lambda: query.whole_number("last"),
        "state": lambda: query.choice("state", ("ONE", "OTHER")),
        "domain": query.name_parts,
        "filter": lambda: query.filtered(DATA),
        "wildcard": query.wildcards,
        "attr": lambda: query.names("attr", "attribute"),
    }
    begin_request(urlencode({key: given}, doseq=True))
    found, reason = outcome(readings[key])
    assert reason.isprintable()
    assert len(reason) < 1000
    assert not isinstance(found, query.NameParts) or found.match("a/b/c") in (True, False)


@given(st.integers(0, 999_999_999), st.integers(0, 999_999_999))
def test_a_range_says_what_was_asked(start: int, stop: int) -> None:
    begin_request(f"range={start}-{stop}")
    if start < stop:
        assert str(query.range_of_items()) == f"{start}-{stop}"
    else:
        with pytest.raises(BadRequest):
            query.range_of_items()


@given(st.binary())
def test_a_query_is_utf8_or_refused(encoded: bytes) -> None:
    try:
        query.check_parameters("query", encoded)
    except BadRequest:
        return
    unquote_to_bytes(encoded).decode("utf-8")


KEYS = st.sampled_from("abcd")
DOCUMENTS = st.recursive(
    st.integers(),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=15,
)


def keys_of(data: object) -> set[str]:
    if isinstance(data, dict):
        return set(data).union(*map(keys_of, data.values()))
    return set().union(*map(keys_of, data)) if isinstance(data, list) else set()


@given(DOCUMENTS, st.lists(KEYS, max_size=3), st.lists(KEYS, max_size=3))
def test_a_filter_excludes_what_it_says_and_does_no_more_the_second_time(
    data: object, include: list[str], exclude: list[str]
) -> None:
    asked = [("filter", name) for name in include] + [("filter", f"!{name}") for name in exclude]
    once = in_request(urlencode(asked), query.filtered, data)
    assert not keys_of(once) & set(exclude)
    assert keys_of(once) <= keys_of(data)
    if not exclude:  # which may leave nothing of what was included
        assert query.filtered(once) == once
    if not asked:
        assert once == data
