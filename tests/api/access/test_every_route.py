"""Users x devices x actions x every route and method: the declared action decides, before any Tango call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from flask import Flask
from werkzeug.routing import Rule

from mtango_gevent import create_app
from mtango_gevent.api.access import ACTIONS, PARTS, Need
from mtango_gevent.config import Config
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.access.conftest import DENY_ALL, Gateway
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.pytango_process import PyTango


class Case(NamedTuple):
    """A request, and what it takes. on: `device`, `host` or `gateway`, the kind of what it acts on.

    `HOST` and `DEVICE` in body and query stand for the names of these. fails: whether it fails for another reason.
    """

    action: str
    on: str
    body: str = ""
    query: str = ""
    fails: bool = False


_API = Case("read", "gateway")
_ABSENT = Case("read", "gateway", fails=True)  # of a subscription that is not there
_DEVICE = Case("read", "device")
_CONFIGURE = Case("configure", "device", '{"access_test": ["1"]}')

# What each request takes, by endpoint and method. A new route needs a row here, and its declaration in the view.
# First the requests that all versions of the API have, each at a URL of its own.
SHARED_CASES = {
    "attribute_properties.delete_attribute_property DELETE": Case("configure", "device"),
    "attribute_properties.list_attribute_properties GET": _DEVICE,
    "attribute_properties.put_attribute_properties POST": _CONFIGURE,
    "attribute_properties.put_attribute_properties PUT": _CONFIGURE,
    "attribute_properties.put_attribute_property POST": Case("configure", "device", query="?value=1"),
    "attribute_properties.put_attribute_property PUT": Case("configure", "device", query="?value=1"),
    "attribute_properties.show_attribute_property GET": _DEVICE,
    "attributes.change_info PUT": Case("configure", "device", '{"description": "changed by a test"}'),
    "attributes.list_attributes GET": _DEVICE,
    "attributes.read_history GET": _DEVICE,
    "attributes.read_value GET": _DEVICE,
    "attributes.read_values GET": Case("read", "device", query="?attr=double_scalar"),
    "attributes.show_attribute GET": _DEVICE,
    "attributes.show_info GET": _DEVICE,
    "attributes.show_infos GET": Case("read", "device", query="?attr=double_scalar"),
    "commands.list_commands GET": _DEVICE,
    "commands.run_command PUT": Case("execute", "device", query="?v=1"),
    "commands.show_command GET": _DEVICE,
    "devices.show_device GET": _DEVICE,
    "devices.show_state GET": _DEVICE,
    "events.wait_for_event GET": Case("read", "device", query="?timeout=1"),
    "hosts.list_devices GET": Case("read", "host"),
    "hosts.show_entry GET": _API,
    "hosts.show_host GET": Case("read", "host"),
    "pipes.list_pipes GET": _DEVICE,
    "pipes.read_pipe GET": _DEVICE,
    "properties.delete_property DELETE": Case("configure", "device"),
    "properties.list_properties GET": _DEVICE,
    "properties.put_properties POST": _CONFIGURE,
    "properties.put_properties PUT": _CONFIGURE,
    "properties.put_property POST": Case("configure", "device", query="?value=1"),
    "properties.put_property PUT": Case("configure", "device", query="?value=1"),
    "properties.show_property GET": _DEVICE,
}

# The requests of other parts, and the other ones of rc3.
CASES = {
    "entry.list_versions GET": _API,
    "metrics.show_metrics GET": Case("administer", "gateway"),
    "pages.show_swagger GET": _API,
    "rc3.attribute_writes.write_value PUT": Case("write", "device", query="?v=1"),
    "rc3.attribute_writes.write_values PUT": Case("write", "device", query="?double_scalar=1"),
    "rc3.commands.read_history GET": _DEVICE,
    "rc3.hosts.show_hosts GET": _API,
    "rc3.pipes.write_pipe PUT": Case("write", "device", '{"data": []}'),
    "streams.subscriptions.create_subscription POST": Case("read", "gateway", "[]"),
    "streams.subscriptions.delete_subscription DELETE": _ABSENT,
    "streams.subscriptions.extend_subscription PUT": Case("read", "gateway", "[]", fails=True),
    "streams.subscriptions.show_subscription GET": _ABSENT,
    "streams.subscriptions.stream_events GET": _ABSENT,
    "streams.websocket.make_token GET": _API,
    "streams.websocket.open_stream GET": _API,
    "streams.websocket.refuse_request GET": _API,
    "sys.clean_cache GET": Case("administer", "gateway"),
    "sys.show_cache GET": _API,
    "sys.show_config GET": _API,
    "sys.show_devices GET": _API,
    "sys.show_entry GET": _API,
    "sys.show_failures GET": _API,
    "sys.show_statistics GET": _API,
    "sys.show_streams GET": _API,
}
_WILDCARD = Case("read", "device", query="?wildcard=HOST/DEVICE/double_scalar")


def _item(name: str, value: str) -> str:
    return f'[{{"host": "HOST", "device": "DEVICE", "name": "{name}", {value}}}]'


# The other requests of v11, which v10 has as well.
V11_CASES = {
    "attribute_properties.show_attribute_property GET": Case("read", "device", fails=True),  # unless it has been put
    "bulk.list_attributes GET": _WILDCARD,
    "bulk.list_commands GET": Case("read", "device", query="?wildcard=HOST/DEVICE/DevDouble"),
    "bulk.list_pipes GET": _WILDCARD,
    "bulk.read_attributes GET": _WILDCARD,
    "bulk.read_pipes GET": _WILDCARD,
    "bulk_changes.run_commands PUT": Case("execute", "device", _item("DevDouble", '"input": 1')),
    "bulk_changes.write_attributes PUT": Case("write", "device", _item("double_scalar", '"value": 1')),
    "bulk_changes.write_pipes PUT": Case("write", "device", _item("string_long_short_ro", '"data": []')),
    "commands.read_history GET": Case("read", "device", fails=True),
    "attributes.write_value PUT": Case("write", "device", query="?v=1"),
    "attributes.write_values PUT": Case("write", "device", query="?double_scalar=1"),
    "hosts.list_families GET": Case("read", "host"),
    "hosts.list_members GET": Case("read", "host"),
    "hosts.refuse_list_of_hosts GET": Case("read", "gateway", fails=True),
    "pipes.show_pipe GET": _DEVICE,
    "pipes.write_pipe PUT": Case("write", "device", "[]", fails=True),
    "tree.show_tree GET": Case("read", "host", query="?host=HOST"),
    "tree.show_tree_of_host GET": Case("read", "host"),
}
CASES |= {f"rc3.{label}": case for label, case in SHARED_CASES.items()}
CASES |= {
    f"{version}.{label}": case for version in ("v10", "v11") for label, case in (SHARED_CASES | V11_CASES).items()
}
FREE = {
    "health.show_life GET",
    "health.show_readiness GET",
    "login.exchange_code POST",
    "login.show_ways GET",
    "pages.show_docs GET",
    "pages.show_file GET",
    "pages.show_home GET",
    "sys.show_user GET",
}

# The parts of the URLs besides the device.
NAMES = {
    "attribute": "double_scalar",
    "command": "DevDouble",
    "pipe": "string_long_short_ro",
    "property_name": "access_test",
    "kind": "change",
    "cache": "attributes",
    "name": "rc3",
    "subscription": 1,  # which is not there
}


class Request(NamedTuple):
    label: str
    method: str
    rule: Rule


def requests_of(app: Flask) -> Iterator[Request]:
    """Yield each request that the application knows; HEAD as a request of its own."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            yield Request(f"{rule.endpoint} {'GET' if method == 'HEAD' else method}", method, rule)


