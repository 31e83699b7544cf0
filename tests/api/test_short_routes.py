"""Short routes: the same responses, audit lines, logs and metrics as Flask's; none where there are foreign hooks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from webtest import TestApp
from werkzeug.test import create_environ

from mtango_gevent import create_app
from mtango_gevent.config import Config
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.access.conftest import DENY_ALL
from tests.api.test_fast_values import (
    VERSIONS,
    add_after_request,
    add_before_request,
    add_before_request_of_blueprint,
    add_url_value_preprocessor,
    flask_alone,
    flask_asked,
    of_version,
    replace_a_step,
    respond,
    wrap_view_functions,
    wrap_wsgi_app,
)
from tests.conftest import DEMO_DEVICE
from tests.metric_values import metric_value

API = Path(__file__).parents[2] / "mtango_gevent" / "api"

# A request: method, path below the device's URL, headers, body.
Request = tuple[str, str, dict[str, str], bytes | None]

JSON, FORM = {"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}
VALUE, COMMAND = "/attributes/double_scalar/value", "/commands/DevDouble"

SHORT: list[Request] = [
    ("PUT", f"{VALUE}?v=1.5", {}, None),
    ("PUT", "/attributes/long_scalar/value?v=1&async=true", {}, None),
    ("PUT", VALUE, JSON, b"2.5"),
    ("PUT", VALUE, {"Content-Type": "text/plain; charset=latin-1"}, b"2.5"),
    ("PUT", VALUE, FORM, b"v=2.5"),
    ("PUT", VALUE, FORM, b"2.5"),
    ("PUT", "/attributes/string_scalar/value?v=a%20b%C3%A4", {}, None),
    ("PUT", "/attributes/double_spectrum/value?v=1&v=2", {}, None),
    ("PUT", f"{VALUE}?v=1.5&filter=value", {"Origin": "http://allowed"}, None),
    ("PUT", "/attributes/value?double_scalar=1&no_such_one=2", {}, None),
    ("PUT", f"{COMMAND}?v=1.5", {}, None),
    ("PUT", COMMAND, JSON, b"1.5"),
    ("PUT", COMMAND, JSON, b'{"input": 1.5}'),
    ("PUT", f"{COMMAND}?async=1", JSON, b"1.5"),
    ("PUT", "/commands/State", {}, None),
    ("GET", "/state", {}, None),
    ("GET", "/state?filter=state", {"X-Forwarded-Host": "a.b", "X-Forwarded-Proto": "https"}, None),
    ("GET", "/state", {"If-None-Match": "*"}, None),
    ("GET", "/attributes/ampli/value", {"If-None-Match": "*"}, None),
    ("GET", "/attributes/ampli/value", {"Accept": "text/plain"}, None),
    ("GET", "/attributes/ampli/value?filter=name", {}, None),
    ("GET", "/attributes/ampli/value/", {}, None),
    ("GET", "/attributes/ampli/info", {}, None),
    ("GET", "/attributes/value?attr=ampli&attr=a%20b", {}, None),
    ("GET", "/attributes?range=0-2", {}, None),
    ("GET", "/commands", {"Cookie": "a=b"}, None),
    ("GET", "", {}, None),
]
FAILED: list[Request] = [
    ("PUT", VALUE, {}, None),
    ("PUT", f"{VALUE}?v=no_number", {}, None),
    ("PUT", f"{VALUE}?v=%FF", {}, None),
    ("PUT", f"{VALUE}?{'&'.join(2000 * ['v=1'])}", {}, None),
    ("PUT", f"{VALUE}?v=", {}, None),
    ("PUT", VALUE, JSON, b"{"),
    ("PUT", VALUE, {"Content-Type": "text/plain; charset=klingon"}, b"1"),
    ("PUT", VALUE, {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--"),
    ("PUT", VALUE, FORM, b"v=%FF"),
    ("PUT", VALUE, {"Content-Encoding": "gzip"}, b"1"),
    ("PUT", VALUE, {"Transfer-Encoding": "gzip, chunked"}, b"1"),
    ("PUT", VALUE, JSON, 2000 * b" "),
    ("PUT", "/attributes/double_scalar_ro/value?v=1", {}, None),
    ("PUT", "/attributes/no_such_one/value?v=1", {}, None),
    ("PUT", "/attributes/All%20attributes/value?v=1", {}, None),
    ("PUT", "/attributes/short_scalar_ro/value?v=1", {}, None),
    ("PUT", f"{COMMAND}?v=1", JSON, b"1"),
    ("PUT", f"{COMMAND}?v=no_number", {}, None),
    ("PUT", "/commands/NoSuchCommand", {}, None),
    ("GET", "/attributes/ampli/value", {"Accept": "image/png"}, None),
    ("GET", "/attributes/ampli/value?range=0-1&range=1-2", {}, None),
    ("GET", "/attributes?range=1000-2000", {}, None),
    ("GET", "/attributes/no_such_one/info", {}, None),
]
# Requests that only Flask can route: wrong methods, names that need decoding, hosts that cannot be one.
ROUTED_BY_FLASK: list[Request] = [
    ("HEAD", "/state", {}, None),
    ("OPTIONS", VALUE, {"Origin": "http://allowed", "Access-Control-Request-Method": "PUT"}, None),
    ("POST", VALUE, JSON, b"1"),
    ("DELETE", VALUE, {}, None),
    ("PUT", "/state", {}, None),
    ("GET", "/no_such_url", {}, None),
    ("GET", "/state//", {}, None),
    ("GET", "/attributes/am%C3%A4/value", {}, None),
    ("PUT", "/attributes/am%FF/value?v=1", {}, None),
    ("GET", f"/attributes/{3000 * 'a'}/info", {}, None),
    ("GET", "/state", {"Host": "a host"}, None),
    ("GET", "/state", {"Connection": "upgrade", "Upgrade": "websocket"}, None),
]


def seen(client: TestApp, request: Request, url: str, script_name: str = "") -> tuple[Any, ...]:
    """Return the response to a request, without the times in it."""
    method, path, headers, sent = request
    status, shown, body = respond(client, method, url + path, headers, script_name, sent)
    body = re.sub(rb'"timestamp":[0-9]+', b"", body)
    return status, [(name, "" if name in ("ETag", "Last-Modified") else value) for name, value in shown], body


def name_of(request: Request) -> str:
    method, path, headers, sent = request
    return f"{method} {path[:60]} {headers} {(sent or b'')[:20]!r}"


@pytest.fixture(scope="module", params=[0, pytest.param(1, marks=pytest.mark.slow)], ids=["", "proxied"])
def client(request: pytest.FixtureRequest, tango_system: EmbeddedTango) -> TestApp:
    config = Config(
        value_max_age=3600.0, trusted_proxies=request.param, cors_origins=("http://allowed",), body_limit=1000
    )
    return TestApp(create_app(config))


@VERSIONS
@pytest.mark.parametrize("script_name", ["", pytest.param("/mounted", marks=pytest.mark.slow)])
@pytest.mark.parametrize("request_", [*SHORT, *FAILED, *ROUTED_BY_FLASK], ids=name_of)
def test_short_routes_answer_as_flask_does(
    client: TestApp, demo_url: str, request_: Request, version: str, script_name: str
) -> None:
    url = of_version(version, demo_url)
    with flask_asked(client) as asked:
        short = [seen(client, request_, url, script_name) for _ in range(2)]
    with flask_alone(client):
        full = seen(client, request_, url, script_name)
    assert short == [full, full]
    succeeds = full[0] < "300" and b'"errors"' not in full[2].removeprefix(b"[")
    assert not (asked and request_ in SHORT and succeeds), "Flask was asked"


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("hosts/HOST/devices", "rc3"),
        ("hosts/HOST/devices?wildcard=sys/*&range=0-1", "rc3"),
        ("hosts/HOST/devices?domain=s.s", "rc3"),
        ("hosts", "rc3"),
        ("", "rc3"),
        ("hosts/HOST/devices?wildcard=sys/*&range=0-1", "v11"),
        ("hosts/HOST/devices/tree", "v11"),
        ("devices/tree?host=PLACE", "v10"),
        ("attributes?wildcard=PLACE/sys/tg_test/1/ampli", "v10"),
        ("attributes/value?wildcard=PLACE/sys/tg_test/*/double_scalar&wildcard=PLACE/sys/tg_test/1/State", "v11"),
        ("commands?wildcard=PLACE/sys/tg_test/1/*", "v11"),
        ("hosts", "v11"),
    ],
)
def test_lists_and_bulk_reads_have_short_routes(
    client: TestApp, tango_system: EmbeddedTango, path: str, version: str
) -> None:
    host, port = tango_system.tango_host.split(":")
    place = f"{host}/{port}" if version == "rc3" else f"{host};port={port}"
    url = f"/tango/rest/{version}/{path.replace('HOST', place).replace('PLACE', tango_system.tango_host)}".rstrip("/")
    with flask_asked(client) as asked:
        short = seen(client, ("GET", "", {"Host": "a_host:1"}, None), url)
    with flask_alone(client):
        assert seen(client, ("GET", "", {"Host": "a_host:1"}, None), url) == short
    assert bool(asked) == (short[0][:3] == "400")


@pytest.mark.parametrize(
    "place", ["unknown.host/10000", "127.0.0.1/0", "127.0.0.1/99999", "[::1]/10000", "a%20b/10000"]
)
@pytest.mark.parametrize("settings", [{}, {"tango_hosts": ("other:10000",)}])
@VERSIONS
def test_changes_at_other_tango_hosts_are_refused_as_flask_does(
    make_client: Callable[..., TestApp], version: str, settings: dict[str, Any], place: str
) -> None:
    client, url = make_client(**settings), of_version(version, f"/tango/rest/rc3/hosts/{place}/devices/{DEMO_DEVICE}")
    for request in (("PUT", f"{VALUE}?v=1", {}, None), ("PUT", COMMAND, JSON, b"1")):
        short = seen(client, request, url)
        with flask_alone(client):
            assert seen(client, request, url) == short


def test_a_body_that_ends_early_is_refused_as_flask_does(client: TestApp, demo_url: str) -> None:
    def answer() -> tuple[str, bytes]:
        environ = create_environ(path=f"{demo_url}{VALUE}", method="PUT", data=b"1.5", content_type="text/plain")
        environ |= {"CONTENT_LENGTH": "10", "wsgi.input_terminated": True}
        started: list[str] = []
        body = b"".join(client.app.wsgi_app(environ, lambda status, *_: started.append(status)))
        return started[0], re.sub(rb'"timestamp":[0-9]+', b"", body)

    short = answer()
    with flask_alone(client):
        assert answer() == short
    assert short[0][:3] == "400"


# --- access, audit log, log of requests, metrics ---

RULES = f"""
[[rule]]
users = ["anna"]
may = ["read", "write", "execute"]
devices = ["{DEMO_DEVICE}"]

