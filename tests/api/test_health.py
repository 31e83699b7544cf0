"""What watches the server learns whether it lives and whether it can work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango, free_port


def test_a_server_that_answers_lives(client: TestApp) -> None:
    answer = client.get("/healthz")
    assert answer.json == {"status": "ok"}
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_server_whose_tango_answers_is_ready(client: TestApp) -> None:
    assert client.get("/readyz").json == {"status": "ok"}


def test_without_its_database_a_server_lives_and_is_not_ready(
    make_client: Callable[..., TestApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANGO_HOST", f"127.0.0.1:{free_port()}")
    client = make_client()
    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz", status=503).json
    assert answer["status"] == "not ready"
    assert "database" in answer["problems"][0]


def test_another_tango_host_that_does_not_answer_is_a_warning(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango
) -> None:
    dead = f"127.0.0.1:{free_port()}"
    answer = make_client(tango_hosts=(dead,)).get("/readyz", status=200).json
    assert answer["status"] == "ok"
    (warning,) = answer["warnings"]
    assert dead in warning
    assert "API_CantConnectToDatabase" in warning


def test_without_tango_host_the_first_of_the_list_decides_readiness(
    make_client: Callable[..., TestApp], tango_system: EmbeddedTango, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANGO_HOST", "")
    dead = f"127.0.0.1:{free_port()}"
    assert make_client(tango_hosts=(tango_system.tango_host, dead)).get("/readyz").json["status"] == "ok"
    problems = make_client(tango_hosts=(dead, tango_system.tango_host)).get("/readyz", status=503).json["problems"]
    assert dead in problems[0]


def test_a_server_that_stops_is_not_ready(make_client: Callable[..., TestApp]) -> None:
    client = make_client()
    client.app.extensions["mtango"].client.events.stop()
    assert client.get("/readyz", status=503).json["problems"] == ["the gateway stops"]


def test_a_server_without_a_free_thread_is_not_ready(make_client: Callable[..., TestApp]) -> None:
    client = make_client()
    slots = client.app.extensions["mtango"].client.partitions.calls.semaphore
    while slots.try_acquire():
        pass
    assert slots.free == 0
    assert "threads for calls of devices are busy" in client.get("/readyz", status=503).json["problems"][0]
