"""Statuses and bodies of failures: contract v11, section 2, and constraint 6 of section 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp

from mtango_gevent.control.reads import Reading
from tests.api.rc3.test_bad_items import SHOWN, VALUES, Altered, device_that, good_value  # noqa: F401 (a fixture)
from tests.conftest import HAS_PIPES

LISTS = ("attributes", "commands", *(["pipes"] if HAS_PIPES else []))


def reasons(answer: Any) -> list[str]:
    return [error["reason"] for error in answer.json["errors"]]


def test_failure_has_body_of_contract(client: TestApp, v11_demo_url: str) -> None:
    answer = client.get(f"{v11_demo_url}/attributes/nope/value", status=404)
    assert answer.content_type == "application/json"
    assert {"errors", "quality", "timestamp"} <= answer.json.keys()
    assert answer.json["quality"] == "FAILURE"
    assert answer.json["errors"][0].keys() == {"reason", "description", "severity", "origin"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/attributes/nope", 404),
        ("GET", "/attributes/nope/value", 404),
        ("GET", "/attributes/nope/history", 404),
        ("GET", "/attributes/nope/properties", 404),
        ("GET", "/attributes/ampli/properties/nope", 404),
        ("GET", "/attributes/ampli/history", 400),  # it is not polled
        ("GET", "/attributes/ampli/nope", 404),
        ("PUT", "/attributes/nope/value?v=1", 404),
        ("PUT", "/attributes/double_scalar/value?v=text", 400),
        ("PUT", "/attributes/double_scalar/value", 400),
        ("PUT", "/attributes/long_scalar_rww", 405),
        ("PUT", "/attributes/short_image_ro/value?v=1", 400),
        ("GET", "/attributes?range=XXX", 416),
        ("GET", "/attributes?range=5", 416),
    ],
)
def test_failures_have_statuses(client: TestApp, v11_demo_url: str, method: str, path: str, status: int) -> None:
    answer = client.request(v11_demo_url + path, method=method, status=status)
    assert answer.json["quality"] == "FAILURE"
    assert answer.json["http_status"] == status


def test_unreachable_device_is_503_and_says_when_to_try_again(
    client: TestApp, v11_host_url: str, not_exported: str
) -> None:
    answer = client.get(f"{v11_host_url}/devices/{not_exported}/attributes/x/value", status=503)
    assert "API_DeviceNotExported" in reasons(answer)
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("noun", LISTS)
def test_list_of_unreachable_device_ends_repetition_by_clients(
    client: TestApp, v11_host_url: str, not_exported: str, noun: str
) -> None:
    """tango-rest-client passes the body of a 400 or 404 on, and Waltz looks for the text in its reasons."""
    answer = client.get(f"{v11_host_url}/devices/{not_exported}/{noun}", status=400)
    assert "API_DeviceNotExported" in reasons(answer)
    assert any("DEVICE_NOT_EXPORTED" in reason for reason in reasons(answer))
    assert answer.json["http_status"] == 400


@pytest.mark.parametrize("noun", ["attributes", "commands", "pipes"])
def test_list_of_unknown_device_ends_repetition_by_clients(client: TestApp, v11_host_url: str, noun: str) -> None:
    answer = client.get(f"{v11_host_url}/devices/no/such/device/{noun}", status=404)
    assert any("DEVICE_NOT_EXPORTED" in reason for reason in reasons(answer))


def test_other_failures_are_as_they_are(client: TestApp, v11_host_url: str, v11_demo_url: str) -> None:
    for url in (f"{v11_host_url}/devices/no/such/device", f"{v11_demo_url}/attributes/nope"):
        assert not any("DEVICE_NOT_EXPORTED" in reason for reason in reasons(client.get(url, status=404)))


def test_rc3_keeps_status_200(client: TestApp, demo_url: str, make_client: Callable[..., TestApp]) -> None:
    failure = client.get(f"{demo_url}/attributes/nope", status=200).json
    assert failure["quality"] == "FAILURE"


@pytest.mark.parametrize("kind", VALUES)
def test_value_that_cannot_be_shown_is_400(client: TestApp, v11_demo_url: str, good_value: Any, kind: str) -> None:  # noqa: F811
    url = f"{v11_demo_url}/attributes/ampli/value"
    with device_that(read_value=Reading(Altered(good_value, **VALUES[kind]), 0.0)):
        for _ in range(2):  # the second time without Flask
            answer = client.get(url, status=200 if kind in SHOWN else 400)
            assert ("value" in answer.json) == (kind in SHOWN)
