"""Requests made up from the Swagger files against a real gunicorn: whatever it answers, they say so.

Half of them are such as the files describe, half are not. `make fuzz` makes more, and other ones each time.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import EXAMPLES

from .conftest import Gateway, served

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis needs Python 3.11")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
requests = pytest.importorskip("requests")  # which schemathesis needs

Names: TypeAlias = dict[str, list[Any]]

SWAGGER = Path(__file__).parents[2] / "swagger"

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast

SETTINGS = settings(max_examples=EXAMPLES or 25, suppress_health_check=list(HealthCheck))

# Devices of their own, as much of them will be changed. Neither an admin device, whose commands end servers, nor the
# database.
SERVER = (
    "import sys; from tango.server import run; from mtango_gevent.demo.every_type import Types;"
    "from mtango_gevent.demo.tango_test import TangoTest; run((TangoTest, Types), ['Fuzzed', *sys.argv[1:]])"
)
DEVICES = {"fuzz/tg_test/1": "TangoTest", "fuzz/types/1": "Types"}
NEVER = re.compile("dserver|crash|database", re.IGNORECASE)

ACCEPT = [
    *("*/*", "image/png", "image/jpeg, application/json;q=0.5", "image/tiff, text/csv;q=0.1"),
    *("application/octet-stream", "application/x-npy, */*;q=0.1", "text/csv"),
]

# What one attribute or another takes.
VALUES = st.sampled_from(
    [
        0,
        1,
        -1,
        255,
        0.5,
        1e300,
        "NaN",
        True,
        "x",
        "",
        "ON",
        None,
        [],
        [1, 2],
        [0.5],
        ["a", "b"],
        [[1, 2], [3, 4]],
        [["a"]],
    ]
)

pytestmark = pytest.mark.slow

# 500 is described nowhere.
CHECKS = [checks.status_code_conformance, checks.content_type_conformance, checks.response_headers_conformance]


def read_operations() -> Iterator[Any]:
    for name in ("main", "rc3", "v11", "subscriptions", "sys"):
        document = yaml.load((SWAGGER / f"{name}.yml").read_text("utf-8"), Loader=LOADER)
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = found.ok()
            if operation.path.endswith("/event-stream"):  # which does not end
                continue
            yield pytest.param(operation, id=f"{name} {operation.label}")


@pytest.fixture(scope="session")
def fuzzed_devices(tango_system: EmbeddedTango) -> None:
    tango_system.add_server([sys.executable, "-c", SERVER, "test"], "Fuzzed/test", DEVICES)


@pytest.fixture(scope="module")
def fuzzed(fuzzed_devices: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    with served(command, tmp_path_factory.mktemp("schema") / "log", MTANGO_ASYNC_LIMIT="100000") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def devices(fuzzed: Gateway, host_path: str) -> dict[str, Names]:
    """What there is, by the name of the device and the parameter that it is for."""
    found, port = {}, int(host_path.rpartition("/")[2])
    subscriptions = f"{fuzzed.base.removesuffix('/rest')}/subscriptions"
    made = [requests.post(subscriptions, json=[], timeout=30).json()["id"] for _ in range(20)]
    for device in DEVICES:
        url = f"{host_path}/devices/{device}"
        listed = {kind: fuzzed.get(f"{url}/{kind}s") for kind in ("attribute", "command", "pipe")}
        names = {kind: [item["name"] for item in items] or ["none"] for kind, items in listed.items()}
        parts = dict(zip(("domain", "family", "member"), ([part] for part in device.split("/")), strict=True))
        others = {"host": ["localhost"], "port": [port], "property_name": ["p"], "cache": ["devices", "attributes"]}
        target = {"host": f"localhost:{port}", "device": device, "type": "change"}
        targets = [{**target, "attribute": name} for name in names["attribute"]]
        found[device] = {**names, **parts, **others, "subscription": made, "target": targets}
    return found


def may_be_asked(segment: Any) -> bool:
    """Clients make something else of some parts of a path."""
    return str(segment) not in ("", ".", "..") and "/" not in str(segment) and not NEVER.search(str(segment))


@st.composite
def aimed(draw: st.DrawFn, operation: schemathesis.APIOperation, devices: dict[str, Names]) -> schemathesis.Case:
    """A request, most likely about a device, an attribute, a command that there is."""
    case = draw(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)))
    known = devices[draw(st.sampled_from(sorted(devices)))]
    for name, segment in (case.path_parameters or {}).items():
        if draw(st.integers(0, 9)) or not may_be_asked(segment):
            case.path_parameters[name] = draw(st.sampled_from(known[name]))
    if "host" in (case.path_parameters or {}) and "port" not in case.path_parameters and draw(st.integers(0, 9)):
        case.path_parameters["host"] = f"localhost;port={known['port'][0]}"  # of v11: one part of the path
    likely = {
        "attr": st.lists(st.sampled_from(known["attribute"]), max_size=5),
        "range": st.sampled_from(["0-1", "1-3", "0-1000"]),
        "timeout": st.integers(0, 20),
    }
    for name in likely.keys() & {parameter.name for parameter in operation.query}:
        given = (case.query or {}).get(name)
        if draw(st.booleans()) or (name == "timeout" and not isinstance(given, str)):  # nobody waits for events here
            case.query = {**(case.query or {}), name: draw(likely[name])}
    if case.media_type == "application/json" and draw(st.booleans()):
        if operation.path.endswith("/attributes/value"):
            case.body = draw(st.dictionaries(st.sampled_from(known["attribute"]), VALUES, max_size=5))
        elif operation.path.endswith(("/value", "{command}")):
            case.body = draw(VALUES)
        elif operation.label.endswith((" /", "{subscription}")):
            case.body = draw(st.lists(st.sampled_from(known["target"]), max_size=5))
    if operation.path.endswith(("/value", "/history")) and draw(st.booleans()):
        case.headers["Accept"] = draw(st.sampled_from(ACCEPT))
    return case


@pytest.mark.parametrize("operation", list(read_operations()))
def test_every_answer_is_described(
    fuzzed: Gateway, devices: dict[str, Names], operation: schemathesis.APIOperation
) -> None:
    base = fuzzed.base.removesuffix("/tango/rest") + operation.schema.raw_schema["servers"][0]["url"]
    worker = fuzzed.worker().pid

    with requests.Session() as session:

        @SETTINGS
        @given(aimed(operation, devices))
        def ask(case: schemathesis.Case) -> None:
            response = case.call(base_url=base, session=session, timeout=30)
            if response.status_code == 414:  # which any long URL is, as main.yml says
                return
            whole = "filter" not in (case.query or {})  # with one, keys are missing
            case.validate_response(response, checks=[*CHECKS, *([checks.response_schema_conformance] if whole else [])])

        ask()
    assert fuzzed.worker().pid == worker
