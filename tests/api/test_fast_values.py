"""Fast values: the same responses as Flask's, and none where a program that embeds the gateway has hooks of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import unquote

import flask
import pytest
from webtest import TestApp
from werkzeug.test import create_environ

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.pytango_process import PyTango
from tests.waiting import wait_until

# Headers that differ between responses to the same request.
_OWN = ("X-Request-ID", "Server-Timing", "Expires", "Last-Modified", "Content-Length", "ETag")


@contextmanager
def flask_asked(client: TestApp) -> Iterator[list[str]]:
    """Collect the paths that the middleware hands to Flask within the block."""
    asked: list[str] = []
    middleware = gateway_of(client)
    flask = middleware._flask

    def note(environ: dict[str, Any], start_response: Any) -> Any:
        asked.append(environ["PATH_INFO"])
        return flask(environ, start_response)

    middleware._flask = note
    try:
        yield asked
    finally:
        middleware._flask = flask


@contextmanager
def views_asked(client: TestApp) -> Iterator[list[str]]:
    """Collect the paths that fast values leave to a view within the block, be it on a short route or through Flask."""
    asked: list[str] = []
    fast_values = gateway_of(client)._fast_values
    answer = fast_values.answer

    def note(context: Any) -> Any:
        response = answer(context)
        if response is None:
            asked.append(context.environ["PATH_INFO"])
        return response

    with mock.patch.object(fast_values, "answer", note):
        yield asked


@contextmanager
def flask_alone(client: TestApp) -> Iterator[None]:
    """Have Flask answer every request of the block."""
    with mock.patch.object(gateway_of(client)._hooks, "are_own", return_value=False):
        yield


def gateway_of(client: TestApp) -> Any:
    """Return the middleware, which ProxyFix may wrap."""
    outer = client.app.wsgi_app
    return getattr(outer, "app", outer)


def respond(
    client: TestApp, method: str, url: str, headers: dict[str, str], script_name: str, sent: bytes | None = None
) -> tuple[Any, ...]:
    """Return status, headers and body as the application gives them, without what differs between two responses.

    sent: the body of the request.
    """
    path, _, query = url.partition("?")
    content_type = headers.get("Content-Type")
    environ = create_environ(method=method, base_url="http://localhost:8000", data=sent, content_type=content_type)
    environ |= {
        "REMOTE_ADDR": "127.0.0.1",
        "SCRIPT_NAME": script_name,
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    started: list[Any] = []
    body = b"".join(client.app.wsgi_app(environ, lambda status, headers, *_: started.extend([status, headers])))
    headers_sent = sorted(
        (name, re.sub("[0-9]+", "", value) if name in ("Cache-Control", "Expires") else value)
        for name, value in started[1]
        if name not in ("X-Request-ID", "Server-Timing")
    )
    if b'"quality":"FAILURE"' in body:
        body = re.sub(rb'"timestamp":[0-9]+', b"", body)
    return started[0], headers_sent, body


def of_version(version: str, url: str) -> str:
    """Return the URL of a version for a URL of rc3."""
    return re.sub("/rc3/hosts/([^/]*)/", rf"/{version}/hosts/\1;port=", url) if version != "rc3" else url


VERSIONS = pytest.mark.parametrize("version", ["rc3", "v11"])


def seen(answer: Any) -> Any:
    headers = {name: value for name, value in answer.headers.items() if name not in _OWN}
    headers["Cache-Control"] = re.sub("[0-9]+", "", headers["Cache-Control"])
    items = answer.json if isinstance(answer.json, list) else [answer.json]
    shown = [{**item, "timestamp": type(item["timestamp"])} for item in items]
    return answer.status_int, headers, sorted(answer.headers), shown


@pytest.fixture
def client(make_client: Callable[..., TestApp]) -> TestApp:
    """A client of an application that has had no request."""
    return make_client()


@pytest.fixture
def steady_types(fresh_types: str, pytango: PyTango) -> None:
    """The attributes that a test compares twice keep their values: limited_scalar is polled and follows a sine."""
    pytango.write(fresh_types, "limited_scalar", 1.0)
    wait_until(lambda: pytango.read(fresh_types, "limited_scalar") == 1.0)


@VERSIONS
@pytest.mark.parametrize("headers", [{}, {"Origin": "http://a.page"}, {"Accept": "application/json"}])
@pytest.mark.parametrize("age", [0.0, 60.0])
@pytest.mark.usefixtures("steady_types")
def test_fast_values_equal_flasks(
    make_client: Callable[..., TestApp], types_url: str, version: str, headers: dict[str, str], age: float
) -> None:
    client, types_url = make_client(value_max_age=age), of_version(version, types_url)
    listed = [each["name"] for each in client.get(f"{types_url}/attributes").json]
    known = [name for name in listed if "throw" not in name]
    together = "&".join(f"attr={name}" for name in [*known[:20], "no_such_one"])
    paths = [*(f"/{name}/value" for name in known), f"/value?{together}"]
    for path in paths:
        with flask_asked(client) as asked:
            fast = client.get(f"{types_url}/attributes{path}", headers=headers)
        with flask_alone(client):
            slow = client.get(f"{types_url}/attributes{path}", headers=headers)
        failed = not isinstance(fast.json, list) and "errors" in fast.json
        assert seen(fast) == seen(slow)
        assert bool(asked) == failed


TWO = "/value?attr=ampli&attr=State"
FAST: list[tuple[str, dict[str, str]]] = [
    ("/ampli/value", {}),
    ("/AMPLI/value", {}),
    (TWO, {}),
    (TWO + "&attr=no-such.one", {}),
    ("/ampli/value", {"Accept": "application/json, image/png;q=0.5"}),
    ("/ampli/value", {"Accept": "text/html"}),
    ("/ampli/value", {"Origin": "http://allowed"}),
    ("/ampli/value", {"Sec-Fetch-Site": "same-origin", "Referer": "http://other/page"}),
    ("/ampli/value", {"Origin": "http://allowed", "Access-Control-Request-Private-Network": "true"}),
    (TWO, {"Origin": "http://allowed", "Cookie": "a=b", "If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}),
    ("/ampli/value", {"Host": "a_container:8000", "X-Forwarded-Prefix": "/behind"}),
    ("/ampli/value", {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.b"}),
    ("/ampli/value", {"X-HTTP-Method-Override": "PUT", "Range": "bytes=0-1"}),
]
SLOW: list[tuple[str, dict[str, str]]] = [
    ("/ampli/value/", {}),
    ("/ampli//value", {}),
    ("/ampli/Value", {}),
    ("/ampli%20/value", {}),
    ("/am%C3%A4/value", {}),
    ("/am%FF/value", {}),
    ("/a%00/value", {}),
    ("/a:b/value", {}),
    ("/All%20attributes/value", {}),
    (f"/{256 * 'a'}/value", {}),
    ("/value", {}),
    ("/value?attr=", {}),
    ("/value?attr=a+b", {}),
    ("/value?attr=ampli&", {}),
    ("/value?attr=%61mpli", {}),
    ("/value?attr=ampli&range=0-1", {}),
    (f"/value?{'&'.join(5 * ['attr=ampli'])}", {}),
    (f"/value?{'&'.join(f'attr=x{number:0200}' for number in range(11))}", {}),
    ("/ampli/value?filter=value", {}),
    ("/ampli/value?attr=State", {}),
    ("/ampli/value?%FF", {}),
    ("/no_such_one/value", {}),
    ("/uchar_image_ro/value", {"Accept": "image/png"}),
    ("/ampli/value", {"Accept": "image/png"}),
    ("/ampli/value", {"Accept": "text/plain"}),
    ("/ampli/value", {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}),
    ("/ampli/value", {"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT"}),
    ("/ampli/value", {"If-None-Match": "*"}),
    ("/ampli/value", {"If-None-Match": '"other"'}),
    ("/ampli/value", {"Host": "a host"}),
    ("/../ampli/value", {}),
    ("/ampli/value", {"Origin": "http://other"}),
    ("/ampli/value", {"Origin": "http://allowed\xe9"}),
    ("/ampli/value", {"Sec-Fetch-Site": "cross-site"}),
]


@VERSIONS
@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("script_name", ["", pytest.param("/mounted", marks=pytest.mark.slow)])
def test_each_header_of_fast_values_equals_flasks(
    make_client: Callable[..., TestApp], demo_url: str, version: str, hops: int, script_name: str
) -> None:
    demo_url = of_version(version, demo_url)
    client = make_client(value_max_age=3600.0, trusted_proxies=hops, cors_origins=("http://allowed",))
    for path, headers in FAST + SLOW:
        answers = {}
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            answers[method] = respond(client, method, demo_url + "/attributes" + path, headers, script_name)
            with flask_alone(client):
                slow = respond(client, method, demo_url + "/attributes" + path, headers, script_name)
            assert answers[method] == slow, (method, path, headers)
    for path, headers in FAST:
        if version == "rc3" or "If-Modified-Since" not in headers:  # which rc3 ignores
            with views_asked(client) as asked:
                respond(client, "GET", demo_url + "/attributes" + path, headers, script_name)
            assert not asked, (path, headers)


@pytest.mark.parametrize("settings", [{}, {"tango_hosts": ("other:10000",)}, {"rc3_errors": "http"}])
@pytest.mark.parametrize(
    "place",
    [
        "unknown.host/10000",
        "127.0.0.1/0",
        "127.0.0.1/99999",
        "127.0.0.1/x",
        "[::1]/10000",
        "a%20b/10000",
        "other/10000",
    ],
)
@VERSIONS
def test_fast_values_of_other_tango_hosts_equal_flasks(
    make_client: Callable[..., TestApp], version: str, settings: dict[str, Any], place: str
) -> None:
    client = make_client(value_max_age=3600.0, **settings)
    url = of_version(version, f"/tango/rest/rc3/hosts/{place}/devices/sys/tg_test/1/attributes/ampli/value")
    fast = respond(client, "GET", url, {}, "")
    with flask_alone(client):
        assert respond(client, "GET", url, {}, "") == fast


def test_fast_values_stand_aside_for_parameters_and_headers(client: TestApp, types_url: str) -> None:
    image, several = f"{types_url}/attributes/uchar_image/value", f"{types_url}/attributes/value?attr=State"
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
    assert len(asked) == 2  # HEAD and OPTIONS; a short route answered the others
    with flask_asked(client) as asked:
        assert client.get(image).json["value"]
    assert not asked


def test_a_failure_of_a_fast_value_is_answered_by_flask(
    client: TestApp, host_url: str, sender: str, pytango: PyTango
) -> None:
    url = f"{host_url}/devices/{sender}/attributes/silent/value"
    good = client.get(url)
    pytango.run(sender, "Break", True)
    try:
        with flask_asked(client) as asked:
            failures = [client.get(url, headers={"X-Request-ID": "mine"}) for _ in range(2)]
        assert len(asked) == 2
    finally:
        pytango.run(sender, "Break", False)
    for failure in failures:
        assert failure.json["quality"] == "FAILURE"
        assert "broken" in failure.json["errors"][0]["description"]
        assert (failure.headers["X-Request-ID"], failure.headers["Cache-Control"]) == ("mine", "no-store")
    assert seen(client.get(url)) == seen(good)


def test_a_fast_value_is_read_again_after_a_write(client: TestApp, types_url: str, fresh_types: str) -> None:
    url = f"{types_url}/attributes/double_scalar/value"
    for number in range(3):
        client.put(f"{url}?v={number}")
        assert client.get(url).json["value"] == number


def test_clients_with_other_names_of_host_and_device_have_their_own(
    make_client: Callable[..., TestApp], v11_url: Callable[[str, str], str]
) -> None:
    """They share a reading, not its rendering."""
    client = make_client(value_max_age=60.0)
    values = [client.get(v11_url(*names)).json for names in NAMES for _ in range(2)]
    assert len({value["timestamp"] for value in values}) == 1
    expected = [(host, device) for host, device in NAMES for _ in range(2)]
    assert [(value["host"].rpartition(":")[0], value["device"]) for value in values] == expected


NAMES = [("127.0.0.1", "sys/tg_test/1"), ("localhost", "sys/tg_test/1"), ("127.0.0.1", "SYS/TG_TEST/1")]


@pytest.fixture
def v11_url(tango_system: EmbeddedTango) -> Callable[[str, str], str]:
    port = tango_system.tango_host.partition(":")[2]
    base = "/tango/rest/v11/hosts"
    return lambda host, device: f"{base}/{host};port={port}/devices/{device}/attributes/ampli/value"


@pytest.mark.parametrize("version", ["v10", "v11"])
def test_failure_of_v11_has_its_status(client: TestApp, types_url: str, demo_url: str, version: str) -> None:
    url = of_version(version, demo_url)
    for _ in range(2):
        client.get(f"{url}/attributes/nope/value", status=404)
    with flask_asked(client) as asked:
        client.get(f"{url}/attributes/ampli/value", status=200)
    assert not asked


def test_fast_values_are_counted_and_logged(client: TestApp, demo_url: str, caplog: pytest.LogCaptureFixture) -> None:
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


# --- programs that embed the gateway ---


def refuse_anonymous_clients() -> flask.Response | None:
    if flask.request.headers.get("Authorization") != "Bearer secret":
        return flask.Response("no token", 401)
    return None


def add_before_request(app: flask.Flask) -> None:
    app.before_request(refuse_anonymous_clients)


def add_before_request_of_blueprint(app: flask.Flask) -> None:
    app.before_request_funcs["rc3.attributes"].append(refuse_anonymous_clients)


def add_url_value_preprocessor(app: flask.Flask) -> None:
    def preprocess(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
        if response := refuse_anonymous_clients():
            flask.abort(response)

    app.url_value_preprocessor(preprocess)


def add_after_request(app: flask.Flask) -> None:
    app.after_request(lambda response: refuse_anonymous_clients() or response)


def wrap_view_functions(app: flask.Flask) -> None:
    def guarded(view: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **values: refuse_anonymous_clients() or view(**values)

    app.view_functions.update({endpoint: guarded(view) for endpoint, view in app.view_functions.items()})


def wrap_wsgi_app(app: flask.Flask) -> None:
    inner = app.wsgi_app

    def outer(environ: dict[str, Any], start_response: Any) -> Any:
        with app.request_context(environ):
            response = refuse_anonymous_clients()
        return response(environ, start_response) if response else inner(environ, start_response)

    app.wsgi_app = outer


def replace_a_step(app: flask.Flask) -> None:
    dispatch = app.full_dispatch_request
    app.full_dispatch_request = lambda: refuse_anonymous_clients() or dispatch()


@pytest.mark.parametrize("age", [0.0, 60.0])
@pytest.mark.parametrize(
    "embed",
    [
        replace_a_step,
        add_before_request,
        add_before_request_of_blueprint,
        add_url_value_preprocessor,
        add_after_request,
        wrap_view_functions,
        wrap_wsgi_app,
    ],
)
def test_an_embedders_check_of_a_token_applies_to_fast_values(
    make_client: Callable[..., TestApp], demo_url: str, embed: Callable[[flask.Flask], None], age: float
) -> None:
    client, url = make_client(value_max_age=age), f"{demo_url}/attributes/ampli/value"
    client.get(url, status=200)  # before the hook is added: values are fast by then
    embed(client.app)
    client.app._got_first_request = False
    for _ in range(2):
        client.get(url, headers={"Authorization": "Bearer secret"}, status=200)
        for path in (url, f"{demo_url}/attributes/value?attr=ampli"):
            client.get(path, status=401)


@pytest.mark.parametrize("name", ["teardown_request", "teardown_appcontext"])
def test_an_embedders_teardown_functions_are_called_for_values(client: TestApp, demo_url: str, name: str) -> None:
    called: list[object] = []
    getattr(client.app, name)(called.append)
    for _ in range(3):
        client.get(f"{demo_url}/attributes/ampli/value")
    assert len(called) == 3


SIGNALS = ["request_started", "request_finished", "request_tearing_down", "appcontext_pushed", "appcontext_popped"]


@pytest.mark.parametrize("name", [*SIGNALS, "appcontext_tearing_down"])
def test_signals_of_flask_are_sent_for_values_where_there_are_receivers(
    client: TestApp, demo_url: str, name: str
) -> None:
    url, called = f"{demo_url}/attributes/ampli/value", list[object]()

    def receive(sender: object, **_: object) -> None:
        called.append(sender)

    with getattr(flask, name).connected_to(receive, client.app):
        for _ in range(3):
            client.get(url)
    assert len(called) == 3
    with flask_asked(client) as asked:
        client.get(url)
    assert not asked


@pytest.mark.skipif("TRUSTED_HOSTS" not in flask.Flask.default_config, reason="Flask before 3.1 has no TRUSTED_HOSTS")
def test_trusted_hosts_of_an_embedder_apply_to_fast_values(client: TestApp, demo_url: str) -> None:
    url = f"{demo_url}/attributes/ampli/value"
    client.get(url, headers={"Host": "evil"}, status=200)
    client.app.config["TRUSTED_HOSTS"] = ["good"]
    client.get(url, headers={"Host": "good"}, status=200)
    client.get(url, headers={"Host": "evil"}, status=400)