def url_of(rule: Rule, tango_host: str, device: str) -> str:
    host, port = tango_host.split(":")
    if "port" not in rule.arguments:  # v11
        host = f"{host};port={port}"
    domain, family, member = device.split("/")
    parts = {"host": host, "port": port, "domain": domain, "family": family, "member": member, **NAMES}
    built = rule.build({name: parts[name] for name in rule.arguments})
    assert built is not None
    return built[1]


# Created without Tango, for the names of the tests.
REQUESTS = list(requests_of(create_app(Config())))


def request_id(request: Request) -> str:
    return f"{request.method} {request.rule.rule}"


@pytest.mark.parametrize("request_", REQUESTS, ids=request_id)
def test_each_view_declares_what_it_does(app: Flask, request_: Request) -> None:
    need = getattr(app.view_functions[request_.rule.endpoint], "need", "none")
    assert need != "none", "the view has neither @access.needs nor @access.is_free"
    assert request_.label in (FREE if need is None else CASES), "a row for this request is missing in CASES"
    if isinstance(need, Need):
        assert need.action == CASES[request_.label].action
        assert (need.kind == "gateway") == (CASES[request_.label].on == "gateway")
        assert need.kind != "gateway" or need.name in PARTS, "rules_file.PARTS does not have this part"


def test_each_row_has_a_route() -> None:
    assert {request.label for request in REQUESTS} == CASES.keys() | FREE


