"""No way round a rule: other spellings, other ways to the same thing, several things in one request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import tango

from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.access.conftest import Gateway
from tests.conftest import DEMO_DEVICE, HAS_PIPES
from tests.pytango_process import PyTango

FORBIDDEN = f"""
[[rule]]
users = ["ben"]
may = ["read", "write", "execute", "configure"]
devices = ["{DEMO_DEVICE}"]
attributes = ["double_scalar"]
commands = ["DevDouble"]
properties = ["open_property"]

[[rule]]
anyone = true
may_not = ["read", "write", "execute", "configure"]
attributes = ["ampli", "State"]
commands = ["DevLong", "DevString"]
properties = ["secret_property"]

[[rule]]
anyone = true
may = ["read", "write", "execute", "configure"]
"""


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway(FORBIDDEN)


@pytest.fixture(scope="module")
def background_gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """Another one, as jobs in the background make calls during later requests."""
    return make_gateway(FORBIDDEN)


@pytest.fixture
def unchanged(pytango: PyTango, tango_system: EmbeddedTango) -> Iterator[None]:
    """Fail where the forbidden things have been changed."""

    def present() -> list[Any]:
        return [
            pytango.read_set_point(DEMO_DEVICE, "ampli"),
            pytango.get_property(DEMO_DEVICE, "secret_property"),
            pytango.get_attribute_property(DEMO_DEVICE, "ampli", "unit"),
            pytango.get_configuration(DEMO_DEVICE, "ampli", "unit"),
        ]

    def properties() -> set[str]:
        return set(tango.DeviceProxy("sys/database/2").DbGetDevicePropertyList([DEMO_DEVICE, "*"]))

    pytango.put_properties(DEMO_DEVICE, secret_property=["secret text"], open_property=["open text"])
    before, names = present(), properties()
    yield
    assert present() == before
    for name in properties() - names:  # written under a spelling that is a name of its own
        pytango.run("sys/database/2", "DbDeleteDeviceProperty", [DEMO_DEVICE, name])


# Spellings of the same name; the others are names of their own, or none.
SAME = {
    "as it is",
    "slash at the end",
    "upper case",
    "mixed case",
    "device in upper case",
    "encoded",
    "encoded device",
    "another host",
    "query",
}


def spellings(path: str, name: str) -> dict[str, str]:
    """Return URLs of an attribute, command or property that Tango or an HTTP library might take for the same."""
    return {
        "as it is": path,
        "slash at the end": path + "/",
        "slashes at the end": path + "//",
        "two slashes": path.replace("/devices/", "//devices/"),
        "two slashes in front": "/" + path,
        "upper case": path.replace(name, name.upper()),
        "mixed case": path.replace(name, name.capitalize()).replace("sys/tg_test", "SYS/tg_TEST"),
        "device in upper case": path.replace(DEMO_DEVICE, DEMO_DEVICE.upper()),
        "encoded": path.replace(name, "".join(f"%{ord(letter):02x}" for letter in name)),
        "encoded device": path.replace("tg_test", "%74g_test"),
        "encoded twice": path.replace(name, quote(f"%{ord(name[0]):02x}") + name[1:]),
        "encoded slash": path.replace(DEMO_DEVICE, quote(DEMO_DEVICE, safe="")),
        "encoded slash before the name": path.replace("/" + name, "%2f" + name),
        "dots": path.replace("/devices/", "/devices/x/../"),
        "encoded dots": path.replace("/devices/", "/devices/x/%2e%2e/"),
        "parameter of the path": path.replace(name, name + ";x=1"),
        "without the database": path.replace(DEMO_DEVICE, DEMO_DEVICE + quote("#dbase=no")),
        "blank at the end of the device": path.replace(DEMO_DEVICE, DEMO_DEVICE + "%20"),
        "blank at the end of the name": path.replace(name, name + "%20"),
        "blank in front of the name": path.replace(name, "%20" + name),
        "NUL": path.replace(name, name + "%00"),
        "accent": path.replace("tg_test", "tg_t%C3%A9st"),
        "pattern": path.replace("tg_test", "tg%25test"),
        "another host": re.sub(r"/hosts/[^/]+/", "/hosts/localhost/", path),
        "host in other digits": re.sub(r"/hosts/[^/]+/", "/hosts/127.1/", path),
        "host of IPv6": re.sub(r"/hosts/[^/]+/", "/hosts/::ffff:127.0.0.1/", path),
        "host with a point": re.sub(r"/hosts/[^/]+/", "/hosts/localhost./", path),
        "another port": re.sub(r"/hosts/([^/]+)/\d+/", r"/hosts/\1/10000/", path),
        "port with zeros": re.sub(r"/hosts/([^/]+)/(\d+)/", r"/hosts/\1/0\2/", path),
        "query": path + "?v=0&filter=value",
        "wide letters": path.replace(name, quote("".join(chr(ord(letter) + 0xFEE0) for letter in name))),
    }


WAYS = {
    "value": ("PUT", "attributes/ampli/value", "3.25"),
    "info": ("PUT", "attributes/ampli/info", '{"unit": "forbidden"}'),
    "attribute properties": ("PUT", "attributes/ampli/properties", '{"unit": ["forbidden"]}'),
    "attribute properties by POST": ("POST", "attributes/ampli/properties", '{"unit": ["forbidden"]}'),
    "attribute property": ("PUT", "attributes/ampli/properties/unit", "forbidden"),
    "attribute property deleted": ("DELETE", "attributes/ampli/properties/unit", ""),
    "command": ("PUT", "commands/DevLong", "3"),
    "property": ("PUT", "properties/secret_property", "forbidden"),
    "property by POST": ("POST", "properties/secret_property", "forbidden"),
    "property deleted": ("DELETE", "properties/secret_property", ""),
    "reading": ("GET", "attributes/ampli/value", ""),
    "reading the head": ("HEAD", "attributes/ampli/value", ""),
    "description": ("GET", "attributes/ampli", ""),
    "configuration": ("GET", "attributes/ampli/info", ""),
    "history": ("GET", "attributes/ampli/history", ""),
    "event": ("GET", "attributes/ampli/change?state=INITIAL&timeout=1", ""),
    "reading a property": ("GET", "properties/secret_property", ""),
    "reading a property of the attribute": ("GET", "attributes/ampli/properties/unit", ""),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("way", WAYS)
def test_no_spelling_of_a_name_leads_round_a_rule(
    gateway: Gateway, background_gateway: Gateway, demo_url: str, way: str
) -> None:
    method, path, body = WAYS[way]
    name = path.partition("?")[0].split("/")[1]
    urls = spellings(f"{demo_url}/{path}", name)
    for about, url in urls.items():
        before = gateway.calls
        answer = gateway.ask(method, url, "anna", body)
        if about in SAME:
            assert answer.status_int == 403, f"{about}: {answer.status} {answer.text}"
        if answer.status_int == 403:
            assert gateway.calls == before, about
        if method == "GET":
            refused = answer.status_int in (400, 403, 404) or b"FAILURE" in answer.body
            assert refused or '"values":[]' in answer.text, f"{about}: {answer.status} {answer.text}"
    for about, url in urls.items():
        answer = background_gateway.ask(method, f"{url}{'&' if '?' in url else '?'}async=1", "anna", body)
        assert about not in SAME or answer.status_int == 403, f"{about}: {answer.status} {answer.text}"


def test_a_write_of_several_is_refused_as_a_whole(gateway: Gateway, demo_url: str, unchanged: None) -> None:
    url, before = f"{demo_url}/attributes/value", gateway.calls
    for query, body in (
        ("?double_scalar=7&ampli=7", ""),
        ("?double_scalar=7&AMPLI=7&async=1", ""),
        ("", '{"double_scalar": 7, "Ampli": 7}'),
        ("?double_scalar=7", '{"ampli": 7}'),
        ("?async=true", '{"ampli": 7}'),
    ):
        answer = gateway.ask("PUT", url + query, "anna", body)
        assert answer.status_int == 403, f"{query} {body}: {answer.text}"
        assert "rule 2 (line 10 of access.toml)" in answer.json["errors"][0]["description"]
    assert gateway.calls == before


def test_a_form_of_several_is_refused_as_a_whole(gateway: Gateway, demo_url: str, unchanged: None) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = gateway.ask("PUT", f"{demo_url}/attributes/value", "anna", "double_scalar=7&%61mpli=7", **form)
    assert answer.status_int == 403


@pytest.mark.parametrize("path", ["value", "info"])
def test_a_forbidden_item_of_a_read_fails_in_its_own_place(gateway: Gateway, demo_url: str, path: str) -> None:
    url = f"{demo_url}/attributes/{path}?attr=double_scalar&attr=AMPLI&attr=long_scalar"
    first, second, third = gateway.ask("GET", url, "anna").json
    assert second["errors"][0]["reason"] == "MTANGO_Forbidden"
    assert "errors" not in first
    assert "errors" not in third
    for query in ("?attr=ampli", "?attr=ampli&attr=Ampli&filter=value", "?attr=ampli&range=0-1"):
        before = gateway.calls
        assert gateway.ask("GET", f"{demo_url}/attributes/{path}{query}", "anna").status_int == 403
        assert gateway.calls == before


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_the_method_is_that_of_the_request_line(gateway: Gateway, demo_url: str, unchanged: None, method: str) -> None:
    for url in (f"{demo_url}/attributes/ampli/value?v=5", f"{demo_url}/commands/DevLong?v=5"):
        for override in (
            {"X-HTTP-Method-Override": "PUT"},
            {"X-HTTP-Method": "PUT"},
            {"X-Method-Override": "PUT"},
            {"Content-Type": "application/x-www-form-urlencoded"},
        ):
            answer = gateway.ask(method, f"{url}&_method=PUT", "anna", "_method=PUT&v=5", **override)
            assert answer.status_int in (403, 405)


@pytest.mark.parametrize("path", ["state", "attributes/State/value", "attributes/state", "attributes/State/history"])
def test_the_state_is_read_by_no_other_way(gateway: Gateway, demo_url: str, path: str) -> None:
    before = gateway.calls
    assert gateway.ask("GET", f"{demo_url}/{path}", "anna").status_int == 403
    assert gateway.ask("GET", f"{demo_url}/attributes/State/change?state=INITIAL", "anna").status_int == 403
    for command in ("State", "STATE"):
        assert gateway.ask("PUT", f"{demo_url}/commands/{command}", "anna").status_int == 403
        assert gateway.ask("GET", f"{demo_url}/commands/{command}/history", "anna").status_int == 403
    assert gateway.calls == before
    assert gateway.ask("PUT", f"{demo_url}/commands/Status", "anna").status_int == 200


def test_a_list_of_properties_shows_none_that_may_not_be_read(gateway: Gateway, demo_url: str, unchanged: None) -> None:
    items = {item["name"]: item for item in gateway.ask("GET", f"{demo_url}/properties", "anna").json}
    assert items["open_property"]["values"] == ["open text"]
    assert items["secret_property"]["errors"][0]["reason"] == "MTANGO_Forbidden"
    answer = gateway.ask("PUT", f"{demo_url}/properties", "anna", '{"open_property": ["open text"]}')
    assert "open text" in answer.text
    assert "secret text" not in answer.text


@pytest.mark.parametrize(
    "body",
    ['{"secret_property": ["x"]}', '{"open_property": ["x"], "SECRET_property": ["x"]}', '{"secret_property ": ["x"]}'],
)
def test_properties_are_checked_by_their_names(gateway: Gateway, demo_url: str, unchanged: None, body: str) -> None:
    for method in ("PUT", "POST"):
        assert gateway.ask(method, f"{demo_url}/properties", "anna", body).status_int == 403


def test_replace_deletes_no_property_that_may_not_be_changed(gateway: Gateway, demo_url: str, unchanged: None) -> None:
    body = '{"open_property": ["open text"]}'
    for flag in ("?replace=1", "?replace=1&async=1"):
        answer = gateway.ask("PUT", f"{demo_url}/properties{flag}", "anna", body)
        assert (answer.status_int, "secret_property" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [("anna", "ampli", 403), ("ben", "ampli", 403), ("", "ampli", 401), ("anna", "double_scalar", 200)],
)
def test_fast_values_answer_as_flask_does(gateway: Gateway, demo_url: str, user: str, path: str, status: int) -> None:
    for url in (f"{demo_url}/attributes/{path}/value", f"{demo_url}/attributes/value?attr={path}"):
        fast = gateway.ask("GET", url, user)
        slow = gateway.ask("GET", url, user, If_None_Match='"x"')
        assert fast.status_int == slow.status_int == status
        if status != 200:
            assert fast.json["errors"] == slow.json["errors"]
            assert fast.headers.getall("WWW-Authenticate") == slow.headers.getall("WWW-Authenticate")


@pytest.mark.parametrize("accept", ["application/octet-stream", "application/x-npy", "text/csv", "image/tiff"])
def test_a_forbidden_value_has_no_other_media_type(gateway: Gateway, demo_url: str, accept: str) -> None:
    for path in ("ampli/value", "ampli/history"):
        answer = gateway.ask("GET", f"{demo_url}/attributes/{path}", "anna", Accept=accept)
        assert answer.status_int == 403
        assert answer.json["quality"] == "FAILURE"


def test_an_alias_is_no_device_of_a_url(gateway: Gateway, host_url: str) -> None:
    for alias in ("my_alias", "tango:my_alias", "my_alias/x/y"):
        answer = gateway.ask("GET", f"{host_url}/devices/{alias}/attributes/double_scalar/value", "anna")
        assert answer.status_int in (400, 404) or "DB_DeviceNotDefined" in answer.text


@pytest.mark.skipif(not HAS_PIPES, reason="PyTango without pipes")
def test_pipes_have_rules_of_their_own(make_gateway: Callable[..., Gateway], demo_url: str) -> None:
    gateway = make_gateway('[[rule]]\nanyone = true\nmay_not = ["read"]\npipes = ["string_long_*"]\n')
    assert gateway.ask("GET", f"{demo_url}/pipes/STRING_long_short_ro", "anna").status_int == 403


def test_nothing_shared_is_kept_by_a_proxy_for_others(make_gateway: Callable[..., Gateway], demo_url: str) -> None:
    gateway = make_gateway(FORBIDDEN, value_max_age=5.0)
    for headers in ({}, {"If_None_Match": '"x"'}):
        answer = gateway.ask("GET", f"{demo_url}/attributes/double_scalar/value", "anna", **headers)
        assert answer.headers["Cache-Control"].startswith("private, ")


@pytest.mark.parametrize("asynchronous", ["", "&async=1"])
def test_the_attribute_that_another_one_writes_has_its_rule(
    make_gateway: Callable[..., Gateway], host_url: str, cpp_device: str, asynchronous: str
) -> None:
    rules = '[[rule]]\nanyone = true\nmay_not = ["write"]\nattributes = ["double_scalar_w"]\n'
    gateway = make_gateway(f'{rules}[[rule]]\nanyone = true\nmay = ["write"]\n')
    attributes = f"{host_url}/devices/{cpp_device}/attributes"
    for query in ("double_scalar_rww/value?v=1", "value?double_scalar_rww=1"):
        answer = gateway.ask("PUT", f"{attributes}/{query}{asynchronous}", "anna")
        assert "double_scalar_w: denied by rule 1 (line 1 of access.toml)" in answer.text
    assert gateway.ask("PUT", f"{attributes}/double_scalar/value?v=1{asynchronous}", "anna").status_int < 300


def test_letters_that_tango_tells_apart_are_other_devices(gateway: Gateway) -> None:
    client = gateway.client.app.extensions["mtango"].client
    urls = [Device(TangoHost(client, "db", 10000), f"sys/tg_test/{letter}")._url() for letter in "ÄäAa"]
    assert urls == ["sys/tg_test/Ä", "sys/tg_test/ä", "sys/tg_test/a", "sys/tg_test/a"]
