"""Values that are asked for again are answered without Flask, and nobody can tell from the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from webtest import TestApp

from tests.witness import Witness

# What every answer has of its own.
_OWN = ("X-Request-ID", "Server-Timing", "Expires", "Last-Modified", "Content-Length", "ETag")


@contextmanager
def flask_asked(client: TestApp) -> Iterator[list[str]]:
    """Collect the paths that the middleware hands to Flask within the block."""
    asked: list[str] = []
    middleware, flask = client.app.wsgi_app, client.app.wsgi_app._flask

    def note(environ: dict[str, Any], start_response: Any) -> Any:
        asked.append(environ["PATH_INFO"])
        return flask(environ, start_response)

    middleware._flask = note
    try:
        yield asked
    finally:
        middleware._flask = flask


def seen(answer: Any) -> Any:
    headers = {name: value for name, value in answer.headers.items() if name not in _OWN}
    items = answer.json if isinstance(answer.json, list) else [answer.json]
    shown = [{**item, "timestamp": type(item["timestamp"])} for item in items]
    return answer.status_int, headers, sorted(answer.headers), shown


@pytest.fixture
def client(make_client: Callable[..., TestApp]) -> TestApp:
    """Of an application that nobody has asked yet."""
    return make_client()


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://a.page"}, {"Accept": "application/json"}])
@pytest.mark.parametrize("age", [0.0, 60.0])
def test_the_second_answer_is_as_the_first(
    make_client: Callable[..., TestApp], types_url: str, headers: dict[str, str], age: float
) -> None:
    client = make_client(value_max_age=age)
    listed = [each["name"] for each in client.get(f"{types_url}/attributes").json]
    known = [name for name in listed if "throw" not in name]
    together = "&".join(f"attr={name}" for name in [*known[:20], "no_such_one"])
    paths = [*(f"/{name}/value" for name in known), f"/value?{together}"]
    for path in paths:
        first = client.get(f"{types_url}/attributes{path}", headers=headers)
        failed = not isinstance(first.json, list) and "errors" in first.json
        with flask_asked(client) as asked:
            second = client.get(f"{types_url}/attributes{path}", headers=headers)
        assert seen(second) == seen(first)
        assert bool(asked) == failed


def test_what_asks_for_more_than_its_url_says_is_flasks(client: TestApp, types_url: str) -> None:
    image, several = f"{types_url}/attributes/uchar_image/value", f"{types_url}/attributes/value?attr=State"
    client.get(image), client.get(several)
    with flask_asked(client) as asked:
        assert client.get(image, headers={"Accept": "image/png"}).content_type == "image/png"
        assert client.head(image).body == b""
        assert client.options(image).headers["Allow"]
        assert client.get(f"{image}?filter=value").json.keys() == {"value"}
        assert client.get(f"{image}?filter=quality").json.keys() == {"quality"}
        assert client.get(f"{several}&range=0-1").json
        assert client.get(f"{several}&filter=name").json == [{"name": "State"}]
        assert client.get(f"{several}&filter=name").json == [{"name": "State"}]
        assert client.get(image, headers={"If-None-Match": "*"}, status=200)
        assert client.put(f"{types_url}/attributes/double_scalar/value?v=1", status=200)
    assert len(asked) == 10
    with flask_asked(client) as asked:
        assert client.get(image).json["value"]
    assert not asked


def test_a_failure_is_as_ever_and_what_comes_after_it_too(
    client: TestApp, host_url: str, sender: str, witness: Witness
) -> None:
    url = f"{host_url}/devices/{sender}/attributes/silent/value"
    good = client.get(url)
    witness.runs(sender, "Break", True)
    try:
        with flask_asked(client) as asked:
            failures = [client.get(url, headers={"X-Request-ID": "mine"}) for _ in range(2)]
        assert len(asked) == 2
    finally:
        witness.runs(sender, "Break", False)
    for failure in failures:
        assert failure.json["quality"] == "FAILURE"
        assert "broken" in failure.json["errors"][0]["description"]
        assert (failure.headers["X-Request-ID"], failure.headers["Cache-Control"]) == ("mine", "no-store")
    assert seen(client.get(url)) == seen(good)


def test_who_is_written_to_is_read_anew(client: TestApp, types_url: str, fresh_types: str) -> None:
    url = f"{types_url}/attributes/double_scalar/value"
    for number in range(3):
        client.put(f"{url}?v={number}")
        assert client.get(url).json["value"] == number


def test_each_is_counted_and_logged(client: TestApp, demo_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mtango_gevent.access")
    url = f"{demo_url}/attributes/ampli/value"
    before = client.get("/tango/rest/sys/stats").json
    for _ in range(3):
        client.get(url, headers={"X-Request-ID": "mine"})
    after = client.get("/tango/rest/sys/stats").json
    assert after["requests"] - before["requests"] == 3 + 1
    assert after["responses"] - before["responses"] == 3 + 1
    lines = [record.getMessage() for record in caplog.records if "id=mine" in record.getMessage()]
    assert len(lines) == 3
    assert len({line.split("ms", 1)[0].rsplit(" ", 1)[0] for line in lines}) == 1
    assert all(line.endswith("id=mine ok") and "device=sys/tg_test/1" in line for line in lines)
    (row,) = (
        line
        for line in client.get("/metrics").text.splitlines()
        if line.startswith("mtango_http_requests_total") and "attribute>/value" in line and 'method="GET"' in line
    )
    assert row.endswith(" 3.0")
