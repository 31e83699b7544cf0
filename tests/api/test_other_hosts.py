"""No request makes the gateway connect to a host that is not configured, or look its name up."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from flask import Flask
from webtest import TestApp

from mtango_gevent.config import Config
from mtango_gevent.control import addresses
from mtango_gevent.control.client import TangoClient
from mtango_gevent.demo.embedded import EmbeddedTango
from mtango_gevent.errors import ApiError

WRITING = ("PUT", "POST", "DELETE")
UNKNOWN = "MTANGO_UnknownTangoHost"
PARTS = {
    "domain": "demo",
    "family": "motor",
    "member": "1",
    "attribute": "position",
    "command": "State",
    "property_name": "mine",
    "pipe": "p",
}


class OtherHost:
    """A listening socket that has to see no connection."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.port = listening.getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def was_reached(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            self._listening.accept()[0].close()
            return True
        return False


@pytest.fixture
def other() -> Iterator[OtherHost]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield OtherHost(listening)


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that are looked up from now on."""
    names = list[str]()

    def look_up(name: str, *_: object, **__: object) -> None:
        names.append(name)
        raise socket.gaierror

    monkeypatch.setattr(addresses, "getaddrinfo", look_up)
    return names


def _requests(app: Flask, host: str, port: int, version: str) -> list[tuple[str, str]]:
    """Return (method, path) of all requests of a version that name a Tango host."""
    values = {**PARTS, "host": host if version == "rc3" else f"{host};port={port}", "port": str(port)}
    return [
        (method, _template(rule.rule).format(**values))
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if "host" in rule.arguments and method != "OPTIONS" and rule.endpoint.startswith(f"{version}.")
    ]


def _template(rule: str) -> str:
    return re.sub("<any.*?>", "change", re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule))


def _ask(client: TestApp, method: str, url: str, body: str = "") -> str:
    """Return the body of an answer."""
    answer = client.request(url, method=method, body=body.encode(), expect_errors=True)
    assert answer.status_int < 500 or answer.status_int == 501, answer
    return answer.text


def test_other_host_sees_a_connection(other: OtherHost) -> None:
    assert not other.was_reached()
    socket.create_connection(("127.0.0.1", other.port)).close()
    assert other.was_reached()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "other.invalid"])
def test_host_of_a_url_is_not_reached_by_any_route(
    app: Flask, client: TestApp, other: OtherHost, looked_up: list[str], host: str
) -> None:
    requests = _requests(app, host, other.port, "rc3")
    assert len(requests) > 40
    for method, path in requests:
        answer = _ask(client, method, f"{path}?timeout=1&v=1&attr=position&mine=1")
        assert (UNKNOWN in answer) == (method in WRITING), (method, path)
    assert not other.was_reached()
    assert looked_up == []


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 400), ("localhost", 400), ("other.invalid", 404)])
def test_host_of_a_url_is_not_reached_by_any_route_of_v11(
    app: Flask, client: TestApp, other: OtherHost, host: str, status: int
) -> None:
    requests = _requests(app, host, other.port, "v11")
    assert len(requests) > 40
    for method, path in requests:
        answer = client.request(f"{path}?timeout=1&v=1&attr=position&mine=1", method=method, status="*")
        assert (answer.status_int, UNKNOWN in answer.text) == (status, method != "HEAD"), (method, path)
    assert not other.was_reached()


@pytest.mark.parametrize("version", ["rc3", "v11"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "other.invalid"])
def test_host_that_is_not_in_the_list_is_not_served_by_any_route(
    app: Flask, make_client: Callable[..., TestApp], other: OtherHost, host: str, version: str
) -> None:
    client = make_client(tango_hosts=("another.invalid:10000",))
    for method, path in _requests(app, host, other.port, version):
        answer = _ask(client, method, f"{path}?timeout=1&v=1&attr=position&mine=1")
        assert UNKNOWN in answer or method == "HEAD", (method, path)
    assert not other.was_reached()


def _names(other: OtherHost) -> list[str]:
    """Return names in which Tango could find another host."""
    device = f"{other.address}/sys/tg_test/1"
    return [
        f"tango://{device}",
        f"TANGO://{device}",
        f"//{device}",
        device,
        other.address,
        f"tango:{other.address}",
        f"tango://{other.address}",
        f"tango://{device}/double_scalar",
        f"tango://{device}#dbase=no",
        f"1#dbase=no,{other.address}",
        f"1->tango://{device}",
        f"taco://{device}",
        f"corbaloc::{other.address}/database",
        f"corbaloc:iiop:{other.address}/sys/tg_test/1",
        f"corbaname::{other.address}#x",
    ]


def _with_name(path: str, name: str) -> list[str]:
    """Return the paths in which one segment that is the name of something is another name."""
    segments = path.split("/")
    return [
        "/".join([*segments[:i], name, *segments[i + 1 :]]) for i, part in enumerate(segments) if part in PARTS.values()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["rc3", "v11"])
def test_host_in_a_name_is_not_reached(
    app: Flask, client: TestApp, tango_system: EmbeddedTango, other: OtherHost, looked_up: list[str], version: str
) -> None:
    host, _, port = tango_system.tango_host.partition(":")
    for method, path in _requests(app, host, int(port), version):
        for name in _names(other):
            for url in _with_name(path, quote(name, safe="")):
                _ask(client, method, f"{url}?timeout=1&v=1&attr=position&mine=1")
    assert not other.was_reached()
    assert looked_up == []


@pytest.mark.slow
def test_host_in_a_query_or_a_body_is_data(
    client: TestApp, host_url: str, other: OtherHost, tango_system: EmbeddedTango
) -> None:
    host = tango_system.tango_host
    motor, types = f"{host_url}/devices/demo/motor/1", f"{host_url}/devices/demo/types/1"
    for name in _names(other):
        text = quote(name, safe="")
        for method, url, body in (
            ("GET", f"{host_url}/devices?wildcard={text}", ""),
            ("GET", f"{host_url}/devices?domain={text}", ""),
            ("GET", f"{motor}/attributes/value?attr={text}", ""),
            ("GET", f"{motor}/attributes/info?attr={text}", ""),
            ("PUT", f"{motor}/attributes/value?{text}=1", ""),
            ("PUT", f"{motor}/attributes/value", f'{{"{name}": 1}}'),
            ("PUT", f"{types}/commands/echo_DevString?v={text}", ""),
            ("PUT", f"{host_url}/devices/sys/tg_test/1/commands/DevString?v={text}", ""),
            ("PUT", f"{host_url}/devices/sys/tg_test/1/attributes/string_scalar/value?v={text}", ""),
            ("PUT", f"{motor}/properties?other={text}", ""),
            ("PUT", f"{motor}/attributes/position/properties?__root_att={text}", ""),
            ("PUT", f"{motor}/attributes/position/info", f'{{"description": "{name}"}}'),
            ("GET", f"{motor}/attributes", ""),
            ("GET", f"{motor}/attributes/position/change?timeout=1", ""),
            ("DELETE", f"{motor}/properties/other", ""),
            ("DELETE", f"{motor}/attributes/position/properties/__root_att", ""),
            ("GET", f"/tango/rest/v11/devices/tree?host={text}&wildcard={text}", ""),
            ("GET", f"/tango/rest/v11/attributes/value?wildcard={text}", ""),
            ("GET", f"/tango/rest/v11/attributes/value?wildcard={text}/*", ""),
            ("PUT", "/tango/rest/v11/commands", f'[{{"host": "{name}", "device": "a/b/c", "name": "State"}}]'),
            ("PUT", "/tango/rest/v11/commands", f'[{{"host": "{host}", "device": "{name}", "name": "State"}}]'),
            ("GET", f"/tango/rest/sys/whoami?device={text}&action=read&name=position", ""),
        ):
            _ask(client, method, url, body)
    _ask(client, "PUT", f"{motor}/attributes/position/info", '{"description": ""}')
    assert not other.was_reached()


def test_anonymous_client_has_no_name_looked_up(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango, looked_up: list[str]
) -> None:
    port = tango_system.tango_host.partition(":")[2]
    path = f"/tango/rest/rc3/hosts/other.invalid/{port}/devices/demo/motor/1/commands/State"
    client = make_client(auth=("trusted-header",), auth_header_from=("127.0.0.1",))
    assert client.put(path, status=401).json["errors"][0]["reason"] == "MTANGO_Unauthorized"
    assert looked_up == []


def test_lookups_are_bounded_and_kept(monkeypatch: pytest.MonkeyPatch, looked_up: list[str]) -> None:
    known = TangoClient(Config()).addresses
    for _ in range(3):
        assert not known.are_same("127.0.0.1", "other.invalid")
    assert looked_up == ["other.invalid"]
    monkeypatch.setattr(addresses, "_MOST_LOOKUPS", 0)
    monkeypatch.setattr(addresses, "_LOOKUP_SECONDS", 0.1)
    with pytest.raises(ApiError, match="no place for the lookup"):
        known.are_same("127.0.0.1", "further.invalid")
    assert known.are_same("other.invalid", "OTHER.invalid")
    assert looked_up == ["other.invalid"]


@pytest.mark.usefixtures("looked_up")
def test_client_learns_that_its_host_name_could_not_be_looked_up(
    client: TestApp, tango_system: EmbeddedTango, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "_MOST_LOOKUPS", 0)
    monkeypatch.setattr(addresses, "_LOOKUP_SECONDS", 0.1)
    port = tango_system.tango_host.partition(":")[2]
    refusal = client.put(f"/tango/rest/rc3/hosts/alias.invalid/{port}/devices/demo/motor/1/commands/State", status=503)
    assert refusal.json["errors"][0]["reason"] == "MTANGO_PoolExhausted"
    assert refusal.headers["Retry-After"] == "1"


def test_each_entry_of_a_redundant_tango_host_may_be_named(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango, monkeypatch: pytest.MonkeyPatch, other: OtherHost
) -> None:
    monkeypatch.setenv("TANGO_HOST", f"{tango_system.tango_host},second.invalid:10000")
    client = make_client()
    path = "devices/demo/motor/1/attributes/velocity/info"
    for host in (tango_system.tango_host, "second.invalid:10000", "SECOND.invalid:10000"):
        url = f"/tango/rest/rc3/hosts/{host.replace(':', '/')}/{path}"
        assert client.put_json(url, {"description": ""}).json["name"] == "velocity"
    assert UNKNOWN in _ask(client, "PUT", f"/tango/rest/rc3/hosts/127.0.0.1/{other.port}/{path}", "{}")
    assert not other.was_reached()
