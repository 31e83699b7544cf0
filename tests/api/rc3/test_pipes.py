"""Pipes: as they are where PyTango has them, an empty list and 501 where it has not."""

from __future__ import annotations

import time

import pytest
import tango
from webtest import TestApp

HAS_PIPES = hasattr(tango.DeviceProxy, "read_pipe")
with_pipes = pytest.mark.skipif(not HAS_PIPES, reason="this PyTango has no pipes")
without_pipes = pytest.mark.skipif(HAS_PIPES, reason="this PyTango has pipes")


@with_pipes
def test_a_pipe_has_its_elements(client: TestApp, device_url: str) -> None:
    (listed,) = client.get(f"{device_url}/pipes").json
    assert listed == {
        "name": "string_long_short_ro",
        "href": f"http://localhost{device_url}/pipes/string_long_short_ro",
    }
    pipe = client.get(listed["href"].upper().replace("HTTP://LOCALHOST", "").lower()).json
    assert abs(pipe.pop("timestamp") / 1000 - time.time()) < 60
    assert pipe == {
        "name": "string_long_short_ro",
        "size": 3,
        "data": [
            {"name": "FirstDE", "value": ["The string"]},
            {"name": "SecondDE", "value": [666]},
            {"name": "ThirdDE", "value": [12]},
        ],
        "_links": {"_self": listed["href"]},
    }


@with_pipes
def test_blobs_within_blobs_and_arrays(client: TestApp, types_url: str) -> None:
    data = client.get(f"{types_url}/pipes/blob").json["data"]
    assert all(isinstance(element["value"], list) for element in data)
    nested = [element["value"][0] for element in data if element["value"] and isinstance(element["value"][0], dict)]
    blobs = [blob for blob in nested if "data" in blob]
    assert blobs
    assert {"name", "value"} == set(blobs[0]["data"][0])
    assert any(len(element["value"]) > 1 for element in data)


@with_pipes
def test_an_unknown_pipe_is_a_tango_failure(client: TestApp, device_url: str) -> None:
    failure = client.get(f"{device_url}/pipes/nope", status=200).json
    assert failure["errors"][0]["reason"] == "API_PipeNotFound"


@without_pipes
def test_without_pipes_the_list_is_empty_and_one_says_who_has_them(client: TestApp, device_url: str) -> None:
    assert client.get(f"{device_url}/pipes").json == []
    refusal = client.get(f"{device_url}/pipes/string_long_short_ro", status=501).json
    assert "10.0" in refusal["errors"][0]["description"]
