"""What Prometheus reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import parser
from webtest import TestApp

from mtango_gevent.metric_table import METRICS

ROOT = Path(__file__).parents[2]
DEVICE = "/tango/rest/rc3/hosts/<host>/<port>/devices/<domain>/<family>/<member>"


@pytest.fixture
def client(make_client: Callable[..., TestApp]) -> TestApp:
    """With counts of its own."""
    return make_client()


class Figures:
    """What /metrics says."""

    def __init__(self, client: TestApp) -> None:
        self.families = {family.name: family for family in parser.text_string_to_metric_families(scrape(client))}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def get(self, name: str, **labels: str) -> float | None:
        """The sum of those with these labels; None where there are none."""
        found = [each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items()]
        return sum(found) if found else None

    def labels(self, name: str) -> list[dict[str, str]]:
        return [sample.labels for sample in self.samples if sample.name == name]


def scrape(client: TestApp) -> str:
    return client.get("/metrics").text


def test_requests_are_counted_by_route_method_and_status(client: TestApp, demo_url: str) -> None:
    for device in (demo_url, demo_url.replace("tg_test", "none"), demo_url):
        client.get(f"{device}/attributes/double_scalar/value")
    client.put(f"{demo_url}/attributes/nope/value?v=x")
    client.get("/nope", status=404)
    client.get("/tango/rest/no/" + "x" * 50, status=404)
    client.post("/healthz", status=405)
    TestApp(client.app, lint=False).request("/healthz", method="BREW", status=405)
    figures, route = Figures(client), f"{DEVICE}/attributes/<attribute>/value"
    name, times = "mtango_http_requests_total", "mtango_http_request_duration_seconds"
    assert figures.get(name, route=route, method="GET", status="200") == 3
    assert figures.get(name, route=route, method="PUT", status="200") == 1
    assert figures.get(name, route="none", method="GET", status="404") == 2
    assert figures.get(name, route="none", method="POST", status="405") == 1
    assert figures.get(name, route="none", method="other", status="405") == 1
    assert figures.get(name) == figures.get(f"{times}_count") == figures.get(f"{times}_bucket", le="+Inf") == 8
    assert figures.get(f"{times}_count", route=route, method="GET") == 3
    assert 0 < figures.get(f"{times}_sum", route=route, method="GET") < 30
    assert figures.get("mtango_http_failures_total") == 6
    assert figures.get("mtango_http_requests_in_progress") == 1


def test_classes_of_times_include_the_shorter_ones(client: TestApp) -> None:
    for _ in range(20):
        client.get("/healthz")
    found = Figures(client)
    values = [
        sample.value
        for sample in found.samples
        if sample.name == "mtango_http_request_duration_seconds_bucket" and sample.labels["route"] == "/healthz"
    ]
    assert values == sorted(values)
    assert values[-1] == 20


def test_tango_calls_are_counted_by_kind_and_outcome(client: TestApp, demo_url: str) -> None:
    client.get(f"{demo_url}/state")
    client.get(f"{demo_url}/attributes/double_scalar/value")
    client.get(f"{demo_url}/attributes/nope/value")
    client.put(f"{demo_url}/attributes/double_scalar_w/value?v=1")
    client.put(f"{demo_url}/commands/DevLong", "1")
    client.get(f"{demo_url}/attributes/double_scalar/history")
    client.get(f"{demo_url}/attributes/double_scalar/change?state=INITIAL&timeout=100")
    figures = Figures(client)

    def calls(kind: str, outcome: str) -> float | None:
        return figures.get("mtango_tango_calls_total", kind=kind, outcome=outcome)

    for kind in ("read", "write", "command", "metadata", "database", "connection", "subscription"):
        assert calls(kind, "ok"), kind
    assert (calls("write", "ok"), calls("command", "ok")) == (1, 1)
    assert calls("read", "failed") == 1
    assert figures.get("mtango_tango_calls_total", kind="history") == 1
    assert calls("other", "ok") is None
    name = "mtango_tango_call_duration_seconds_count"
    assert figures.get(name) == figures.get("mtango_tango_calls_total")
    assert figures.get(name, kind="read") == calls("read", "ok") + 1


def test_devices_are_labels_only_where_a_setting_says_so(make_client: Callable[..., TestApp], demo_url: str) -> None:
    for devices in (False, True):
        client = make_client(metrics_devices=devices)
        client.get(f"{demo_url}/attributes/double_scalar/value")
        client.put(f"{demo_url}/attributes/ampli/value?v=1")
        figures = Figures(client)
        found = {labels.get("device") for labels in figures.labels("mtango_tango_calls_total")}
        assert found == ({"sys/tg_test/1", "sys/database/2"} if devices else {None})
        assert ("tg_test" in scrape(client)) == devices


def test_the_figures_are_those_of_the_system_api(client: TestApp, demo_url: str) -> None:
    for _ in range(3):
        client.get(f"{demo_url}/attributes/ampli/info")
    stats = client.get("/tango/rest/sys/stats").json
    cache = client.get("/tango/rest/sys/cache/attributes").json
    figures = Figures(client)
    assert figures.get("mtango_http_requests_total") == stats["requests"] + 1
    assert figures.get("mtango_server_start_time_seconds") == pytest.approx(stats["running_since"])
    assert figures.get("mtango_workers") == len(stats["workers"])
    assert figures.get("mtango_workers_cpu_seconds_total") > 0
    assert figures.get("mtango_pool_threads_limit") == stats["pool"]["maxsize"]
    for name, key in (("hits_total", "hits"), ("misses_total", "misses"), ("entries", "currsize")):
        assert figures.get(f"mtango_cache_{name}", cache="attributes") == cache[key]


def test_every_metric_of_the_table_is_shown_and_nothing_else(client: TestApp) -> None:
    client.get("/tango/rest")
    shown = set(re.findall(r"^# TYPE (mtango_\w+)", scrape(client), re.M))
    assert shown == {name for name, _, _ in METRICS}


def test_the_dashboard_draws_what_there_is(client: TestApp, demo_url: str) -> None:
    client.get(f"{demo_url}/state")
    figures = Figures(client)
    dashboard = orjson.loads((ROOT / "deploy/grafana-dashboard.json").read_bytes())
    panels: list[dict[str, Any]] = dashboard["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    drawn = {name for expression in expressions for name in re.findall(r"\bmtango_\w+", expression)}
    known = {sample.name for sample in figures.samples}
    assert drawn <= known
    assert {name.removesuffix("_bucket") for name in drawn} == {name for name, _, _ in METRICS}
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Requests", "Tango", "Events", "Streams", "Caches", "Workers"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for expression in expressions:
        assert expression.count("(") == expression.count(")")


def test_openmetrics_is_answered_to_who_asks_for_it(client: TestApp) -> None:
    plain = client.get("/metrics")
    assert plain.content_type == "text/plain"
    assert plain.headers["Cache-Control"] == "no-cache"
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type == "application/openmetrics-text"
    assert answer.text.endswith("# EOF\n")