[[rule]]
anyone = true
may = ["read"]
devices = ["{DEMO_DEVICE}"]
{DENY_ALL}"""

CHANGES: list[Request] = [
    *[request for request in (*SHORT, *FAILED) if request[0] == "PUT" and "async" not in request[1]],
    ("PUT", "/attributes/am%C3%A4/value?v=1", {}, None),
    ("PUT", "/commands/no/such?v=1", {}, None),
    ("PUT", VALUE, {"Origin": "http://foreign", "Sec-Fetch-Site": "cross-site", **JSON}, b"1"),
]


@pytest.fixture(scope="module", params=["open", "rules", "read-only", "required"])
def audited(request: pytest.FixtureRequest, tango_system: EmbeddedTango, tmp_path_factory: Any) -> TestApp:
    """Applications with an audit log; in one of them users have rules, one is read-only, one requires lines `begun`."""
    folder: Path = tmp_path_factory.mktemp("audit")
    (folder / "rules.toml").write_text(RULES, "utf-8")
    settings: dict[str, Any] = {
        "open": {},
        "rules": {
            "rules": str(folder / "rules.toml"),
            "auth": ("trusted-header",),
            "auth_header_from": ("127.0.0.1",),
        },
        "read-only": {"read_only": True},
        "required": {"audit_required": True},
    }[request.param]
    return TestApp(create_app(Config(audit=str(folder / "log"), audit_format="json", **settings)))


def new_lines(client: TestApp) -> list[dict[str, Any]]:
    """Return the lines that the audit log got since the last call, without what differs between two requests."""
    state = client.app.extensions["mtango"]
    state.audit.finish(10)
    file = Path(state.config.audit)
    lines = [json.loads(line) for line in file.read_text("ascii").splitlines()]
    file.write_text("")
    return [{key: text for key, text in line.items() if key not in ("time", "request", "old_age")} for line in lines]


@VERSIONS
@pytest.mark.slow
@pytest.mark.parametrize("user", ["anna", "ben", ""])
def test_audit_lines_and_refusals_equal_flasks(audited: TestApp, demo_url: str, version: str, user: str) -> None:
    url, credentials = of_version(version, demo_url), {"X-Remote-User": user} if user else {}
    new_lines(audited)
    for method, path, headers, sent in CHANGES:
        request = (method, path, {**headers, **credentials}, sent)
        seen(audited, request, url)  # so that the old value is the same
        new_lines(audited)
        short, lines = seen(audited, request, url), new_lines(audited)
        with flask_alone(audited):
            full = seen(audited, request, url)
        assert short == full, request
        assert lines == new_lines(audited), request
        assert lines or path in ("/commands/State", "/commands/no/such?v=1"), request  # which change nothing


def test_short_routes_are_logged_and_counted_as_flask_does(
    client: TestApp, demo_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mtango_gevent.access")
    short = logged(client, demo_url, caplog)
    with flask_alone(client):
        assert logged(client, demo_url, caplog) == short
    assert len(short[0]) == len(SHORT) + len(FAILED)
    assert short[1] > 0


def logged(client: TestApp, url: str, caplog: pytest.LogCaptureFixture) -> tuple[list[str], float]:
    """Make the requests, and return their lines in the log and how many of them were counted."""
    metrics = client.app.extensions["mtango"].metrics
    before = counted(metrics)
    caplog.clear()
    for request in [*SHORT, *FAILED]:
        seen(client, request, url)
    return [in_short(record.getMessage()) for record in caplog.records], counted(metrics) - before


def counted(metrics: Any) -> float:
    route = "/tango/rest/rc3/hosts/<host>/<port>/devices/<domain>/<family>/<member>/attributes/<attribute>/value"
    return metric_value(metrics, "mtango_http_requests_total", route=route, method="PUT", status="200")


def in_short(line: str) -> str:
    """Return a line of the log without its times and the request id."""
    return re.sub(r"[0-9.]+ ?ms|id=[0-9a-f]{16}", "", line)


# --- programs that embed the gateway ---

EMBEDDED = [
    replace_a_step,
    add_before_request,
    add_before_request_of_blueprint,
    add_url_value_preprocessor,
    add_after_request,
    wrap_view_functions,
    wrap_wsgi_app,
]


@pytest.mark.parametrize("embed", EMBEDDED)
def test_an_embedders_check_of_a_token_applies_to_short_routes(
    make_client: Callable[..., TestApp], demo_url: str, embed: Callable[[flask.Flask], None]
) -> None:
    client = make_client()
    requests = [
        ("GET", "/attributes/ampli/info"),
        ("PUT", f"{VALUE}?v=1"),
        ("GET", "/state"),
        ("PUT", f"{COMMAND}?v=1"),
    ]
    checked = requests[:1] if embed is add_before_request_of_blueprint else requests
    for method, path in requests:  # before the hook is added: the routes are short by then
        client.request(demo_url + path, method=method, status=200)
    client.app._got_first_request = False
    embed(client.app)
    for method, path in checked:
        headers = {"Authorization": "Bearer secret"}
        client.request(demo_url + path, method=method, headers=headers, status=200)
        client.request(demo_url + path, method=method, status=401)


def test_limits_of_an_embedder_apply_to_short_routes(make_client: Callable[..., TestApp], demo_url: str) -> None:
    client = make_client()
    client.put(demo_url + COMMAND, "1.5", status=200)
    client.app.config["MAX_CONTENT_LENGTH"] = 2
    client.put(demo_url + COMMAND, "1.5", status=413)


def test_view_of_an_embedder_answers_below_the_gateways_urls(make_client: Callable[..., TestApp]) -> None:
    client = make_client()
    client.app.add_url_rule("/tango/rest/rc3/mine", "rc3.mine", lambda: "mine")
    assert client.get("/tango/rest/rc3/mine", status=200).text == "mine"


def test_hooks_may_read_the_body_before_the_view(make_client: Callable[..., TestApp], demo_url: str) -> None:
    client, bodies = make_client(), list[bytes]()
    client.app.before_request_funcs[None].insert(0, lambda: bodies.append(flask.request.get_data()))
    assert client.put(demo_url + COMMAND, "1.5").json["output"] == 1.5
    assert bodies == [b"1.5"]


def test_an_own_error_handler_answers_failures_of_short_routes(
    make_client: Callable[..., TestApp], demo_url: str
) -> None:
    client = make_client(rc3_errors="http")
    client.app.register_error_handler(404, lambda _: ("mine", 404))
    client.app.handle_user_exception = lambda _: flask.Response("mine", 418)
    assert client.put(f"{demo_url}/commands/NoSuchCommand", status=418).text == "mine"


# --- the views ---


def imports_of_flask() -> Iterator[tuple[str, str]]:
    """Yield what the modules of the versions, and those that they share, import from Flask."""
    shared = "query writes body media_types freshness urls ranges reply request_targets guard changes admission"
    paths = [*API.glob("rc3/*.py"), *API.glob("v11/*.py"), *(API / f"{name}.py" for name in shared.split())]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "flask":
                yield from ((f"{path.parent.name}/{path.name}", alias.name) for alias in node.names)


def test_views_use_nothing_of_flask_that_needs_its_context() -> None:
    found = {item for item in imports_of_flask() if item[1] not in ("Blueprint", "Response")}
    assert found == {("v11/errors.py", "request")}  # whose hooks only Flask calls
