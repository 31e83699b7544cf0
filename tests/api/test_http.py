"""What holds for every URL: headers, methods, failures."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from flask import Flask
from webtest import TestApp

from mtango_gevent import __version__

SERVER = f"mtango-gevent {__version__}"


def every_rule(app: Flask) -> list[str]:
    return sorted({rule.rule for rule in app.url_map.iter_rules()})


def test_every_answer_names_the_server(client: TestApp, demo_url: str) -> None:
    for url in (
        "/",
        "/tango/rest",
        f"{demo_url}/state",
        f"{demo_url}/attributes/nope/value",
        "/nope",
        "/swagger/x.yml",
    ):
        assert client.get(url, expect_errors=True).headers["x-mtango"] == SERVER
    assert client.delete(demo_url, expect_errors=True).headers["x-mtango"] == SERVER


@pytest.mark.parametrize("path", ["", "/state", "/attributes", "/attributes/ampli/value", "/commands", "/properties"])
def test_head_and_options_answer_wherever_get_does(client: TestApp, demo_url: str, path: str) -> None:
    head = client.head(demo_url + path, status=200)
    assert head.body == b""
    assert head.content_length > 0
    options = client.options(demo_url + path, status=200)
    assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["Allow"].split(", "))


def test_a_method_that_is_not_allowed_is_named(client: TestApp, demo_url: str) -> None:
    reply = client.delete(f"{demo_url}/state", status=405)
    assert reply.json["http_status"] == 405
    assert reply.json["quality"] == "FAILURE"
    assert "DELETE" in reply.json["errors"][0]["description"]
    assert "GET" in reply.headers["Allow"]


@pytest.mark.parametrize("url", ["/nope", "/tango/rest/rc4", "/tango/rest/rc3/nope", "/tango/rest/sys/cache/nope"])
def test_a_url_that_is_none_is_404_and_named(client: TestApp, url: str) -> None:
    reply = client.get(url, status=404)
    assert reply.json["http_status"] == 404
    assert reply.json["quality"] == "FAILURE"
    assert set(reply.json["errors"][0]) == {"reason", "description", "severity", "origin"}


IMPOSSIBLE = ["x%00y", "%ff", "x" * 300]
IMPOSSIBLE_IN = {
    "domain": ["%0a", "%7f", "%E6%97%A5", "a%23dbase=no", "a*b", "a%25b", "tango:", "a->b"],
    "attribute": ["All attributes", "All attributes_3"],
}
PLACES = ["domain", "attribute", "command", "pipe", "property"]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        *[(place, name) for place in PLACES for name in [*IMPOSSIBLE, *IMPOSSIBLE_IN.get(place, ())]],
    ],
)
def test_names_that_cannot_be_are_refused_before_tango_sees_them(
    client: TestApp, host_url: str, demo_url: str, place: str, name: str
) -> None:
    url = {
        "domain": f"{host_url}/devices/{name}/tg_test/1",
        "attribute": f"{demo_url}/attributes/{name}/value",
        "command": f"{demo_url}/commands/{name}",
        "property": f"{demo_url}/properties/{name}",
        "pipe": f"{demo_url}/pipes/{name}",
    }[place]
    refusal = client.get(url, status=400).json
    assert place in refusal["errors"][0]["description"]


@pytest.mark.parametrize("query", ["attr=%00", "attr=", "attr=a%2Fb", "attr=a&attr=" + "x" * 256])
@pytest.mark.parametrize("path", ["value", "info"])
def test_names_in_the_query_are_checked_too(client: TestApp, demo_url: str, path: str, query: str) -> None:
    refusal = client.get(f"{demo_url}/attributes/{path}?{query}", status=400).json
    assert "attribute" in refusal["errors"][0]["description"]


@pytest.mark.parametrize("query", ["attr=%FF", "attr=a&x=%C3%28", "filter=%ff"])
def test_a_query_that_is_no_utf8_is_refused(client: TestApp, demo_url: str, query: str) -> None:
    refusal = client.get(f"{demo_url}/attributes/value?{query}", status=400).json
    assert "UTF-8" in refusal["errors"][0]["description"]


@pytest.mark.parametrize("query", ["range=0-1&range=1-2", "domain=a&domain=b"])
def test_what_can_be_given_once_is_not_given_twice(client: TestApp, host_url: str, query: str) -> None:
    refusal = client.get(f"{host_url}/devices?{query}", status=400).json
    assert query.partition("=")[0] in refusal["errors"][0]["description"]


@pytest.mark.parametrize("host", ["", "a:b:c", "[::1", "a b", 'a"b', "a/b", "a:123456"])
def test_a_host_that_is_none_is_refused_where_links_are_made(client: TestApp, host: str) -> None:
    refusal = client.get("/tango/rest", headers={"Host": host}, status=400).json
    assert "Host" in refusal["errors"][0]["description"]


@pytest.mark.parametrize("host", ["tango_gw:8000", "[::1]:8000", "gw.example.org", "10.0.0.1:8080"])
def test_links_have_the_host_that_was_asked(client: TestApp, host: str) -> None:
    assert client.get("/tango/rest", headers={"Host": host}).json["rc3"] == f"http://{host}/tango/rest/rc3"


def test_nothing_of_a_client_makes_a_line_of_its_own_in_the_log(
    client: TestApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    client.get("/tango/rest/x%0a[CRITICAL]%1b[31m", status=404)
    assert "CRITICAL" in caplog.text
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_credentials_are_ignored(client: TestApp, demo_url: str) -> None:
    client.get(f"{demo_url}/state", headers={"Authorization": "Basic dW5kZWZpbmVkOnVuZGVmaW5lZA=="}, status=200)


def test_caching_follows_the_settings(client: TestApp, make_client: Callable[..., TestApp], demo_url: str) -> None:
    value, listing = f"{demo_url}/attributes/ampli/value", f"{demo_url}/commands"
    assert client.get(value).headers["Cache-Control"] == "no-cache"
    assert client.get(listing).headers["Cache-Control"] == "no-cache"
    caching = make_client(value_max_age=120.0, metadata_max_age=60.0)
    assert caching.get(value).headers["Cache-Control"].startswith("max-age=11")
    assert caching.get(listing).headers["Cache-Control"] == "max-age=60"
    assert "GMT" in caching.get(listing).headers["Expires"]


def test_an_error_of_ours_is_logged_and_tells_nothing(tango_system: object, caplog: pytest.LogCaptureFixture) -> None:
    from mtango_gevent import create_app
    from mtango_gevent.config import Config

    app = create_app(Config())
    app.add_url_rule("/broken", view_func=lambda: 1 / 0)
    body = orjson.loads(TestApp(app).get("/broken", status=500).body)
    assert "ZeroDivision" not in str(body)
    assert body["http_status"] == 500
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("url", ["/", "/swagger/main.yml", "/swagger/x.yml"])
def test_pages_load_nothing_from_elsewhere_and_are_in_no_frame(client: TestApp, url: str) -> None:
    headers = client.get(url, expect_errors=True).headers
    assert {"default-src 'self'", "frame-ancestors 'none'"} <= set(headers["Content-Security-Policy"].split("; "))
    assert headers["Referrer-Policy"] == "same-origin"


def test_browsers_take_no_response_for_another_type(client: TestApp, demo_url: str) -> None:
    for url in ("/", "/nope", f"{demo_url}/attributes/ampli/value", f"{demo_url}/attributes/nope/value", "/healthz"):
        assert client.get(url, expect_errors=True).headers["X-Content-Type-Options"] == "nosniff"
