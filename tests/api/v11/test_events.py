"""Long polls of events: contract v11, section 3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from webtest import TestApp

from tests.api.rc3.test_events import Waiting, send
from tests.pytango_process import PyTango


@pytest.fixture
def app_client(make_client: Callable[..., TestApp]) -> Iterator[TestApp]:
    client = make_client(event_poll_period=0.05)
    yield client
    client.get("/tango/rest/sys/clean/devices", status=204)


@pytest.fixture
def waiting(app_client: TestApp) -> Iterator[Waiting]:
    with ThreadPoolExecutor(8) as threads:
        yield Waiting(app_client, threads)


@pytest.fixture
def attributes(v11_host_url: str, sender: str) -> str:
    return f"{v11_host_url}/devices/{sender}/attributes"


@pytest.mark.parametrize("kind", ["change", "archive", "user"])
def test_next_event_is_answered(
    app_client: TestApp,
    attributes: str,
    waiting: Waiting,
    pytango: PyTango,
    sender: str,
    kind: str,
) -> None:
    request = waiting.begin(f"{attributes}/position/{kind}?timeout=60000")
    pytango.run(sender, "SendPosition", kind)
    event = request.result().json
    assert event.keys() == {"name", "value", "quality", "timestamp"}
    assert (event["name"].lower(), event["quality"]) == ("position", "ATTR_VALID")
    assert event["timestamp"] > 1e12


def test_no_event_in_time_is_503(app_client: TestApp, attributes: str) -> None:
    answer = app_client.get(f"{attributes}/position/change?timeout=50", status=503)
    assert answer.json["errors"][0]["reason"] == "API_EventTimeout"
    assert answer.headers["Retry-After"]


def test_events_that_are_newer_than_last_are_a_list(
    app_client: TestApp,
    attributes: str,
    waiting: Waiting,
    pytango: PyTango,
    sender: str,
) -> None:
    url = f"{attributes}/sent0/change?timeout=60000"
    request = waiting.begin(url)
    send(app_client, pytango, "SendOne", "change")
    first = request.result().json
    for _ in range(3):
        send(app_client, pytango, "SendOne", "change")
    newer = app_client.get(f"{url}&last={first['timestamp']}").json
    assert [each["value"] for each in newer] == [first["value"] + number for number in (1, 2, 3)]
    answer = app_client.get(f"{attributes}/sent0/change?timeout=50&last={newer[-1]['timestamp']}", status=503)
    assert answer.json["errors"][0]["reason"] == "API_EventTimeout"


def test_failed_reading_has_its_status(
    app_client: TestApp,
    attributes: str,
    waiting: Waiting,
    pytango: PyTango,
    sender: str,
) -> None:
    request = waiting.begin(f"{attributes}/silent/change?timeout=60000", status=400)
    pytango.run(sender, "Break", True)
    answer: Any = request.result()
    assert answer.json["quality"] == "FAILURE"


@pytest.mark.parametrize("query", ["timeout=soon", "timeout=-1", "last=now", "timeout=1&timeout=2"])
def test_impossible_parameters_are_400(app_client: TestApp, attributes: str, query: str) -> None:
    app_client.get(f"{attributes}/position/change?{query}", status=400)


def test_unknown_attribute_is_404(app_client: TestApp, attributes: str) -> None:
    app_client.get(f"{attributes}/nope/change?timeout=50", status=404)
