"""Caching headers and conditional requests: contract v11, section 2."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

import pytest
from webtest import TestApp

PATHS = [
    *("", "/state", "/attributes", "/attributes/ampli", "/attributes/ampli/value", "/attributes/value?attr=ampli"),
    *("/attributes/ampli/info", "/attributes/ampli/properties", "/properties", "/commands", "/commands/DevVoid"),
]


@pytest.fixture
def caching(make_client: Callable[..., TestApp]) -> TestApp:
    """A client of an application whose values are fresh for a minute and a bit."""
    return make_client(value_max_age=60.5, metadata_max_age=120.5)


@pytest.mark.parametrize("path", PATHS)
def test_answers_have_the_three_headers(client: TestApp, v11_demo_url: str, path: str) -> None:
    answer = client.get(v11_demo_url + path)
    assert answer.headers["Cache-Control"] == 'no-transform, max-age=0, max-age-millis="0"'
    assert abs(parsedate_to_datetime(answer.headers["Expires"]).timestamp() - time.time()) < 60
    assert answer.headers["ETag"].startswith('"')


@pytest.mark.parametrize("path", PATHS)
def test_age_is_told_in_seconds_and_milliseconds(caching: TestApp, v11_demo_url: str, path: str) -> None:
    no_transform, seconds, milliseconds = caching.get(v11_demo_url + path).headers["Cache-Control"].split(", ")
    whole, exact = int(seconds.removeprefix("max-age=")), int(milliseconds.split('"')[1])
    assert no_transform == "no-transform"
    assert milliseconds.startswith('max-age-millis="')
    assert whole == exact // 1000
    assert 0 < exact <= 120_500


def test_metadata_is_fresh_for_as_long_as_the_settings_say(caching: TestApp, v11_demo_url: str) -> None:
    headers = caching.get(f"{v11_demo_url}/attributes").headers
    assert headers["Cache-Control"] == 'no-transform, max-age=120, max-age-millis="120500"'


def test_failed_item_is_not_fresh(caching: TestApp, v11_demo_url: str) -> None:
    headers = caching.get(f"{v11_demo_url}/attributes/value?attr=ampli&attr=nope").headers
    assert "ETag" not in headers
    assert headers["Cache-Control"] == 'no-transform, max-age=0, max-age-millis="0"'


@pytest.mark.parametrize("path", PATHS)
def test_client_that_has_an_answer_gets_304(caching: TestApp, v11_demo_url: str, path: str) -> None:
    url, ask = v11_demo_url + path, caching.get
    tag = ask(url).headers["ETag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}"):
        same = ask(url, headers={"If-None-Match": known}, status=304)
        assert (same.body, same.headers["ETag"]) == (b"", tag)
    ask(url, headers={"If-None-Match": '"other"'}, status=200)


# --- If-Modified-Since ---


def ask_since(client: TestApp, url: str, seconds: float, **headers: str) -> Any:
    return client.get(url, headers={"If-Modified-Since": formatdate(seconds, usegmt=True), **headers})


def test_last_modified_is_time_of_value(client: TestApp, v11_demo_url: str) -> None:
    answer = client.get(f"{v11_demo_url}/attributes/ampli/value")
    modified = parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    assert modified == answer.json["timestamp"] // 1000


@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
def test_value_that_is_not_newer_than_date_is_304(client: TestApp, v11_demo_url: str, accept: str) -> None:
    url = f"{v11_demo_url}/attributes/ampli/value"
    assert ask_since(client, url, time.time() + 60, Accept=accept).status_int == 304
    assert ask_since(client, url, time.time() - 60, Accept=accept).status_int == 200


def test_tag_goes_before_date(client: TestApp, v11_demo_url: str) -> None:
    """A value may change a hundred times in a second."""
    url = f"{v11_demo_url}/attributes/ampli/value"
    assert ask_since(client, url, time.time() + 60, **{"If-None-Match": '"other"'}).status_int == 200


def test_malformed_date_is_none(client: TestApp, v11_demo_url: str) -> None:
    client.get(f"{v11_demo_url}/attributes/ampli/value", headers={"If-Modified-Since": "soon"}, status=200)


def test_writes_are_never_kept(caching: TestApp, v11_demo_url: str) -> None:
    answer = caching.put(f"{v11_demo_url}/attributes/ampli/value?v=1", headers={"If-Modified-Since": formatdate()})
    assert (answer.status_int, answer.headers["Cache-Control"]) == (200, "no-store")
