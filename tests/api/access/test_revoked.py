"""Rights that end while a request waits: for its body, in the queue of a device, for an event."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from webtest import TestResponse
from werkzeug.test import Client

from mtango_gevent.api.access import Identity, Target
from mtango_gevent.control.properties import Properties
from mtango_gevent.errors import tango_failure
from tests.api.access.conftest import PROXY, Gateway
from tests.conftest import DEMO_DEVICE
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ALLOWED = '[[rule]]\nusers = ["ann"]\nmay = ["read", "write", "execute", "configure"]\n'
ANN = {"X-Remote-User": "ann"}


class Body(io.BytesIO):
    """A body before which something happens."""

    def __init__(self, content: bytes, before: Callable[[], None]) -> None:
        super().__init__(content)
        self._before = before

    def readinto(self, buffer: Any) -> int:
        self._happen()
        return super().readinto(buffer)

    def read(self, size: int | None = -1) -> bytes:
        self._happen()
        return super().read(size)

    def _happen(self) -> None:
        before, self._before = self._before, lambda: None
        before()


def revoke(gateway: Gateway) -> None:
    """Change the rules, and return when they are in force."""
    access = gateway.client.app.extensions["mtango"].access
    gateway.file.write_text('[[rule]]\nanyone = true\nmay_not = ["read", "write", "execute", "configure"]\n')
    target = Target("read", "attribute", "x", DEMO_DEVICE)
    ann = Identity("ann", frozenset(), "trusted-header")
    wait_until(lambda: not access.decide(ann, {"REMOTE_ADDR": PROXY}, target).allowed)


def lines(gateway: Gateway, audit: Path) -> list[dict[str, Any]]:
    gateway.client.app.extensions["mtango"].audit.finish(10)
    return [json.loads(line) for line in audit.read_text("ascii").splitlines()]


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway], audit: Path) -> Gateway:
    return make_gateway(ALLOWED, audit=str(audit), audit_format="json")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("attributes/double_scalar_w/value", b"77"),
        ("attributes/value", b'{"double_scalar_w": 77}'),
        ("commands/DevDouble", b"77"),
        ("properties/revoked", b"77"),
        ("properties", b'{"revoked": "77"}'),
        ("attributes/double_scalar_w/properties", b'{"revoked": "77"}'),
        ("attributes/double_scalar_w/info", b'{"unit": "77"}'),
    ],
)
def test_change_is_checked_again_after_a_slow_body(
    gateway: Gateway, audit: Path, demo_url: str, path: str, body: bytes
) -> None:
    def wait_and_revoke() -> None:
        time.sleep(1.1)
        revoke(gateway)

    answer = Client(gateway.client.app).put(
        f"{demo_url}/{path}",
        input_stream=Body(body, wait_and_revoke),
        content_length=len(body),
        headers=ANN,
        environ_base={"REMOTE_ADDR": PROXY},
    )
    assert answer.status_code == 403
    assert [line["outcome"].split(": ")[:2] for line in lines(gateway, audit)] == [["refused", "MTANGO_Forbidden"]]


def test_job_is_checked_again_when_it_runs(
    gateway: Gateway, audit: Path, host_url: str, slow_devices: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{host_url}/devices/{slow_devices[0]}/commands/Rest"
    assert gateway.ask("PUT", f"{url}?v=2&async=1", "ann").status_int == 204
    assert gateway.ask("PUT", f"{url}?v=0&async=1", "ann").status_int == 204
    revoke(gateway)
    found = wait_until(lambda: found if len(found := lines(gateway, audit)) == 4 else None)
    assert [line["outcome"].split(": ")[0] for line in found] == ["accepted", "accepted", "ok", "refused"]
    wait_until(lambda: any("MTANGO_Forbidden" in record.getMessage() for record in caplog.records))
    assert not any(record.exc_info for record in caplog.records)


def test_event_is_not_answered_without_the_right(gateway: Gateway, demo_url: str) -> None:
    answers: list[TestResponse] = []

    def wait_for_event() -> None:
        answers.append(gateway.ask("GET", f"{demo_url}/attributes/string_scalar/user?timeout=4000", "ann"))

    thread = threading.Thread(target=wait_for_event)
    thread.start()
    time.sleep(0.5)
    revoke(gateway)
    thread.join()
    assert answers[0].status_int == 403


# --- the audit log ---


def test_request_that_is_given_up_has_a_line(gateway: Gateway, audit: Path, demo_url: str) -> None:
    def stop() -> None:
        raise gevent.GreenletExit

    with pytest.raises(gevent.GreenletExit):
        Client(gateway.client.app).put(
            f"{demo_url}/attributes/double_scalar_w/value",
            input_stream=Body(b"1", stop),
            content_length=1,
            headers=ANN,
            environ_base={"REMOTE_ADDR": PROXY},
        )
    (line,) = lines(gateway, audit)
    assert line["outcome"] == "outcome unknown: the request was given up"


@pytest.mark.parametrize("of_attribute", [False, True])
def test_deletion_by_replacement_needs_its_line(
    make_gateway: Callable[..., Gateway], audit: Path, types_url: str, of_attribute: bool
) -> None:
    gateway = make_gateway(ALLOWED, audit=str(audit), audit_format="json", audit_required=True)
    url = f"{types_url}/attributes/double_scalar/properties" if of_attribute else f"{types_url}/properties"
    gateway.ask("PUT", f"{url}?first=1&second=2", "ann")
    before = len(lines(gateway, audit))
    gateway.ask("PUT", f"{url}?second=3&replace=1", "ann")
    new = lines(gateway, audit)[before:]
    found = [(line["outcome"], line["old"]) for line in new if "first" in (line["name"], line["detail"])]
    assert found == [("begun", ""), ("ok", '["1"]')]
    gateway.ask("DELETE", f"{url}/second", "ann")


@pytest.mark.parametrize("path", ["properties?mine=1", "properties/mine?value=1", "properties?mine=1&replace=1"])
def test_change_that_cannot_be_read_back_was_made(
    gateway: Gateway, audit: Path, types_url: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = Properties.read, []

    def read_once(properties: Properties) -> Any:
        calls.append(properties)
        if len(calls) > 1 + ("replace" in path):
            raise tango_failure("DB_Gone", "no database")
        return read(properties)

    monkeypatch.setattr(Properties, "read", read_once)
    answer = gateway.ask("PUT", f"{types_url}/{path}", "ann")
    assert "written, but could not be read back" in answer.json["errors"][0]["description"]
    assert {line["outcome"] for line in lines(gateway, audit)} == {"ok"}
    monkeypatch.undo()
    gateway.ask("DELETE", f"{types_url}/properties/mine", "ann")
