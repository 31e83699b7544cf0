"""Entry points, hosts and lists of devices."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango

BASE = "http://localhost/tango/rest"


def names(reply: object) -> list[str]:
    return [item["name"] for item in reply.json]


def test_entry_points_lead_to_each_other(client: TestApp, tango_system: EmbeddedTango) -> None:
    assert client.get("/tango/rest").json == {name: f"{BASE}/{name}" for name in ("rc3", "v10", "v11", "sys")}
    entry = client.get(f"{BASE}/rc3").json
    assert entry == {"hosts": f"{BASE}/rc3/hosts", "x-auth-method": "none"}
    hosts = client.get(entry["hosts"]).json
    assert list(hosts) == [tango_system.tango_host]
    host = client.get(hosts[tango_system.tango_host]).json
    assert f"{host['host']}:{host['port']}" == tango_system.tango_host
    assert host["name"] == "sys/database/2"
    assert any("TANGO Database" in line for line in host["info"])
    assert "sys/tg_test/1" in names(client.get(host["devices"]))


def test_every_url_works_with_a_slash_at_the_end(client: TestApp, host_url: str, demo_url: str) -> None:
    for url in ("/tango/rest", "/tango/rest/rc3", "/tango/rest/rc3/hosts", host_url, f"{host_url}/devices", demo_url):
        assert type(client.get(url + "/", status=200).json) is type(client.get(url, status=200).json)


def test_devices_have_absolute_links_that_work(client: TestApp, host_url: str) -> None:
    for item in client.get(f"{host_url}/devices?wildcard=demo/*").json:
        assert client.get(item["href"]).json["name"] == item["name"]


def test_wildcards_match_the_whole_name(client: TestApp, host_url: str) -> None:
    assert names(client.get(f"{host_url}/devices?wildcard=sys/tg_test/1")) == ["sys/tg_test/1"]
    assert names(client.get(f"{host_url}/devices?wildcard=SYS/TG_*")) == ["sys/tg_test/1"]
    assert names(client.get(f"{host_url}/devices?wildcard=tg_test")) == []
    assert names(client.get(f"{host_url}/devices?wildcard=demo/m*&wildcard=demo/c*")) == [
        "demo/camera/1",
        "demo/motor/1",
    ]


def test_parts_of_names_as_expressions(client: TestApp, host_url: str) -> None:
    assert names(client.get(f"{host_url}/devices?domain=^demo$&family=mot|cam")) == ["demo/camera/1", "demo/motor/1"]
    assert client.get(f"{host_url}/devices?domain=(", status=400).json["errors"][0]["reason"] == "MTANGO_BadRequest"


def test_expressions_without_their_engine_are_refused_and_all_else_works(
    client: TestApp, host_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)  # as if it was not installed
    for part in ("domain", "family", "member"):
        failure = client.get(f"{host_url}/devices?{part}=mot", status=501).json
        (error,) = failure["errors"]
        assert error["reason"] == "MTANGO_NotImplemented"
        assert error["description"].startswith(f"{part} needs google-re2")
        assert "`mtango-py`" in error["description"]
    assert names(client.get(f"{host_url}/devices?wildcard=demo/m*&range=0-1&domain=")) == ["demo/motor/1"]
    assert "demo/motor/1" in names(client.get(f"{host_url}/devices"))


def test_a_part_of_the_devices(client: TestApp, host_url: str) -> None:
    url = f"{host_url}/devices"
    everything = client.get(url).json
    total = len(everything)
    reply = client.get(f"{url}?wildcard=*&range=1-3", status=206)
    *items, about = reply.json
    assert items == everything[1:3]
    links = about.pop("_links")
    assert about == {"name": "partial_content", "total": total, "offset": 1, "limit": 3}
    assert reply.headers["Content-Range"] == f"1-3/{total}"
    assert reply.headers["Accept-Range"] == f"devices {total}"
    assert f'<{links["_next"]}>; rel="next"' in reply.headers["Link"]
    assert names(client.get(links["_prev"])) == [everything[0]["name"], "partial_content"]
    assert client.get(links["_next"]).json[0] == everything[3]
    assert client.get(links["_first"]).json[:2] == everything[:2]
    assert client.get(links["_last"]).json[-2] == everything[-1]


def test_a_part_that_is_all_of_it_is_no_part(client: TestApp, host_url: str) -> None:
    reply = client.get(f"{host_url}/devices?range=0-10000", status=200)
    assert "partial_content" not in names(reply)
    assert "Content-Range" not in reply.headers


@pytest.mark.parametrize("text", ["9000-9001", "3-3", "x", "1"])
def test_a_part_that_is_not_there_is_refused(client: TestApp, host_url: str, text: str) -> None:
    errors = client.get(f"{host_url}/devices?range={text}", status=400).json["errors"]
    assert "range" in errors[0]["description"]
    assert text in errors[0]["description"]


def test_filters_leave_the_paging_alone(client: TestApp, host_url: str) -> None:
    *items, about = client.get(f"{host_url}/devices?range=0-2&filter=name", status=206).json
    assert [set(item) for item in items] == [{"name"}, {"name"}]
    assert about["total"] > 2


def test_without_a_list_any_host_means_ours(client: TestApp) -> None:
    reply = client.get("/tango/rest/rc3/hosts/anything/12345/devices/sys/tg_test/1/state").json
    assert reply["_links"]["_self"] == f"{BASE}/rc3/hosts/anything/12345/devices/sys/tg_test/1/state"


def test_with_a_list_only_listed_hosts_are_served(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango, host_url: str
) -> None:
    port = tango_system.tango_host.rpartition(":")[2]
    client = make_client(tango_hosts=(f"localhost:{port}",))
    assert list(client.get("/tango/rest/rc3/hosts").json) == [tango_system.tango_host, f"localhost:{port}"]
    for url in (host_url, f"/tango/rest/rc3/hosts/localhost/{port}"):
        device = client.get(f"{url}/devices/sys/tg_test/1").json
        assert device["name"] == "sys/tg_test/1"
        assert device["state"] == f"http://localhost{url}/devices/sys/tg_test/1/state"
        assert client.get(device["state"]).json["state"] == "RUNNING"
    for host in ("elsewhere/10000", f"elsewhere/{port}", "localhost/1"):
        refusal = client.get(f"/tango/rest/rc3/hosts/{host}/devices", status=404).json
        assert host.replace("/", ":") in refusal["errors"][0]["description"]


def _spellings(port: str) -> list[str]:
    """Other names of the machine that TANGO_HOST of the tests, 127.0.0.1, is."""
    return [f"{host}/{port}" for host in ("localhost", "LocalHost", "127.0.0.2", "[::1]", "::1", socket.gethostname())]


WRITES = [
    ("PUT", "devices/sys/tg_test/1/attributes/double_scalar_w/value?v=99"),
    ("PUT", "devices/sys/tg_test/1/attributes/double_scalar_w/value?v=99&async"),
    ("PUT", "devices/sys/tg_test/1/attributes/value?double_scalar_w=99"),
    ("PUT", "devices/sys/tg_test/1/attributes/double_scalar_w/info"),
    ("PUT", "devices/sys/tg_test/1/commands/DevDouble?v=99"),
    ("PUT", "devices/sys/tg_test/1/properties?foreign=1"),
    ("POST", "devices/sys/tg_test/1/properties?foreign=1"),
    ("DELETE", "devices/sys/tg_test/1/properties/foreign"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("host", ["other.invalid/10000", "192.0.2.1/PORT", "127.0.0.1/1"])
def test_nothing_is_written_to_a_host_that_is_not_tango_host(
    client: TestApp, tango_system: EmbeddedTango, demo_url: str, method: str, path: str, host: str
) -> None:
    port = tango_system.tango_host.rpartition(":")[2]
    client.put(f"{demo_url}/attributes/double_scalar_w/value?v=5")
    host = host.replace("PORT", port)
    url = f"/tango/rest/rc3/hosts/{host}/{path}"
    (error,) = client.request(url, method=method, status=404).json["errors"]
    assert error["reason"] == "MTANGO_UnknownTangoHost"
    assert host.replace("/", ":") in error["description"]
    assert "MTANGO_TANGO_HOSTS" in error["description"]
    assert client.get(f"{demo_url}/attributes/double_scalar_w/value").json["value"] == 5.0
    assert "foreign" not in [item["name"] for item in client.get(f"{demo_url}/properties").json]


def test_other_names_of_tango_host_are_written_to_and_stay_in_links(
    client: TestApp, tango_system: EmbeddedTango
) -> None:
    for host in _spellings(tango_system.tango_host.rpartition(":")[2]):
        url = f"/tango/rest/rc3/hosts/{host}/devices/sys/tg_test/1"
        answer = client.put(f"{url}/attributes/double_scalar_w/value?v=7", status=200)
        assert answer.json["value"] == 7.0
        assert unquote(client.get(f"{url}/state").json["_links"]["_self"]) == f"http://localhost{url}/state"


def test_a_preflight_of_a_refused_write_succeeds(client: TestApp) -> None:
    headers = {"Origin": "http://panel.example", "Access-Control-Request-Method": "PUT"}
    url = "/tango/rest/rc3/hosts/other.invalid/10000/devices/sys/tg_test/1/attributes/double_scalar_w/value"
    assert client.options(url, headers=headers, status=200).headers["Access-Control-Allow-Origin"]
    refusal = client.put(f"{url}?v=1", headers=headers, status=404)
    assert refusal.headers["Access-Control-Allow-Origin"]


def test_with_a_list_an_unlisted_host_is_refused_for_reads_and_writes(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango
) -> None:
    client = make_client(tango_hosts=("b.invalid:10000",))
    url = "/tango/rest/rc3/hosts/other.invalid/10000/devices/sys/tg_test/1"
    for answer in (
        client.get(f"{url}/state", status=404),
        client.put(f"{url}/attributes/double_scalar_w/value?v=1", status=404),
    ):
        assert answer.json["errors"][0]["reason"] == "MTANGO_UnknownTangoHost"
        assert "MTANGO_TANGO_HOSTS" in answer.json["errors"][0]["description"]
    port = tango_system.tango_host.rpartition(":")[2]
    for host in _spellings(port):
        state = client.get(f"/tango/rest/rc3/hosts/{host}/devices/sys/tg_test/1/state", status=200)
        assert state.json["state"] == "RUNNING"


def test_without_tango_host_the_list_is_served(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANGO_HOST", "")
    client = make_client(tango_hosts=(tango_system.tango_host, "b.invalid:10000"))
    hosts = client.get("/tango/rest/rc3/hosts").json
    assert list(hosts) == [tango_system.tango_host, "b.invalid:10000"]
    url = f"{hosts[tango_system.tango_host]}/devices/sys/tg_test/1"
    assert client.get(f"{url}/state").json["state"] == "RUNNING"
    assert client.put(f"{url}/attributes/double_scalar_w/value?v=3").json["value"] == 3.0
    assert client.get("/tango/rest/rc3/hosts/127.0.0.1/1", status=404).json["errors"]


def test_without_any_tango_host_it_is_said(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANGO_HOST", "")
    client = make_client()
    url = "/tango/rest/rc3/hosts/127.0.0.1/10000/devices/sys/tg_test/1"
    for answer in (client.get("/tango/rest/rc3/hosts"), client.get(f"{url}/state"), client.put(f"{url}/commands/Init")):
        assert answer.json["errors"][0]["reason"] == "API_TangoHostNotSet"


@pytest.mark.parametrize("port", ["x", "0", "-1", "65536", "1e3", "%C2%B2"])
def test_a_port_that_is_none_is_refused(client: TestApp, port: str) -> None:
    refusal = client.get(f"/tango/rest/rc3/hosts/h/{port}/devices", status=400).json
    assert "port" in refusal["errors"][0]["description"]


def test_links_follow_the_host_header_and_trusted_proxies(client: TestApp, make_client: Callable[..., TestApp]) -> None:
    headers = {"Host": "gateway:8000", "X-Forwarded-Host": "outside", "X-Forwarded-Proto": "https"}
    assert client.get("/tango/rest", headers=headers).json["rc3"] == "http://gateway:8000/tango/rest/rc3"
    proxied = make_client(trusted_proxies=1).get("/tango/rest", headers=headers)
    assert proxied.json["rc3"] == "https://outside/tango/rest/rc3"


def test_another_base_moves_everything(make_client: Callable[..., TestApp]) -> None:
    client = make_client(app_base="/elsewhere")
    assert client.get("/elsewhere").json["rc3"] == "http://localhost/elsewhere/rc3"
    assert client.get(client.get("/elsewhere").json["rc3"]).json["hosts"] == "http://localhost/elsewhere/rc3/hosts"
    client.get("/tango/rest", status=404)