@pytest.fixture(scope="module")
def gateways(make_gateway: Callable[..., Gateway], app: Flask) -> dict[tuple[str, str], Gateway]:
    """An application for each action and kind: anna may do that and nothing else, other clients may do nothing."""
    concerned = {
        "device": f'devices = ["{DEMO_DEVICE.upper()}"]',
        "host": 'devices = ["*"]',
        "gateway": 'gateway = ["*"]',
    }
    return {
        (action, on): make_gateway(f'[[rule]]\nusers = ["anna"]\nmay = ["{action}"]\n{key}\n{DENY_ALL}')
        for action in ACTIONS
        for on, key in concerned.items()
    }


def is_slow(request: Request) -> bool:
    """Return whether the same view has a quick test: v10's is that of v11, and that of HEAD is that of GET."""
    return request.label.startswith("v10") or (request.label.startswith("v11") and request.method == "HEAD")


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(request, marks=[pytest.mark.slow] if is_slow(request) else [])
        for request in REQUESTS
        if request.label in CASES
    ],
    ids=request_id,
)
def test_only_the_declared_action_on_the_device_is_allowed(
    gateways: dict[tuple[str, str], Gateway], request_: Request, tango_system: EmbeddedTango, pytango: PyTango
) -> None:
    case, tango_host = CASES[request_.label], tango_system.tango_host
    if "property_name" in request_.rule.arguments:  # which another request may have deleted
        put = [DEMO_DEVICE, "1", NAMES["attribute"], "1", NAMES["property_name"], "1", "1"]
        pytango.run("sys/database/2", "DbPutDeviceAttributeProperty2", put)
    for action in ACTIONS:
        gateway = gateways[action, case.on]
        for device in (DEMO_DEVICE, TYPES_DEVICE):

            def named(text: str, device: str = device) -> str:
                return text.replace("HOST", tango_host).replace("DEVICE", device)

            url = url_of(request_.rule, tango_host, device) + named(case.query)
            for user in ("anna", "ben", ""):
                is_right_device = case.on != "device" or device == DEMO_DEVICE
                allowed = user == "anna" and action == case.action and is_right_device
                before = gateway.calls_of_requests
                answer = gateway.ask(request_.method, url, user, named(case.body))
                about = f"{user} {action} {request_.method} {url}: {answer.status}"
                if allowed:
                    assert case.fails or answer.status_int not in (400, 401, 403, 404, 405), f"{about} {answer.text}"
                    assert answer.status_int < 500 or "pipe" in request_.label or "events" in request_.label, (
                        f"{about} {answer.text}"
                    )
                    quiet = case.on == "gateway" or "pipe" in request_.label or "events" in request_.label
                    assert gateway.calls_of_requests > before or quiet, about
                else:
                    assert answer.status_int == (403 if user else 401), about
                    assert gateway.calls_of_requests == before, f"{about}: Tango was called"


@pytest.mark.parametrize("url", ["/nope", "/tango/rest/rc3/nope", "/metrics/x"])
def test_urls_that_do_not_exist_are_read_like_a_part_of_the_gateway(
    gateways: dict[tuple[str, str], Gateway], url: str
) -> None:
    gateway = gateways["read", "gateway"]
    assert gateway.ask("GET", url, "anna").status_int == 404
    assert gateway.ask("GET", url, "ben").status_int == 403
    assert gateway.ask("GET", url).status_int == 401
