"""Traces through a real gunicorn and a real device server, which send their spans to a collector of the test."""

from __future__ import annotations

import json
import random
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tango

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.otlp_collector import Collector, Span
from tests.stream_client import StreamClient

from .conftest import COMMAND, ROOT, Gateway, served, wait_until

pytestmark = pytest.mark.slow

DEVICE = "test/traced/1"
CALLER = "cd" * 8  # the id of a client's span
INTERNAL, SERVER, CLIENT = 1, 2, 3  # kinds of spans
ERROR = 2  # status
ROUTE = "/tango/rest/rc3/hosts/<host>/<port>/devices/<domain>/<family>/<member>/attributes/<attribute>/value"
NEWEST = tango.release.Release.version_info >= (10, 3)


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture(scope="session")
def traced_device(tango_system: EmbeddedTango, collector: Collector) -> str:
    settings = [f"{name}={value}" for name, value in collector.environment().items()]
    command = ["env", *settings, sys.executable, str(ROOT / "tests/devices.py"), "traced"]
    tango_system.add_server(command, "Slow/traced", {DEVICE: "Slow"})
    return DEVICE


@pytest.fixture(scope="session")
def traced(traced_device: str, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    log = tmp_path_factory.mktemp("traced") / "log"
    with served(COMMAND, log, **collector.environment(), MTANGO_LOG_FORMAT="json") as gateway:
        yield gateway


@pytest.fixture
def path(traced: Gateway, host_path: str) -> str:
    return f"{host_path}/devices/{DEVICE}/attributes"


def new_trace() -> str:
    return f"{random.getrandbits(128):032x}"


def ask(
    gateway: Gateway, path: str, trace: str, flags: str = "01", method: str = "GET", **headers: str
) -> tuple[int, bytes]:
    """Return status and body of the answer to a request with a trace context."""
    given = {"traceparent": f"00-{trace}-{CALLER}-{flags}", **headers}
    request = urllib.request.Request(gateway.base + path, headers=given, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def spans_of(collector: Collector, trace: str) -> dict[str, Span]:
    return {span.span_id: span for span in collector.of_trace(trace)}


def find(collector: Collector, trace: str, scope: str, kind: int) -> list[Span]:
    return [span for span in collector.of_trace(trace) if (span.scope, span.kind) == (scope, kind)]


def wait_for(collector: Collector, trace: str, scope: str, kind: int) -> Span:
    return wait_until(lambda: find(collector, trace, scope, kind))[-1]


def ancestors(collector: Collector, span: Span) -> list[Span]:
    spans, found = spans_of(collector, span.trace_id), [span]
    while found[-1].parent_id in spans:
        found.append(spans[found[-1].parent_id])
    return found


def test_request_client_and_device_are_one_trace(traced: Gateway, collector: Collector, path: str) -> None:
    trace = new_trace()
    status, _ = ask(traced, f"{path}/quick/value?x=1", trace, tracestate="vendor=value")
    assert status == 200
    device = wait_for(collector, trace, "tango.python.server", SERVER)
    wait_until(lambda: ancestors(collector, device)[-1].parent_id == CALLER)

    line = ancestors(collector, device)
    scopes = [(span.scope, span.kind) for span in line]
    own = [("mtango-gevent", INTERNAL), ("mtango-gevent", SERVER)]
    cpp = [("tango.cpp", SERVER), ("tango.cpp", CLIENT), ("tango.cpp", CLIENT)]
    assert scopes == [("tango.python.server", SERVER), *cpp, ("tango.python.client", CLIENT), *own]
    assert {span.trace_state for span in line} == {"vendor=value"}
    assert {span.service for span in line} == {"Slow", "mtango-gevent"}
    call, request = line[-2:]
    assert (call.name, call.attributes) == ("tango read", {"tango.device.name": DEVICE})
    assert request.name == f"GET {ROUTE}"
    attributes = {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": ROUTE,
        "tango.device.name": DEVICE,
        "url.path": f"/tango/rest{path}/quick/value",
        "url.query": "x=1",
        "url.scheme": "http",
    }
    assert attributes.items() <= request.attributes.items()
    assert request.seconds >= call.seconds


@pytest.mark.skipif(not NEWEST, reason="PyTango 10.3 takes the place of the code from its caller")
def test_span_of_pytango_is_named_after_its_method(traced: Gateway, collector: Collector, path: str) -> None:
    trace = new_trace()
    ask(traced, f"{path}/quick/value", trace)
    span = wait_for(collector, trace, "tango.python.client", CLIENT)
    assert span.name == "DeviceProxy.read_attribute"
    assert span.attributes["code.filepath"].endswith("mtango_gevent/control/reads.py")


@pytest.mark.parametrize("fast", [True, False], ids=["fast value", "Flask"])
def test_requests_that_share_a_read_are_linked_to_it(
    traced: Gateway, collector: Collector, path: str, fast: bool
) -> None:
    traces = [new_trace() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        query = "" if fast else "?x=1"
        statuses = list(threads.map(lambda trace: ask(traced, f"{path}/slow/value{query}", trace)[0], traces))
    assert statuses == [200] * 4
    requests = [wait_for(collector, trace, "mtango-gevent", SERVER) for trace in traces]
    reads = [find(collector, trace, "mtango-gevent", INTERNAL) for trace in traces]
    wait_until(lambda: sum(len(find(collector, trace, "tango.python.client", CLIENT)) for trace in traces) == 1)
    (read,) = (span for spans in reads for span in spans if span.name == "tango read")
    linked = [span for span in requests if span.trace_id != read.trace_id]
    assert [span.links for span in linked] == [[(read.trace_id, read.span_id)]] * 3


def test_client_decides_whether_a_request_is_recorded(traced: Gateway, collector: Collector, path: str) -> None:
    unsampled, sampled = new_trace(), new_trace()
    assert ask(traced, f"{path}/quick/value", unsampled, flags="00")[0] == 200
    assert ask(traced, f"{path}/quick/value", sampled)[0] == 200
    wait_for(collector, sampled, "tango.python.client", CLIENT)
    assert {span.scope for span in collector.of_trace(unsampled)} <= {"tango.cpp", "tango.python.server"}


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{CALLER}-01",
        f"ff-{'ab' * 16}-{CALLER}-01",
        f"00-{'AB' * 16}-{CALLER}-01",
        f"00-{'ab' * 16}-{CALLER}-01, 00-{'ab' * 16}-{CALLER}-01",
        "00-" * 400,
        "\xe9" * 99,
    ],
)
def test_malformed_trace_context_is_ignored(traced: Gateway, collector: Collector, path: str, traceparent: str) -> None:
    mark = f"{random.getrandbits(64):016x}"
    headers = {"traceparent": traceparent, "tracestate": ",=,;" * 200, "X-Request-ID": mark}
    assert ask(traced, f"{path}/quick/value", new_trace(), **headers)[0] == 200
    marked = wait_until(lambda: [each for each in collector.spans if each.attributes.get("mtango.request_id") == mark])
    assert [(span.parent_id, span.trace_state) for span in marked] == [("", "")]
    assert marked[0].trace_id != "ab" * 16


def test_trace_state_without_trace_parent_is_ignored(traced: Gateway, collector: Collector, path: str) -> None:
    trace = new_trace()
    assert ask(traced, f"{path}/quick/value", trace, tracestate="x" * 600)[0] == 200
    assert wait_for(collector, trace, "mtango-gevent", SERVER).trace_state == ""


@pytest.mark.parametrize(
    ("attribute", "status", "error"), [("failing", 400, "PyDs_PythonError"), ("absent", 404, "API_AttrNotFound")]
)
def test_failure_is_told_by_the_span(
    traced: Gateway, collector: Collector, path: str, attribute: str, status: int, error: str
) -> None:
    trace, path = new_trace(), re.sub(r"/rc3/hosts/(.+)/(\d+)/devices", r"/v11/hosts/\1;port=\2/devices", path)
    answered, _ = ask(traced, f"{path}/{attribute}/value", trace)
    request = wait_for(collector, trace, "mtango-gevent", SERVER)
    assert request.attributes["http.response.status_code"] == answered
    assert request.attributes["error.type"] == error
    assert (request.status == ERROR) == (answered >= 500)
    reads = [span for span in find(collector, trace, "mtango-gevent", INTERNAL) if span.name == "tango read"]
    assert [(span.status, span.attributes["error.type"]) for span in reads] == [(ERROR, error)]


def test_write_belongs_to_the_trace_though_it_is_made_later(traced: Gateway, collector: Collector, path: str) -> None:
    trace = new_trace()
    assert ask(traced, f"{path}/lazy/value?v=0.1&async=true", trace, method="PUT")[0] == 204
    wait_until(lambda: any(span.name == "tango write" for span in collector.of_trace(trace)))
    wait_until(lambda: any(span.name == "Slow.lazy" for span in collector.of_trace(trace)))


def test_secrets_in_a_url_are_not_told(traced: Gateway, collector: Collector, path: str) -> None:
    trace = new_trace()
    ask(traced, f"{path}/quick/value?access_token=hush", trace)
    assert "hush" not in str(wait_for(collector, trace, "mtango-gevent", SERVER).attributes)


def test_stream_has_a_span_until_it_begins_and_none_for_its_events(
    traced: Gateway, collector: Collector, path: str
) -> None:
    trace = new_trace()
    header = {"traceparent": f"00-{trace}-{CALLER}-01"}
    with StreamClient(traced.port, header=header) as client:
        client.follow(DEVICE, "quick", "reads")  # which send no events and are polled
        client.receive_until(lambda: len({record["id"] for record in client.records}) == 2)
        span = wait_for(collector, trace, "mtango-gevent", SERVER)
        assert span.attributes["http.response.status_code"] == 101
        time.sleep(3)  # polls go on meanwhile
        assert len(collector.of_trace(trace)) < 30
        scopes = {each.scope for each in collector.of_trace(trace)}
    assert scopes <= {"mtango-gevent"}


def test_log_lines_name_the_trace(traced: Gateway, collector: Collector, path: str) -> None:
    trace = new_trace()
    ask(traced, f"{path}/quick/value", trace)
    lines = [json.loads(line) for line in traced.log.read_text().splitlines() if trace in line]
    span = wait_for(collector, trace, "mtango-gevent", SERVER)
    assert [(line["logger"], line["trace_id"], line["span_id"]) for line in lines] == [
        ("mtango_gevent.access", trace, span.span_id)
    ]


def test_last_spans_are_sent_when_the_gateway_stops(
    traced_device: str, host_path: str, collector: Collector, tmp_path: Path
) -> None:
    trace, settings = new_trace(), {**collector.environment(), "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with served(COMMAND, tmp_path / "log", **settings) as gateway:
        ask(gateway, f"{host_path}/devices/{DEVICE}/attributes/quick/value", trace)
    scopes = {span.scope for span in collector.of_trace(trace)}
    assert {"mtango-gevent", "tango.python.client", "tango.cpp"} <= scopes


def test_worker_that_has_made_no_call_stops_in_order(collector: Collector, tmp_path: Path) -> None:
    with served(COMMAND, tmp_path / "log", **collector.environment()):
        pass
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "not ended in order" not in log


@pytest.mark.parametrize("listening", [True, False], ids=["silent", "closed"])
def test_collector_that_does_not_answer_delays_nothing(
    traced_device: str, host_path: str, collector: Collector, tmp_path: Path, listening: bool
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listening:
            silent.listen(50)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        settings = {name: value.replace(collector.url, url) for name, value in collector.environment().items()}
        with served(COMMAND, tmp_path / "log", **settings) as gateway:
            slowest, until = 0.0, time.monotonic() + 5
            while time.monotonic() < until:
                began = time.monotonic()
                assert ask(gateway, f"{host_path}/devices/{DEVICE}/attributes/quick/value", new_trace())[0] == 200
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.01)
            began = time.monotonic()
        assert time.monotonic() - began < 3 * 3
    assert slowest < 3
    lines = (tmp_path / "log").read_text().splitlines()
    assert sum("spans cannot be sent" in line for line in lines) <= 1
    assert len([line for line in lines if "GET" not in line]) < 40
