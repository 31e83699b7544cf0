"""The OpenAPI files tell the truth: they name the routes that there are, and every reply fits what they say of it."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest
import tango
import yaml
from flask import Flask
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from openapi_spec_validator import validate
from webtest import TestApp, TestResponse

from mtango_gevent import create_app
from mtango_gevent.config import Config

FOLDER = Path(__file__).parent.parent / "swagger"
TEXTS = {name: (FOLDER / f"{name}.yml").read_text("utf-8") for name in ("main", "rc3", "sys")}
DOCUMENTS = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
API = "/tango/rest"
BASES = {"main": API, "rc3": f"{API}/rc3", "sys": f"{API}/sys"}
"""Where the paths of each file begin."""

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


@dataclasses.dataclass(frozen=True)
class Operation:
    """A method of a path, as one of the files describes it."""

    file: str
    path: str
    method: str

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.url}"

    @property
    def url(self) -> str:
        """With the names of the parameters in it."""
        return (BASES[self.file] + self.path).rstrip("/")

    @property
    def description(self) -> dict[str, Any]:
        return DOCUMENTS[self.file]["paths"][self.path][self.method]

    def parameters(self, place: str) -> list[dict[str, Any]]:
        """Those in the path or in the query, in the order of the file."""
        nodes = [
            *DOCUMENTS[self.file]["paths"][self.path].get("parameters", ()),
            *self.description.get("parameters", ()),
        ]
        return [parameter for parameter in map(self.resolve, nodes) if parameter["in"] == place]

    def replies(self) -> dict[int, dict[str, Any]]:
        """By status."""
        return {int(status): self.resolve(node) for status, node in self.description["responses"].items()}

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """What a `$ref` leads to."""
        while "$ref" in node:
            found = DOCUMENTS[self.file]
            for key in node["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            node = found
        return node

    def examples(self, status: int) -> Iterator[tuple[dict[str, Any], Any]]:
        """(schema, example) for each example of a reply."""
        for content in self.replies()[status].get("content", {}).values():
            if "example" in content:
                yield content["schema"], content["example"]
            for node in content.get("examples", {}).values():
                yield content["schema"], self.resolve(node)["value"]

    def example_url(self, **changes: object) -> str:
        """The URL with the examples of its parameters, but for some parts of the path."""
        path = {parameter["name"]: parameter["example"] for parameter in self.parameters("path")}
        query = {node["name"]: node["example"] for node in self.parameters("query") if "example" in node}
        return f"{self.url.format(**{**path, **changes})}?{urlencode(query, doseq=True)}"

    def check(self, schema: dict[str, Any], value: Any) -> None:
        document = {"allOf": [schema], "components": DOCUMENTS[self.file]["components"]}
        OAS30Validator(document, format_checker=oas30_format_checker).validate(value)

    def check_reply(self, reply: TestResponse) -> None:
        """Its status, headers, content type and body are among those described."""
        described = self.replies().get(reply.status_int)
        assert described is not None, f"{self} does not describe {reply.status}: {reply.text}"
        for name, header in described.get("headers", {}).items():
            assert name in reply.headers or not self.resolve(header).get("required")
        contents = described.get("content")
        if contents is None:
            assert (reply.body, reply.content_type) == (b"", None)
            return
        assert reply.content_type in contents
        if reply.content_type == "application/json":
            self.check(contents[reply.content_type]["schema"], reply.json)


OPERATIONS = [
    Operation(file, path, method)
    for file, document in DOCUMENTS.items()
    for path, item in document["paths"].items()
    for method in item
    if method in METHODS
]

each_file = pytest.mark.parametrize("file", DOCUMENTS)
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
each_operation_of_a_host = pytest.mark.parametrize(
    "operation", [operation for operation in OPERATIONS if "{host}" in operation.path], ids=str
)


# --- the files by themselves ---


@each_file
def test_file_is_valid_openapi(file: str) -> None:
    validate(DOCUMENTS[file])


@each_file
def test_file_has_one_server_which_is_its_api(file: str) -> None:
    assert DOCUMENTS[file]["servers"] == [{"url": BASES[file]}]
    assert TEXTS[file].count(f"- url: {API}") == 1


@each_file
def test_every_component_is_used(file: str) -> None:
    used = set(re.findall(r'\$ref: "#/components/(\w+/\w+)"', TEXTS[file]))
    assert used == {f"{kind}/{name}" for kind, found in DOCUMENTS[file]["components"].items() for name in found}


@each_operation
def test_operation_has_a_summary_and_an_id(operation: Operation) -> None:
    assert operation.description["summary"]
    assert re.fullmatch(r"[a-z][A-Za-z]+", operation.description["operationId"])


@each_operation
def test_operation_declares_its_path_parameters(operation: Operation) -> None:
    declared = [parameter["name"] for parameter in operation.parameters("path")]
    assert declared == re.findall(r"{(.+?)}", operation.path)


@each_operation
def test_operation_that_answers_in_parts_takes_a_range(operation: Operation) -> None:
    takes_range = "range" in [parameter["name"] for parameter in operation.parameters("query")]
    assert takes_range == (206 in operation.replies())


@each_operation
def test_operation_has_an_example_of_success(operation: Operation) -> None:
    for status in [status for status in operation.replies() if status < 300] or [501]:
        assert status == 204 or list(operation.examples(status))


@each_operation
def test_examples_fit_their_schemas(operation: Operation) -> None:
    for status in operation.replies():
        for schema, example in operation.examples(status):
            operation.check(schema, example)


# --- the files and the routes ---


def as_described(rule: str) -> str:
    """A rule of Flask with its parameters in the braces of OpenAPI."""
    return re.sub(r"<(?:[^<>]*:)?([^<>]+)>", r"{\1}", rule)


def test_files_describe_the_routes_of_the_application(app: Flask) -> None:
    routes = {
        f"{method} {as_described(rule.rule)}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(API)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {str(operation) for operation in OPERATIONS} == routes


# --- the files and the replies ---


def under(base: str, *rests: str) -> list[str]:
    return [base + rest for rest in rests]


HOST = f"{API}/rc3/hosts/{{tango_host}}"
DEVICE, MISSING = f"{HOST}/devices/sys/tg_test/1", f"{HOST}/devices/sys/tg_test/99"
TYPES = f"{HOST}/devices/demo/types/1"
ATTRIBUTES, COMMANDS, PROPERTIES = f"{DEVICE}/attributes", f"{DEVICE}/commands", f"{DEVICE}/properties"
DOUBLE = f"{ATTRIBUTES}/double_scalar"
LONG_NAME = "x" * 256

READ = [
    *under(API, "", "/"),
    *under(f"{API}/sys", "", "/", "/stats", "/config"),
    *under(f"{API}/sys", "/cache/devices", "/cache/attributes", "/active/devices", "/active/attributes"),
    *under(f"{API}/rc3", "", "/", "/hosts"),
    *under(HOST, "", "/", "/devices", "/devices?wildcard=sys/*&wildcard=nothing/*"),
    *under(HOST, "/devices?domain=^SYS$&family=test&member=[0-9]", "/devices/SYS/TG_TEST/1"),
    *under(DEVICE, "", "/state", "/attributes", "/commands", "/properties", "/pipes"),
    *under(ATTRIBUTES, "/double_scalar", "/State", "/wave", "?range=0-9999"),
    *under(ATTRIBUTES, "/boolean_scalar/value", "/uchar_scalar/value", "/long64_scalar/value", "/ulong64_scalar/value"),
    *under(ATTRIBUTES, "/float_scalar/value", "/double_scalar/value", "/string_scalar/value", "/enum_scalar/value"),
    *under(ATTRIBUTES, "/State/value", "/Status/value", "/ampli/value", "/wave/value", "/short_image_ro/value"),
    *under(ATTRIBUTES, "/boolean_spectrum_ro/value", "/uchar_spectrum_ro/value", "/ulong64_spectrum_ro/value"),
    *under(ATTRIBUTES, "/float_spectrum_ro/value", "/string_spectrum_ro/value", "/enum_spectrum_ro/value"),
    *under(f"{ATTRIBUTES}/value", "", "?attr=wave&attr=State&attr=no_value&attr=throw_exception&attr=nope"),
    *under(f"{TYPES}/attributes", "/quality_invalid/value", "/encoded_scalar/value", "/state_image/value"),
    *under(f"{TYPES}/attributes", "/nan_scalar/value", "/nonfinite_image/value", "/empty_spectrum/value"),
    *under(f"{ATTRIBUTES}/info", "", "?attr=State&attr=short_image_ro&attr=enum_scalar&attr=nope"),
    *under(ATTRIBUTES, "/ampli/info", "/State/info", "/enum_scalar/info", "/wave/info", "/short_image_ro/info"),
    *under(ATTRIBUTES, "/double_scalar/history", "/double_scalar/history?range=0-9999"),
    *under(ATTRIBUTES, "/wave/properties", "/double_scalar/properties", "/double_scalar/properties/abs_change"),
    *under(COMMANDS, "/State", "/DevVoid", "/DevVarLongStringArray", "/State/history"),
    *under(PROPERTIES, "/numbers", "/nope"),
]
IN_PART = [
    *under(HOST, "/devices?range=0-1", "/devices?wildcard=sys/*&range=1-99"),
    *under(DEVICE, "/attributes?range=0-1", "/commands?range=2-4", "/properties?range=1-2"),
    *under(ATTRIBUTES, "/value?attr=State&attr=nope&range=1-2", "/info?attr=State&attr=nope&range=1-2"),
    *under(DEVICE, "/attributes/double_scalar/history?range=0-1", "/commands/State/history?range=0-1"),
]
FAILING = [
    *under(MISSING, "", "/state", "/attributes", "/commands", "/properties", "/properties/numbers", "/pipes"),
    *under(MISSING, "/attributes/value?attr=State", "/commands/State", "/commands/State/history"),
    *under(ATTRIBUTES, "/nope", "/nope/value", "/nope/info", "/nope/history", "/nope/properties"),
    *under(ATTRIBUTES, "/nope/properties/abs_change", "/no_value/value", "/throw_exception/value", "/wave/history"),
    *under(COMMANDS, "/nope", "/nope/history", "/DevString/history"),
]
BAD = [
    *under(f"{ATTRIBUTES}?range=", "", "1", "1-", "-1", "1-1", "2-1", "a-b", "1-2-3", "9999-10000"),
    *under(HOST, "/devices?range=1", "/devices?domain=[", "/devices?wildcard=", "/devices?wildcard=%23"),
    *under(HOST, f"/devices?member={LONG_NAME}", f"/devices/sys/tg_test/{LONG_NAME}", "/devices/sys/%20/1"),
    *under(ATTRIBUTES, "/a%3Ab", "/a%3Ab/value", "/value?attr=a%2Fb", "/info?attr=a%2Fb", "/value?range=1"),
    *under(DEVICE, "/commands/%E4%BD%A0", "/commands?range=1", "/properties?range=1", "/pipes?range=1", "/pipes/a%23b"),
]
UNKNOWN = [
    *under(f"{API}/sys", "/cache/nope", "/active/nope", "/clean/nope"),
    *under(DOUBLE, "/properties/nope"),
]
PIPES = [
    *under(f"{DEVICE}/pipes", "/string_long_short_ro", "/nope"),
    *under(f"{TYPES}/pipes", "/blob"),
]
EVENTS = under(DOUBLE, "/change", "/periodic", "/user", "/archive")

TABLE = [
    *((200, url) for url in READ),
    *((204, url) for url in under(f"{API}/sys", "/clean/devices", "/clean/attributes")),
    *((206, url) for url in IN_PART),
    *((200, url) for url in FAILING),
    (200, f"{ATTRIBUTES}/State/history"),  # PyTango cannot decode what Tango keeps of it
    *((400, url) for url in BAD),
    *((404, url) for url in UNKNOWN),
    *((200 if hasattr(tango.DeviceProxy, "read_pipe") else 501, url) for url in PIPES),
    *((501, url) for url in EVENTS),
]
"""Status and URL of GET requests, in which {tango_host} stands for host and port."""

OTHER_SETTINGS: dict[str, dict[str, Any]] = {
    "implementation": {"rc3_mode": "implementation"},
    "http": {"rc3_errors": "http"},
    "seconds": {"rc3_timestamps": "s"},
}


def find_operation(app: Flask, url: str) -> Operation:
    """The operation that a GET request means."""
    path = unquote(urlsplit(url.format(tango_host="host/1")).path)
    rule, _ = app.url_map.bind("").match(path, "GET", return_rule=True)
    return next(found for found in OPERATIONS if str(found) == f"GET {as_described(rule.rule)}")


def ask(client: TestApp, url: str, method: str = "get", **headers: str) -> TestResponse:
    url = url.format(tango_host=os.environ["TANGO_HOST"].replace(":", "/"))
    return client.request(url, method=method.upper(), headers=headers, expect_errors=True)


@pytest.fixture(scope="module")
def polled(client: TestApp) -> None:
    """Waits until each history has more than one item: of one there is no part."""
    until = time.monotonic() + 10
    for url in under(DEVICE, "/attributes/double_scalar/history", "/commands/State/history"):
        while not isinstance(items := ask(client, url).json, list) or len(items) < 2:
            assert time.monotonic() < until, items
            time.sleep(0.1)


@pytest.fixture(scope="module", params=OTHER_SETTINGS)
def other_client(request: pytest.FixtureRequest, polled: None) -> TestApp:
    return TestApp(create_app(Config(**OTHER_SETTINGS[request.param])))


def test_table_has_every_operation_that_reads(app: Flask) -> None:
    assert {find_operation(app, url) for _, url in TABLE} == {found for found in OPERATIONS if found.method == "get"}


@pytest.mark.usefixtures("polled")
@pytest.mark.parametrize(("status", "url"), TABLE)
def test_reply_is_as_described(client: TestApp, app: Flask, status: int, url: str) -> None:
    reply = ask(client, url)
    assert reply.status_int == status
    find_operation(app, url).check_reply(reply)


@pytest.mark.usefixtures("polled")
@pytest.mark.parametrize("url", [*READ, *FAILING])
def test_failure_is_what_tango_refuses(client: TestApp, url: str) -> None:
    reply = ask(client, url).json
    assert (isinstance(reply, dict) and reply.get("quality") == "FAILURE") == (url in FAILING)


@pytest.mark.parametrize("url", [url for _, url in TABLE])
def test_reply_with_other_settings_is_as_described(other_client: TestApp, app: Flask, url: str) -> None:
    find_operation(app, url).check_reply(ask(other_client, url))


@pytest.mark.parametrize("accept", ["image/png", "image/jpeg"])
@pytest.mark.parametrize("attribute", ["short_image_ro", "double_scalar"])
def test_picture_is_as_described(client: TestApp, app: Flask, attribute: str, accept: str) -> None:
    url = f"{ATTRIBUTES}/{attribute}/value"
    reply = ask(client, url, Accept=accept)
    drawn = attribute == "short_image_ro" and importlib.util.find_spec("PIL") is not None
    assert (reply.status_int, reply.content_type) == ((200, accept) if drawn else (406, "application/json"))
    find_operation(app, url).check_reply(reply)


@each_operation
def test_examples_of_parameters_can_be_used(client: TestApp, operation: Operation) -> None:
    reply = ask(client, operation.example_url(), operation.method)
    assert reply.status_int in (200, 204, 206, 501)
    operation.check_reply(reply)


@each_operation_of_a_host
def test_port_that_is_none_is_refused_as_described(client: TestApp, operation: Operation) -> None:
    reply = ask(client, operation.example_url(port="x"), operation.method)
    assert reply.status_int == 400
    operation.check_reply(reply)


@pytest.fixture(scope="module")
def client_of_no_database(app: Flask) -> TestApp:
    """Of a gateway that serves one more Tango host, where nothing runs."""
    return TestApp(create_app(Config(tango_hosts=("127.0.0.1:1",), rc3_errors="http")))


@each_operation_of_a_host
def test_host_that_is_not_served_is_refused_as_described(client_of_no_database: TestApp, operation: Operation) -> None:
    reply = ask(client_of_no_database, operation.example_url(host="elsewhere"), operation.method)
    assert reply.status_int == 404
    operation.check_reply(reply)


@each_operation_of_a_host
def test_database_out_of_reach_is_as_described(client_of_no_database: TestApp, operation: Operation) -> None:
    reply = ask(client_of_no_database, operation.example_url(host="127.0.0.1", port=1), operation.method)
    assert reply.status_int in (501, 503)
    operation.check_reply(reply)


@pytest.mark.parametrize(("rc3_errors", "status"), [("tango", 200), ("http", 503)])
def test_unusable_tango_host_is_as_described(
    app: Flask, monkeypatch: pytest.MonkeyPatch, rc3_errors: str, status: int
) -> None:
    monkeypatch.setenv("TANGO_HOST", "nonsense")
    reply = ask(TestApp(create_app(Config(rc3_errors=rc3_errors))), f"{API}/rc3/hosts")
    assert (reply.status_int, reply.json["quality"]) == (status, "FAILURE")
    find_operation(app, f"{API}/rc3/hosts").check_reply(reply)


# --- the files as they are served ---


@each_file
def test_file_is_served_as_it_is(client: TestApp, file: str) -> None:
    reply = client.get(f"/swagger/{file}.yml")
    assert (reply.content_type, reply.text) == ("application/yaml", TEXTS[file])


@each_file
@pytest.mark.parametrize(
    ("settings", "environment", "base"),
    [
        ({"app_base": "/elsewhere"}, {}, "/elsewhere"),
        ({}, {"SCRIPT_NAME": "/behind"}, f"/behind{API}"),
        ({"app_base": "/elsewhere"}, {"SCRIPT_NAME": "/behind"}, "/behind/elsewhere"),
        ({"trusted_proxies": 1}, {"HTTP_X_FORWARDED_PREFIX": "/behind"}, f"/behind{API}"),
    ],
)
def test_served_file_says_where_the_api_is(
    file: str, settings: dict[str, Any], environment: dict[str, str], base: str
) -> None:
    reply = TestApp(create_app(Config(**settings))).get(f"/swagger/{file}.yml", extra_environ=environment)
    assert reply.text == TEXTS[file].replace(f"- url: {API}", f"- url: {base}")
    assert yaml.safe_load(reply.text)["servers"] == [{"url": BASES[file].replace(API, base, 1)}]
