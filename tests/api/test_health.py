"""What watches the server learns whether it lives and whether it can work."""

from __future__ import annotations

from collections.abc import Callable

from webtest import TestApp


def test_a_server_that_answers_lives(client: TestApp) -> None:
    answer = client.get("/healthz")
    assert answer.json == {"status": "ok"}
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_server_whose_tango_answers_is_ready(client: TestApp) -> None:
    assert client.get("/readyz").json == {"status": "ok"}


def test_without_its_database_a_server_lives_and_is_not_ready(
    make_client: Callable[..., TestApp],
) -> None:
    client = make_client(database_device="sys/database/none")
    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz", status=503).json
    assert answer["status"] == "not ready"
    assert "database" in answer["problems"][0]


def test_a_server_that_stops_is_not_ready(make_client: Callable[..., TestApp]) -> None:
    client = make_client()
    client.app.extensions["mtango"].client.events.stop()
    assert client.get("/readyz", status=503).json["problems"] == ["the server stops"]


def test_a_server_with_more_calls_than_threads_is_not_ready(make_client: Callable[..., TestApp]) -> None:
    client = make_client()
    slots = client.app.extensions["mtango"].client.green.shares.calls.slots
    while slots.has_room:
        slots.overdraw()
    assert slots.free == -1
    assert "threads for calls of devices are busy" in client.get("/readyz", status=503).json["problems"][0]
