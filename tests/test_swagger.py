"""The OpenAPI files tell the truth: they name the routes that there are, and every reply fits what they say of it.

So does every request that is meant to succeed. Writes are done for real, and undone at the end.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import pytest
import yaml
from flask import Flask
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from openapi_spec_validator import validate
from webtest import TestApp, TestResponse

from mtango_gevent import create_app
from mtango_gevent.config import Config
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import HAS_PIPES
from tests.sampling import sampled
from tests.waiting import wait_until

load = functools.partial(yaml.load, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # ten times as fast

FOLDER = Path(__file__).parent.parent / "swagger"
TEXTS = {name: (FOLDER / f"{name}.yml").read_text("utf-8") for name in ("main", "rc3", "v11", "subscriptions", "sys")}
DOCUMENTS = {name: load(text) for name, text in TEXTS.items()}
API = "/tango/rest"
SUBSCRIPTIONS = "/tango/subscriptions"
BASES = {"main": API, "rc3": f"{API}/rc3", "v11": f"{API}/v11", "subscriptions": SUBSCRIPTIONS, "sys": f"{API}/sys"}
"""Where the paths of each file begin."""

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


@dataclasses.dataclass(frozen=True)
class Body:
    """What a request sends; of a form, lists of texts by name."""

    media_type: str
    value: Any

    def encoded(self) -> bytes:
        if self.media_type == "application/json":
            return json.dumps(self.value).encode()
        if self.media_type == "application/x-www-form-urlencoded":
            return urlencode(self.value, doseq=True).encode()
        return self.value.encode()


@dataclasses.dataclass(frozen=True)
class Request:
    """In the URL {tango_host} stands for host and port."""

    url: str
    method: str = "get"
    body: Body | None = None

    def __str__(self) -> str:
        return " ".join([self.method.upper(), self.url, *([str(self.body.value)] if self.body else [])])


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

    def body(self) -> dict[str, Any]:
        """What a request may send, empty where it sends nothing."""
        return self.resolve(self.description.get("requestBody", {}))

    def examples_sent(self) -> Iterator[tuple[dict[str, Any], Body]]:
        """(schema, example) for each example of a body."""
        for media_type, content in self.body().get("content", {}).items():
            nodes = [{"value": content["example"]}] if "example" in content else content["examples"].values()
            for node in nodes:
                yield content["schema"], Body(media_type, node["value"])

    def example_requests(self, **changes: object) -> Iterator[Request]:
        """With the examples of the parameters, but for some parts of the path; then with each example of a body."""
        path = {parameter["name"]: parameter["example"] for parameter in self.parameters("path")} | changes
        if "{port}" not in self.path and "host" in path:  # of v11: one part of the path
            path["host"] = f"{str(path['host']).partition(';')[0]};port={path.get('port', 10000)}"
        url = self.url.format(**path)
        query: dict[str, Any] = {}
        for node in self.parameters("query"):
            if "example" in node:
                named_freely = node["schema"].get("type") == "object"
                query |= node["example"] if named_freely else {node["name"]: node["example"]}
        if query or not self.body():
            yield Request(f"{url}?{urlencode(query, doseq=True)}", self.method)
        for _, body in self.examples_sent():
            yield Request(url, self.method, body)

    def check_request(self, request: Request) -> None:
        """Its parameters and its body are among those described."""
        declared = {node["name"]: node["schema"] for node in self.parameters("query")}
        named_freely = [schema for schema in declared.values() if schema.get("type") == "object"]
        for name, texts in parse_qs(urlsplit(request.url).query, keep_blank_values=True).items():
            assert name in declared or named_freely
            if declared.get(name, {}).get("type") == "array":
                self.check(declared[name], texts)
        assert request.body or not self.body().get("required")
        if request.body:
            self.check(self.body()["content"][request.body.media_type]["schema"], request.body.value)

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

REFUSED_ALWAYS = "refuseListOfHosts"
"""The operation that answers no request; tango-rest-client expects that."""

each_file = pytest.mark.parametrize("file", DOCUMENTS)
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
each_operation_that_writes = pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.method != "get" and operation.file != "subscriptions"],
    ids=str,
)
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
    assert TEXTS[file].count(f"- url: {BASES[file]}") == 1


@each_file
def test_every_component_is_used(file: str) -> None:
    used = set(re.findall(r'\$ref: "#/components/(\w+/\w+)"', TEXTS[file]))
    components = {kind: found for kind, found in DOCUMENTS[file]["components"].items() if kind != "securitySchemes"}
    assert used == {f"{kind}/{name}" for kind, found in components.items() for name in found}


@each_file
def test_every_security_scheme_is_used(file: str) -> None:
    used = {name for requirement in DOCUMENTS[file]["security"] for name in requirement}
    assert used == set(DOCUMENTS[file]["components"]["securitySchemes"])


@each_operation
def test_operation_may_be_refused_to_a_client(operation: Operation) -> None:
    of_free = {"/whoami": {401, 429}, "/login": {403}, "/login/token": {403, 429}}
    refused = of_free.get(operation.path, {401, 403, 429})
    assert refused <= set(operation.replies())


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
    succeeding = [status for status in operation.replies() if status < 300]
    assert succeeding or operation.description["operationId"] == REFUSED_ALWAYS
    for status in succeeding:
        assert status == 204 or list(operation.examples(status))


@each_operation
def test_examples_fit_their_schemas(operation: Operation) -> None:
    for status in operation.replies():
        for schema, example in operation.examples(status):
            operation.check(schema, example)


@each_operation
def test_examples_of_request_bodies_fit_their_schemas(operation: Operation) -> None:
    for parameter in [*operation.parameters("path"), *operation.parameters("query")]:
        if "example" in parameter:
            operation.check(parameter["schema"], parameter["example"])
    for schema, body in operation.examples_sent():
        operation.check(schema, body.value)


# --- the files and the routes ---


CHOICE = re.compile(r"<any\(([^<>]+)\):([^<>]+)>")
"""What stands in a rule of Flask for one of several words: the words, and the name of the parameter."""


def each_choice(rule: str) -> list[str]:
    """The rules that one with a choice stands for."""
    found = CHOICE.search(rule)
    return [rule.replace(found[0], word) for word in found[1].split(",")] if found else [rule]


def as_described(rule: str) -> str:
    """A rule of Flask with its parameters in the braces of OpenAPI."""
    return re.sub(r"<(?:[^<>]*:)?([^<>]+)>", r"{\1}", rule)


def test_files_describe_the_routes_of_the_application(app: Flask) -> None:
    routes = {
        f"{method} {as_described(plain)}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith((API, SUBSCRIPTIONS)) and not rule.rule.startswith(f"{API}/v10")  # which answers as v11
        for plain in each_choice(rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {str(operation) for operation in OPERATIONS} == routes


# --- the files and the replies ---


def under(base: str, *rests: str) -> list[str]:
    """The base alone, if there are no rests."""
    return [base + rest for rest in rests or [""]]


HOST = f"{API}/rc3/hosts/{{tango_host}}"
DEVICE, MISSING = f"{HOST}/devices/sys/tg_test/1", f"{HOST}/devices/sys/tg_test/99"
TYPES = f"{HOST}/devices/demo/types/1"
ATTRIBUTES, COMMANDS, PROPERTIES = f"{DEVICE}/attributes", f"{DEVICE}/commands", f"{DEVICE}/properties"
DOUBLE = f"{ATTRIBUTES}/double_scalar"
LONG_NAME = "x" * 256

READ = [
    *under(API, "", "/"),
    *under(f"{API}/sys", "", "/", "/stats", "/devices", "/streams", "/config", "/whoami", "/login"),
    *under(f"{API}/sys", "/failures", "/failures?request=nope"),
    *under(f"{API}/sys", "/whoami?action=write&name=a&device=a/b/c"),
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
    *under(
        DOUBLE,
        "/change?state=INITIAL",
        "/periodic",
        "/user?state=initial&last=1",
        "/archive?state=INITIAL",
        "/alarm?state=INITIAL",
    ),
    *under(DOUBLE, "/change?last=e0123456789ab.7.1795245628914112.1795245628914001"),
    *under(DOUBLE, "/change?state=CONTINUATION&last=1", "/user?last=1&timeout=5000", "/archive?last=1&timeout=5000"),
    *under(ATTRIBUTES, "/State/periodic?last=1&timeout=999999999999999", "/short_image_ro/user?last=1"),
    *under(f"{TYPES}/attributes", "/quality_invalid/change?last=1", "/encoded_scalar/periodic?last=1"),
    *under(COMMANDS, "/State", "/DevVoid", "/DevVarLongStringArray", "/State/history"),
    *under(PROPERTIES, "/numbers", "/nope"),
]
IN_PART = [
    *under(HOST, "/devices?range=0-1", "/devices?wildcard=sys/*&range=1-99"),
    *under(DEVICE, "/attributes?range=0-1", "/commands?range=2-4"),
    *under(HOST, "/devices/demo/motor/1/properties?range=1-2"),
    *under(ATTRIBUTES, "/value?attr=State&attr=nope&range=1-2", "/info?attr=State&attr=nope&range=1-2"),
    *under(DEVICE, "/attributes/double_scalar/history?range=0-1", "/commands/State/history?range=0-1"),
]
FAILING = [
    *under(MISSING, "", "/state", "/attributes", "/commands", "/properties", "/properties/numbers", "/pipes"),
    *under(MISSING, "/attributes/value?attr=State", "/commands/State", "/commands/State/history"),
    *under(ATTRIBUTES, "/nope", "/nope/value", "/nope/info", "/nope/history", "/nope/properties"),
    *under(ATTRIBUTES, "/nope/properties/abs_change", "/no_value/value", "/throw_exception/value", "/wave/history"),
    *under(f"{MISSING}/attributes", "/State/change", "/State/periodic", "/State/user", "/State/archive"),
    *under(
        ATTRIBUTES,
        "/nope/change",
        "/nope/periodic",
        "/nope/user?state=INITIAL",
        "/nope/archive?timeout=0",
        "/nope/alarm",
    ),
    *under(ATTRIBUTES, "/throw_exception/change?state=INITIAL", "/throw_exception/periodic?last=1"),
    *under(ATTRIBUTES, "/ampli/change?timeout=0", "/ampli/user?timeout=1"),
    *under(ATTRIBUTES, "/ampli/archive?timeout=1&last=9999999999999"),
    *under(COMMANDS, "/nope", "/nope/history", "/DevString/history"),
]
BAD = [
    *under(f"{ATTRIBUTES}?range=", "", "1", "1-", "-1", "1-1", "2-1", "a-b", "1-2-3", "9999-10000"),
    *under(HOST, "/devices?range=1", "/devices?domain=[", "/devices?wildcard=", "/devices?wildcard=%27"),
    *under(HOST, f"/devices?member={LONG_NAME}", f"/devices/sys/tg_test/{LONG_NAME}", "/devices/sys/%25/1"),
    *under(ATTRIBUTES, "/a%00b", "/a%00b/value", "/value?attr=a%2Fb", "/info?attr=a%2Fb", "/value?range=1"),
    *under(DOUBLE, "/change?timeout=x", "/periodic?timeout=-1", "/user?timeout=1.5", "/archive?timeout="),
    *under(DOUBLE, "/change?last=-1", "/periodic?last=x", "/user?last=1000000000000000", "/archive?last=1&last=2"),
    *under(DOUBLE, "/change?state=x", "/periodic?state=", "/user?state=INITIAL&state=INITIAL"),
    *under(ATTRIBUTES, "/a%00b/change", "/a%00b/archive?state=INITIAL"),
    *under(DEVICE, "/commands/a%00b", "/commands?range=1", "/properties?range=1", "/pipes?range=1", "/pipes/a%00b"),
]
UNKNOWN = [
    *under(f"{API}/sys", "/cache/nope", "/active/nope", "/clean/nope"),
    *under(DOUBLE, "/properties/nope"),
]
PIPES = [
    *under(f"{DEVICE}/pipes", "/string_long_short_ro", "/nope"),
    *under(f"{TYPES}/pipes", "/blob"),
]


def put(base: str, *rests: str) -> list[Request]:
    return [Request(url, "put") for url in under(base, *rests)]


def put_or_post(base: str, *rests: str) -> list[Request]:
    return [Request(url, method) for url in under(base, *rests) for method in ("put", "post")]


def delete(base: str, *rests: str) -> list[Request]:
    return [Request(url, "delete") for url in under(base, *rests)]


def sent(requests: list[Request], *bodies: Body) -> list[Request]:
    return [dataclasses.replace(request, body=body) for request in requests for body in bodies]


def as_json(value: Any) -> Body:
    return Body("application/json", value)


def as_text(text: str) -> Body:
    return Body("text/plain", text)


def as_form(**texts: list[str]) -> Body:
    return Body("application/x-www-form-urlencoded", texts)


WRITABLE, ECHO, BLOB = f"{TYPES}/attributes", f"{TYPES}/commands/Echo", f"{TYPES}/pipes/blob"
LONG, LABELLED = f"{WRITABLE}/long_scalar", f"{WRITABLE}/enum_image"

WRITTEN = [
    *put(WRITABLE, "/boolean_scalar/value?v=yes", "/uchar_scalar/value?v=255", "/ulong64_scalar/value?v=1"),
    *put(WRITABLE, "/float_scalar/value?v=0.1", "/string_scalar/value?v=", "/state_scalar/value?v=moving"),
    *put(WRITABLE, "/enum_scalar/value?v=VERY%20HIGH", "/enum_scalar/value?v=1", "/long_scalar/value?v=1&async=no"),
    *put(WRITABLE, "/long_spectrum/value?v=1,2", "/long_spectrum/value?v=1&v=2", "/long_spectrum/value?v="),
    *put(WRITABLE, "/long_image/value?v=1,2&v=3,4", "/long_image/value?v=[[1,2],[3,4]]"),
    *put(ATTRIBUTES, "/ampli/value?v=2.5"),
    *sent(put(LONG, "/value"), as_json(2**31 - 1), as_json("5"), as_text("5"), as_form(v=["5"])),
    *sent(put(WRITABLE, "/string_scalar/value"), as_json("5 µm"), as_text("5 µm"), as_form(v=["5 µm"])),
    *sent(put(WRITABLE, "/string_spectrum/value"), as_json(["a,b", "c"]), as_text("a,b"), as_form(v=["a,b", "c"])),
    *sent(put(WRITABLE, "/double_spectrum/value"), as_json([]), as_json([1, 2.5]), as_text("1,2.5")),
    *sent(put(WRITABLE, "/double_image/value"), as_json([[1, 2.5], [3, 4]]), as_form(v=["1,2.5", "3,4"])),
    *sent(put(WRITABLE, "/boolean_image/value"), as_json([[True, False]])),
    *sent(put(WRITABLE, "/encoded_scalar/value"), as_json({"encoded_format": "BYTES", "encoded_data": "AAEC"})),
    *put(f"{WRITABLE}/value", "?long_scalar=7&LONG_SPECTRUM=1,2&nope=1&uchar_scalar=256&nan_scalar=1"),
    *put(f"{MISSING}/attributes/value", "?long_scalar=7&long_spectrum=1,2"),
    *sent(put(f"{WRITABLE}/value"), as_json({"long_image": [[1, 2]], "enum_scalar": "LOW", "boolean_scalar": False})),
    *sent(put(f"{WRITABLE}/value", "", "?short_scalar=2"), as_form(long_scalar=["1"], string_spectrum=["a", "b,c"])),
    *sent(put(DOUBLE, "/info"), as_json({}), as_json({"label": "Double", "data_type": "DevDouble"})),
    *sent(put(DOUBLE, "/info"), as_json({"min_value": -1000, "alarms": {"max_alarm": "1000"}, "max_alarm": "1000"})),
    *sent(put(DOUBLE, "/info"), as_json({"events": {"ch_event": {"abs_change": 2}, "arch_event": {"period": "5000"}}})),
    *sent(put(LABELLED, "/info"), as_json({"enum_label": ["NONE", "SOME", "ALL"]})),
    *put_or_post(f"{DOUBLE}/properties", "?calibrated_by=me&limits=1&limits=2", "/calibrated_by?value=me&value=you"),
    *sent(put_or_post(f"{DOUBLE}/properties"), as_json({"limits": [1, 2.5], "calibrated_by": "me"})),
    *sent(put_or_post(f"{DOUBLE}/properties", "?replace=true"), as_json([{"name": "abs_change", "values": ["1"]}])),
    *sent(put_or_post(f"{DOUBLE}/properties", "?more=1"), as_form(limits=["1", "2"])),
    *sent(put_or_post(f"{DOUBLE}/properties/limits"), as_json([1, "2"]), as_json("1"), as_json({"limits": 1})),
    *sent(put_or_post(f"{DOUBLE}/properties/limits"), as_text("1, 2"), as_form(value=["1", "2"])),
    *put_or_post(f"{TYPES}/properties", "?calibrated_by=me&limits=1&limits=2", "/calibrated_by?value=me&value=you"),
    *sent(put_or_post(f"{TYPES}/properties"), as_json({"limits": [1, 2.5], "calibrated_by": "me"})),
    *sent(put_or_post(f"{TYPES}/properties", "?replace"), as_json([{"name": "calibrated_by", "values": ["me"]}])),
    *sent(put_or_post(f"{TYPES}/properties", "?more=1"), as_form(limits=["1", "2"])),
    *sent(put_or_post(f"{TYPES}/properties/limits"), as_json([1, "2"]), as_json("1"), as_json({"values": [1]})),
    *sent(put_or_post(f"{TYPES}/properties/limits"), as_text("1, 2"), as_form(value=["1", "2"])),
    *put(COMMANDS, "/DevVoid", "/STATE", "/Status"),
    *sent(put(COMMANDS, "/DevVoid"), as_json(1.5), as_text("anything")),
    *sent(put(f"{ECHO}DevBoolean"), as_json(True), as_text("off")),
    *sent(put(f"{ECHO}DevLong"), as_json(5), as_json("5"), as_text("5")),
    *sent(put(f"{ECHO}DevULong64"), as_json(2**64 - 1)),
    *sent(put(f"{ECHO}DevDouble"), as_json(1.5), as_json("NaN"), as_text("-Infinity")),
    *sent(put(f"{ECHO}DevString"), as_json("Hi!"), as_text("Hello World!!!"), as_text("")),
    *sent(put(f"{ECHO}DevState"), as_json("MOVING"), as_text("moving")),
    *sent(put(f"{ECHO}DevEncoded"), as_json({"encoded_format": "BYTES", "encoded_data": "AAEC"})),
    *sent(put(f"{ECHO}DevVarCharArray"), as_json([0, 255]), as_text("0,255")),
    *sent(put(f"{ECHO}DevVarStringArray"), as_json(["a,b", ""]), as_text('"a,b",c')),
    *sent(put(f"{ECHO}DevVarLongStringArray"), as_json({"lvalue": [1], "svalue": ["a"]}), as_json([[1], ["a"]])),
    *sent(put(f"{ECHO}DevVarDoubleStringArray"), as_json({"dvalue": [1.5, "NaN"], "svalue": ["a", ""]})),
]
DELETED = [
    *delete(f"{DOUBLE}/properties", "/limits", "/limits"),
    *delete(f"{TYPES}/properties", "/limits", "/limits"),
]
LATER = [
    *put(WRITABLE, "/long_scalar/value?v=11&async=true", "/value?long_scalar=12&async"),
    *sent(put(WRITABLE, "/long_spectrum/value?async=1"), as_json([1, 2])),
    *sent(put(DOUBLE, "/info?async=true"), as_json({"label": "Double"})),
    *put_or_post(f"{DOUBLE}/properties", "?calibrated_by=me&async", "/calibrated_by?value=me&async=true"),
    *put_or_post(f"{TYPES}/properties", "?calibrated_by=me&async", "/calibrated_by?value=me&async=true"),
    *put(COMMANDS, "/DevVoid?async=true"),
    *sent(put(ECHO, "DevLong?async"), as_json(5)),
]
FAILING_TO_WRITE = [
    *put(WRITABLE, "/nope/value?v=1", "/nope/value?v=1&async", "/nan_scalar/value?v=1", "/limited_scalar/value?v=200"),
    *put(f"{MISSING}/attributes", "/long_scalar/value?v=1", "/value?long_scalar=1&async"),
    *sent(put(WRITABLE, "/nope/info", "/nope/info?async"), as_json({"label": "Nope"})),
    *sent(put(LONG, "/info"), as_json({"min_value": "low"})),
    *put_or_post(f"{WRITABLE}/nope/properties", "?calibrated_by=me", "/calibrated_by?value=me"),
    *put_or_post(f"{MISSING}/properties", "?calibrated_by=me", "/calibrated_by?value=me"),
    *delete(f"{WRITABLE}/nope/properties", "/calibrated_by"),
    *delete(f"{MISSING}/properties", "/calibrated_by"),
    *put(COMMANDS, "/nope", "/nope?async", "/CrashFromOmniThread"),
]
REFUSED = [
    *put(LONG, "/value", "/value?v=abc", "/value?v=2147483648", "/value?v=1.5&async", "/value?v=1&v=2"),
    *sent(put(LONG, "/value"), as_json(None), as_json([1]), as_text(" "), as_form(v=["x"])),
    *sent(put(WRITABLE, "/string_scalar/value"), as_text("€")),
    *sent(put(WRITABLE, "/long_image/value"), as_json([1, 2]), as_json([[1], [2, 3]])),
    *put(WRITABLE, "/a%00b/value?v=1", "/value", "/value?async", "/value?a%2Fb=1", "/value?long_scalar=x&async"),
    *sent(put(WRITABLE, "/value"), as_json([1]), as_text("long_scalar")),
    *put(LONG, "/info"),
    *sent(put(LONG, "/info", "/info?async"), as_text('{"label":'), as_json(["label"])),
    *sent(put(LONG, "/info"), as_json({"name": "x"}), as_json({"label": None}), as_json({"nope": 1})),
    *sent(put(LONG, "/info"), as_json({"alarms": {"min_alarm": "1"}, "min_alarm": "2"})),
    *put_or_post(f"{DOUBLE}/properties", "", "?replace=true", "/calibrated_by", "/calibrated_by?async"),
    *put_or_post(f"{TYPES}/properties", "", "?replace=true", "/calibrated_by", "/calibrated_by?async"),
    *sent(put_or_post(f"{TYPES}/properties"), as_json({}), as_json([1]), as_json({"limits": []}), as_text("limits")),
    *sent(put_or_post(f"{TYPES}/properties/limits"), as_json([]), as_json([None]), as_json({"values": True})),
    *delete(f"{DOUBLE}/properties", f"/{LONG_NAME}"),
    *delete(f"{TYPES}/properties", f"/{LONG_NAME}"),
    *put(ECHO, "DevLong", "DevLong?async"),
    *sent(put(f"{ECHO}DevLong"), as_json(1.5), as_json([1]), as_text("five")),
    *sent(put(f"{ECHO}DevVarLongStringArray"), as_json([1]), as_text("1")),
]
BLOB_OF_ALL = {
    "name": "of all",
    "data": [
        {"name": "long", "type": "DevLong", "value": [5]},
        {"name": "text", "type": "DevString", "value": ["here"]},
        {"name": "state", "type": "DevState", "value": ["MOVING"]},
        {"name": "encoded", "type": "DevEncoded", "value": [{"encoded_format": "BYTES", "encoded_data": "AAEC"}]},
        {"name": "doubles", "type": "DevVarDoubleArray", "value": [1.5, "NaN"]},
        {"name": "texts", "type": "DevVarStringArray", "value": ["a", ""]},
        {
            "name": "nested",
            "type": "DevPipeBlob",
            "value": [{"name": "inner", "data": [{"name": "flags", "type": "DevVarBooleanArray", "value": [True]}]}],
        },
    ],
}
PIPES_WRITTEN = sent(put(BLOB), as_json(BLOB_OF_ALL))
PIPES_LATER = sent(put(BLOB, "?async"), as_json(BLOB_OF_ALL))
PIPES_FAILING = sent(put(f"{DEVICE}/pipes", "/string_long_short_ro", "/nope"), as_json(BLOB_OF_ALL))
PIPES_REFUSED = [
    *put(BLOB),
    *sent(put(BLOB), as_json({}), as_json([]), as_json({"data": [{"name": "long", "value": [5]}]})),
    *sent(put(BLOB), as_json({"data": [{"name": "long", "type": "DevLong", "value": ["x"]}]})),
]


V11 = f"{API}/v11"
V11_HOST = f"{V11}/hosts/{{matrix_host}}"
V11_DEVICE, V11_MISSING = f"{V11_HOST}/devices/sys/tg_test/1", f"{V11_HOST}/devices/sys/tg_test/99"
V11_TYPES = f"{V11_HOST}/devices/demo/types/1"
V11_DOUBLE, V11_LONG = f"{V11_DEVICE}/attributes/double_scalar", f"{V11_TYPES}/attributes/long_scalar"
V11_BLOB, V11_ECHO = f"{V11_TYPES}/pipes/blob", f"{V11_TYPES}/commands/EchoDevLong"
EXAMPLE_HOST = "localhost:10000"
WILDCARD = f"?wildcard={EXAMPLE_HOST}/sys/tg_test/1"
PROPERTIES_OF_V11 = [f"{V11_DOUBLE}/properties", f"{V11_TYPES}/properties"]
OF_MANY = [("attributes", "value", 5), ("attributes/value", "value", 5), ("commands", "input", 5)]


def of_many(name: str, key: str, value: Any) -> Body:
    """One change of the device of all types."""
    return as_json([{"host": EXAMPLE_HOST, "device": "demo/types/1", "name": name, key: value}])


V11_READ = [
    *under(V11, "", "/", "/devices/tree", "/devices/tree?host=localhost:10000&host=elsewhere&wildcard=sys/*/*"),
    *under(V11_HOST, "", "/devices", "/devices?wildcard=sys/*&wildcard=x/*", "/devices/tree"),
    *under(V11_HOST, "/devices/sys", "/devices/sys/tg_test", "/devices/nope"),
    *under(V11_DEVICE, "", "/state", "/attributes", "/commands", "/properties", "/pipes"),
    *under(V11_MISSING, "/state"),
    *under(f"{V11_DEVICE}/attributes", "/double_scalar", "/State", "/wave", "/wave/properties", "/info?attr=wave"),
    *under(f"{V11_DEVICE}/attributes", "/State/value", "/wave/value", "/short_image_ro/value", "/enum_scalar/value"),
    *under(f"{V11_DEVICE}/attributes", "/value", "/value?attr=wave&attr=no_value&attr=nope"),
    *under(f"{V11_TYPES}/attributes", "/encoded_scalar/value", "/nonfinite_image/value", "/quality_invalid/value"),
    *under(V11_DOUBLE, "/info", "/history", "/properties/abs_change"),
    *under(V11_DOUBLE, "/change?last=1", "/periodic?last=1", "/archive?last=1", "/user?last=1"),
    *under(f"{V11_DEVICE}/commands", "/State", "/DevVarLongStringArray", "/State/history"),
    *under(f"{V11_DEVICE}/properties", "/numbers", "/nope"),
    *under(f"{V11}/attributes", f"{WILDCARD}/*", f"/value{WILDCARD}/WAVE"),
    f"{V11}/attributes/value?wildcard={EXAMPLE_HOST}/demo/types/1/*",
    *under(V11, f"/commands{WILDCARD}/*", f"/pipes{WILDCARD}/*", f"/pipes/value{WILDCARD}/*"),
]
V11_IN_PART = [
    *under(V11_HOST, "/devices?range=0-1"),
    *under(V11_DEVICE, "/attributes?range=0-1", "/attributes/value?attr=State&attr=nope&range=1-2"),
    *under(V11_DEVICE, "/commands?range=2-4", "/attributes/info?attr=State&range=0-1"),
    *under(V11, f"/attributes{WILDCARD}/*&range=0-2"),
]
V11_WRITTEN = [
    *put(V11_LONG, "/value?v=5"),
    *sent(put(V11_LONG, "/value?v=5", "/value?v=6"), as_json({})),
    *sent(put(V11_LONG, "/value"), as_json(7), as_text("7")),
    *put(f"{V11_TYPES}/attributes/value", "?long_scalar=7&nope=1"),
    *sent(put(f"{V11_TYPES}/attributes/value"), as_json({"long_scalar": 1})),
    *sent(put(V11_DOUBLE, "/info"), as_json({"label": "Double"})),
    *(request for base in PROPERTIES_OF_V11 for request in put_or_post(base, "?limits=1,2&calibrated_by=me")),
    *(request for base in PROPERTIES_OF_V11 for request in sent(put_or_post(base), as_json({"limits": ["1"]}))),
    *(request for base in PROPERTIES_OF_V11 for request in put_or_post(f"{base}/limits", "?value=1&value=2")),
    *put(V11_DEVICE, "/commands/DevVoid"),
    *sent(put(V11_DEVICE, "/commands/DevVoid"), as_json({})),
    *sent(put(V11_ECHO), as_json(5), as_json({"host": "x", "device": "y", "name": "z", "input": 5})),
    *(
        request
        for path, key, value in OF_MANY
        for name in (("EchoDevLong", "nope") if key == "input" else ("long_scalar", "nope"))
        for request in sent(put(f"{V11}/{path}"), of_many(name, key, value))
    ),
    *sent(put(V11, "/pipes/value"), of_many("nope", "data", [])),
]
V11_DELETED = [request for base in PROPERTIES_OF_V11 for request in delete(base, "/limits")]
V11_LATER = [
    *put(V11_LONG, "/value?v=5&async=true"),
    *put(f"{V11_TYPES}/attributes/value", "?long_scalar=7&async"),
    *sent(put(V11_DOUBLE, "/info?async=true"), as_json({"label": "Double"})),
    *(request for base in PROPERTIES_OF_V11 for request in put_or_post(base, "?limits=1&async")),
    *(request for base in PROPERTIES_OF_V11 for request in put_or_post(f"{base}/limits", "?value=1&async")),
    *sent(put(f"{V11_ECHO}?async"), as_json(5)),
    *(
        request
        for path, key, value in OF_MANY
        for name in ("EchoDevLong" if key == "input" else "long_scalar",)
        for request in sent(put(f"{V11}/{path}?async"), of_many(name, key, value))
    ),
]
V11_REFUSED = [
    *under(V11, "/hosts", "/attributes", "/attributes/value", "/commands", "/pipes", "/pipes/value"),
    *under(f"{V11}/hosts/host;ports=1", "", "/devices"),
    *under(f"{V11_DEVICE}/attributes", "/throw_exception/value", "/a%00b"),
    *put(V11_LONG, "/value", "/value?v=abc", "/value?v=1&v=2"),
    *put(f"{V11_TYPES}/attributes", "/value", "/long_scalar/info"),
    *(request for base in PROPERTIES_OF_V11 for request in put_or_post(base, "", "/limits")),
    *(request for base in PROPERTIES_OF_V11 for request in delete(base, f"/{LONG_NAME}")),
    *sent(put(V11_ECHO), as_json({"input": "x"}), as_text("five")),
    *sent(put(V11, "/attributes", "/attributes/value", "/commands", "/pipes/value"), as_json({}), as_json([1])),
]
V11_MISSED = [
    *under(V11_MISSING, "", "/attributes", "/commands", "/properties", "/attributes/value?attr=State"),
    *under(f"{V11_DEVICE}/attributes", "/nope", "/nope/value", "/nope/info", "/nope/history", "/nope/properties"),
    *under(V11_DOUBLE, "/properties/nope"),
    *under(f"{V11_DEVICE}/commands", "/nope", "/nope/history"),
    *put(f"{V11_DEVICE}/commands", "/nope"),
]
V11_NO_PART = under(f"{V11_DEVICE}/attributes?range=", "", "1", "5-5", "9999-10000", "a-b")
V11_PIPES = [V11_BLOB, f"{V11_BLOB}/value", *sent(put(f"{V11_BLOB}/value"), as_json(BLOB_OF_ALL["data"]))]


TARGET = {"host": EXAMPLE_HOST, "device": "sys/tg_test/1", "attribute": "double_scalar", "type": "change"}
UNKNOWN_SUBSCRIPTION = f"{SUBSCRIPTIONS}/7"
SUBSCRIBED = [
    Request(SUBSCRIPTIONS, "post", body)
    for body in (None, as_json([]), as_json([TARGET, {**TARGET, "type": "nope"}, {**TARGET, "host": "elsewhere:1"}]))
]
NOT_SUBSCRIBED = [Request(SUBSCRIPTIONS, "post", body) for body in (as_json(5), as_json([5]), as_text("x"))]
NO_SUBSCRIPTION = [
    *under(UNKNOWN_SUBSCRIPTION, "", "/event-stream"),
    Request(UNKNOWN_SUBSCRIPTION, "put", as_json([TARGET])),
    *delete(UNKNOWN_SUBSCRIPTION, ""),
]


def expected(status: int, requests: Sequence[Request | str]) -> list[tuple[int, Request]]:
    """A URL alone is read."""
    return [(status, Request(request) if isinstance(request, str) else request) for request in requests]


def with_pipes(status: int) -> int:
    return status if HAS_PIPES else 501


TABLE = [
    *expected(200, READ),
    *expected(204, under(f"{API}/sys", "/clean/devices", "/clean/attributes")),
    *expected(206, IN_PART),
    *expected(200, FAILING),
    *expected(200, [f"{ATTRIBUTES}/State/history"]),  # PyTango cannot decode what Tango keeps of it
    *expected(400, BAD),
    *expected(404, UNKNOWN),
    *expected(404, [Request(f"{API}/sys/login/token", "post", as_json({"refresh_token": "x"}))]),
    *expected(with_pipes(200), PIPES),
    *expected(200, WRITTEN),
    *expected(204, [*DELETED, *LATER]),
    *expected(200, FAILING_TO_WRITE),
    *expected(400, REFUSED),
    *expected(with_pipes(200), [*PIPES_WRITTEN, *PIPES_FAILING]),
    *expected(with_pipes(204), PIPES_LATER),
    *expected(with_pipes(400), PIPES_REFUSED),
    *expected(200, [*V11_READ, *V11_WRITTEN]),
    *expected(206, V11_IN_PART),
    *expected(204, [*V11_DELETED, *V11_LATER]),
    *expected(400, V11_REFUSED),
    *expected(404, V11_MISSED),
    *expected(416, V11_NO_PART),
    *expected(200, SUBSCRIBED),
    *expected(400, NOT_SUBSCRIBED),
    *expected(404, NO_SUBSCRIPTION),
    *expected(with_pipes(200), V11_PIPES),
    *expected(with_pipes(204), sent(put(f"{V11_BLOB}/value?async"), as_json(BLOB_OF_ALL["data"]))),
    *expected(with_pipes(400), sent(put(f"{V11_BLOB}/value"), as_json([{"name": "x"}]))),
    *expected(
        with_pipes(204), sent(put(f"{V11}/pipes/value?async"), of_many("blob", "data", [{**BLOB_OF_ALL["data"][0]}]))
    ),
]
"""The status that each request is answered with."""

LARGE = "/short_image_ro/value"
"""The end of URLs whose values, of 63,001 numbers, take seconds to check. Other images are small."""

FAILED = [*map(Request, FAILING), *FAILING_TO_WRITE]
"""Those that Tango refuses, with status 200."""

OTHER_SETTINGS: dict[str, dict[str, Any]] = {
    "implementation": {"rc3_mode": "implementation"},
    "http": {"rc3_errors": "http"},
    "seconds": {"rc3_timestamps": "s"},
}


def find_operation(app: Flask, request: Request) -> Operation:
    """The operation that a request means."""
    url = request.url.replace("{tango_host}", "host/1").replace("{matrix_host}", "host;port=1")
    path, method = unquote(urlsplit(url).path), request.method.upper()
    rule, arguments = app.url_map.bind("").match(path, method, return_rule=True)
    plain = CHOICE.sub(lambda choice: arguments[choice[2]], rule.rule)
    return next(found for found in OPERATIONS if str(found) == f"{method} {as_described(plain)}")


def ask(client: TestApp, request: Request, **headers: str) -> TestResponse:
    host = os.environ["TANGO_HOST"]
    url = request.url.replace("{tango_host}", host.replace(":", "/")).replace(
        "{matrix_host}", host.replace(":", ";port=")
    )
    for spelled in (EXAMPLE_HOST, quote(EXAMPLE_HOST)):  # of v11, in queries and in bodies
        url = url.replace(spelled, host)
    body: dict[str, Any] = {}
    if request.body:
        content = request.body.encoded().replace(EXAMPLE_HOST.encode(), host.encode())
        body = {"body": content, "content_type": request.body.media_type}
    return client.request(url, method=request.method.upper(), headers=headers, expect_errors=True, **body)


def ask_and_wait(client: TestApp, request: Request) -> TestResponse:
    """Also until that is done which the answer has not waited for."""
    before = show_background(client)
    reply = ask(client, request)
    if reply.status_int == 204 and request.method in ("put", "post"):
        wait_until(lambda: show_background(client) == {**before, "done": before["done"] + 1})
    return reply


def show_background(client: TestApp) -> dict[str, int]:
    return client.get(f"{API}/sys/stats").json["async"]


def clean(client: TestApp) -> None:
    """It listens to nothing any more."""
    assert ask(client, Request(f"{API}/sys/clean/devices")).status_int == 204


@pytest.fixture(scope="module")
def client(client: TestApp) -> Iterator[TestApp]:
    yield client
    clean(client)


CHANGED = [f"{DOUBLE}/info", f"{LABELLED}/info", f"{DOUBLE}/properties", PROPERTIES, f"{TYPES}/properties"]
"""What is written and has to be put back. Values are not: Init takes them away."""


@pytest.fixture(scope="module")
def restored(client: TestApp) -> Iterator[None]:
    """Afterwards the demo is as it was."""
    kept = {url: ask(client, Request(url)).json for url in CHANGED}
    yield
    for url, before in kept.items():
        ask(client, Request(f"{url}?replace=true", "put", as_json(before)))
    assert {url: ask(client, Request(url)).json for url in CHANGED} == kept
    for device in (DEVICE, TYPES):
        assert ask(client, Request(f"{device}/commands/Init", "put")).json == {"name": "Init"}


@pytest.fixture(scope="module")
def polled(client: TestApp) -> None:
    """Waits until each history has more than one item: of one there is no part."""
    until = time.monotonic() + 10
    for url in under(DEVICE, "/attributes/double_scalar/history", "/commands/State/history"):
        while not isinstance(items := ask(client, Request(url)).json, list) or len(items) < 2:
            assert time.monotonic() < until, items
            time.sleep(0.1)


@pytest.fixture(scope="module", params=OTHER_SETTINGS)
def other_client(request: pytest.FixtureRequest, polled: None) -> Iterator[TestApp]:
    client = TestApp(create_app(Config(**OTHER_SETTINGS[request.param])))
    yield client
    clean(client)


def test_table_has_every_operation(app: Flask) -> None:
    assert {find_operation(app, request) for _, request in TABLE} == set(OPERATIONS)


@pytest.mark.skipif(not HAS_PIPES, reason="this PyTango has no pipes to write")
@each_operation_that_writes
def test_table_has_success_failure_and_refusal(app: Flask, operation: Operation) -> None:
    if operation.path == "/login/token":
        pytest.skip("needs a provider: tests/browser/test_login.py")
    found = {status for status, request in TABLE if find_operation(app, request) == operation}
    assert found >= {200, 204, 400} & set(operation.replies())


@pytest.mark.parametrize("request_", [*WRITTEN, *DELETED, *LATER, *PIPES_WRITTEN, *PIPES_LATER], ids=str)
def test_request_is_as_described(app: Flask, request_: Request) -> None:
    find_operation(app, request_).check_request(request_)


@pytest.mark.usefixtures("polled", "restored")
@pytest.mark.parametrize(
    ("status", "request_"),
    sampled(TABLE, 3, several=True, is_slow=lambda case: case[1].url.endswith(LARGE)),
    ids=str,
)
def test_reply_is_as_described(client: TestApp, app: Flask, status: int, request_: Request) -> None:
    reply = ask_and_wait(client, request_)
    assert reply.status_int == status
    find_operation(app, request_).check_reply(reply)


@pytest.mark.usefixtures("polled", "restored")
@pytest.mark.parametrize("request_", sampled([*map(Request, READ), *WRITTEN, *FAILED], 4), ids=str)
def test_only_requests_that_tango_refuses_are_failures(client: TestApp, request_: Request) -> None:
    reply = ask(client, request_).json
    assert (isinstance(reply, dict) and reply.get("quality") == "FAILURE") == (request_ in FAILED)


@pytest.mark.slow
@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("request_", [request for _, request in TABLE], ids=str)
def test_reply_with_other_settings_is_as_described(other_client: TestApp, app: Flask, request_: Request) -> None:
    find_operation(app, request_).check_reply(ask_and_wait(other_client, request_))


def test_life_of_subscription_is_as_described(client: TestApp, app: Flask) -> None:
    made = ask(client, SUBSCRIBED[-1]).json
    assert (len(made["events"]), len(made["failures"])) == (1, 2)
    url = f"{SUBSCRIPTIONS}/{made['id']}"
    for status, request in [
        (200, Request(url)),
        (200, Request(url, "put", as_json([TARGET, {**TARGET, "type": "nope"}]))),
        (400, Request(url, "put", as_json([{**TARGET, "type": "nope"}]))),
        (200, Request(url, "delete", as_json([TARGET]))),
        (400, Request(url, "delete", as_json(5))),
        (204, Request(url, "delete")),
        (404, Request(url)),
    ]:
        reply = ask(client, request)
        assert reply.status_int == status
        find_operation(app, request).check_reply(reply)


@pytest.mark.parametrize("accept", ["image/png", "image/jpeg"])
@pytest.mark.parametrize("attribute", ["short_image_ro", "double_scalar"])
@pytest.mark.parametrize("rest", ["value", "change?last=1", "periodic?last=1", "user?last=1", "archive?state=INITIAL"])
def test_picture_is_as_described(client: TestApp, app: Flask, attribute: str, rest: str, accept: str) -> None:
    request = Request(f"{ATTRIBUTES}/{attribute}/{rest}")
    reply = ask(client, request, Accept=accept)
    drawn = attribute == "short_image_ro" and importlib.util.find_spec("PIL") is not None
    assert (reply.status_int, reply.content_type) == ((200, accept) if drawn else (406, "application/json"))
    find_operation(app, request).check_reply(reply)


@pytest.mark.parametrize("accept", ["application/octet-stream", "application/x-npy", "text/csv", "image/tiff"])
@pytest.mark.parametrize("attribute", ["ushort_image_ro", "double_scalar", "string_scalar"])
@pytest.mark.parametrize("base", [ATTRIBUTES, f"{V11_DEVICE}/attributes"])
def test_value_in_other_media_type_is_as_described(
    client: TestApp, app: Flask, base: str, attribute: str, accept: str
) -> None:
    request = Request(f"{base}/{attribute}/value")
    reply = ask(client, request, Accept=accept)
    assert (reply.status_int, reply.content_type) in [
        (200, accept),
        *((each, "application/json") for each in (400, 406)),
    ]
    find_operation(app, request).check_reply(reply)


@pytest.mark.parametrize("base", [f"{DEVICE}/attributes", f"{V11_DEVICE}/attributes"])
def test_history_in_csv_is_as_described(client: TestApp, app: Flask, base: str, polled: None) -> None:
    for query in ("", "?range=0-1"):
        request = Request(f"{base}/double_scalar/history{query}")
        reply = ask(client, request, Accept="text/csv")
        assert reply.content_type == "text/csv"
        find_operation(app, request).check_reply(reply)


OTHER_STATUSES = {
    REFUSED_ALWAYS: 400,
    **dict.fromkeys(("showSubscription", "extendSubscription", "deleteSubscription", "streamEvents"), 404),
    "exchangeCode": 404,  # without a provider
    "readCommandHistory": 400,  # the command of the examples is not polled
    **({} if HAS_PIPES else dict.fromkeys(("listPipes", "listPipesOfMany", "readPipesOfMany"), 416)),  # of no items
}
"""The statuses of v11 where the examples cannot succeed."""

WRITABLE_PIPE = {"domain": "demo", "family": "types", "pipe": "blob"}
"""The device of the examples has none."""


@pytest.fixture
def calibrated(client: TestApp) -> None:
    """The property of the examples is there."""
    for url in (DOUBLE, DEVICE):
        assert ask(client, Request(f"{url}/properties/calibrated_by?value=me", "put")).status_int == 200


@pytest.mark.usefixtures("restored", "calibrated")
@each_operation
def test_examples_can_be_used(client: TestApp, operation: Operation, tango_system: EmbeddedTango) -> None:
    elsewhere = WRITABLE_PIPE if operation.description["operationId"] == "writePipe" else {}
    port = tango_system.tango_host.rpartition(":")[2]  # what writes has to name TANGO_HOST
    for request in operation.example_requests(**elsewhere, port=port):
        reply = ask(client, request)
        assert reply.status_int in (200, 204, 206, 501, OTHER_STATUSES.get(operation.description["operationId"]))
        operation.check_reply(reply)
        if operation.method != "get" and reply.status_int == 200 and isinstance(reply.json, dict):
            assert "errors" not in reply.json


@each_operation_of_a_host
def test_port_that_is_none_is_refused_as_described(client: TestApp, operation: Operation) -> None:
    reply = ask(client, next(operation.example_requests(port="x")))
    assert reply.status_int == 400
    operation.check_reply(reply)


@pytest.fixture(scope="module")
def client_of_no_database(app: Flask) -> TestApp:
    """Of a gateway that serves one more Tango host, where nothing runs."""
    return TestApp(create_app(Config(tango_hosts=("127.0.0.1:1",), rc3_errors="http")))


@each_operation_of_a_host
def test_host_that_is_not_served_is_refused_as_described(client_of_no_database: TestApp, operation: Operation) -> None:
    reply = ask(client_of_no_database, next(operation.example_requests(host="elsewhere")))
    assert reply.status_int == 404
    operation.check_reply(reply)


STATUSES_WITHOUT_DATABASE = {
    "showTreeOfHost": 200,  # of a host that is not alive
    "showState": 200,  # UNKNOWN
    **dict.fromkeys(("listAttributes", "listCommands", "listPipes"), 400),  # which tango-rest-client can read
}
"""Of operations of v11, where others answer 501 or 503."""


@each_operation_of_a_host
def test_database_out_of_reach_is_as_described(client_of_no_database: TestApp, operation: Operation) -> None:
    reply = ask(client_of_no_database, next(operation.example_requests(host="127.0.0.1", port=1)))
    operation.check_reply(reply)
    if operation.file == "v11" and operation.description["operationId"] in STATUSES_WITHOUT_DATABASE:
        assert reply.status_int == STATUSES_WITHOUT_DATABASE[operation.description["operationId"]]
        return
    each_failed = reply.status_int == 200 and {item["quality"] for item in reply.json} == {"FAILURE"}
    assert each_failed if operation.description["operationId"] == "writeValues" else reply.status_int in (501, 503)


@pytest.mark.parametrize(("rc3_errors", "status"), [("tango", 200), ("http", 503)])
def test_unusable_tango_host_is_as_described(
    app: Flask, monkeypatch: pytest.MonkeyPatch, rc3_errors: str, status: int
) -> None:
    monkeypatch.setenv("TANGO_HOST", "nonsense")
    request = Request(f"{API}/rc3/hosts")
    reply = ask(TestApp(create_app(Config(rc3_errors=rc3_errors))), request)
    assert (reply.status_int, reply.json["quality"]) == (status, "FAILURE")
    find_operation(app, request).check_reply(reply)


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
    written, address = ("/tango", base.removesuffix("/rest")) if file == "subscriptions" else (API, base)
    assert reply.text == TEXTS[file].replace(f"- url: {written}", f"- url: {address}")
    assert load(reply.text)["servers"] == [{"url": BASES[file].replace(written, address, 1)}]
