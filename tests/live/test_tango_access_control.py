"""A gateway that asks Debian's TangoAccessControl, through every route that changes something."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.live.conftest import Gateway, served, wait_until
from tests.tango_access_control import DEVICE, MISSING, SERVICE, ControlledTango, controlled_tango

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed (Debian): {', '.join(MISSING)}"),
]

COMMAND = [sys.executable, "-m", "mtango_gevent", "serve"]
MOTOR, CAMERA = "demo/motor/1", "demo/camera/1"

# Method, path below the device, body of everything that changes a device.
CHANGES = [
    ("PUT", "attributes/velocity/value?v=5", ""),
    ("PUT", "attributes/value?velocity=5", ""),
    ("PUT", "attributes/velocity/info", '{"description": "x"}'),
    ("PUT", "attributes/velocity/properties?mine=1", ""),
    ("POST", "attributes/velocity/properties?mine=1", ""),
    ("PUT", "attributes/velocity/properties/mine?value=1", ""),
    ("DELETE", "attributes/velocity/properties/mine", ""),
    ("PUT", "commands/Stop", ""),
    ("PUT", "properties?mine=1", ""),
    ("POST", "properties?mine=1", ""),
    ("PUT", "properties/mine?value=1", ""),
    ("DELETE", "properties/mine", ""),
]


class Front:
    """Requests to a gateway that knows its users by a header, as a proxy sends it."""

    def __init__(self, gateway: Gateway, tango: ControlledTango) -> None:
        self._gateway = gateway
        self._base = "/tango/rest/rc3/hosts/" + tango.system.tango_host.replace(":", "/") + "/devices/"

    def ask(self, user: str, method: str, path: str, body: str = "", device: str = MOTOR) -> tuple[int, Any]:
        """Return status and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._gateway.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, f"{self._base}{device}/{path}", body, {"X-Remote-User": user})
            answer = connection.getresponse()
            text = answer.read()
        return answer.status, orjson.loads(text) if text else None

    def whoami(self, user: str, query: str) -> Any:
        request = urllib.request.Request(f"{self._gateway.base}/sys/whoami?{query}", headers={"X-Remote-User": user})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return orjson.loads(answer.read())

    def reasons(self, *request: str, device: str = MOTOR) -> list[str]:
        _, body = self.ask(*request, device=device)
        found = body[0] if isinstance(body, list) and body else body
        return [error["reason"] for error in found["errors"]] if isinstance(found, dict) and "errors" in found else []


@pytest.fixture(scope="module")
def controlled() -> Iterator[ControlledTango]:
    with controlled_tango() as controlled:
        yield controlled


@pytest.fixture
def tango(controlled: ControlledTango) -> Iterator[ControlledTango]:
    """The user `joe` may change everything, and so may the gateway's own user."""
    controlled.tables.clear()
    controlled.tables.allow("joe")
    controlled.tables.allow(getpass.getuser())
    controlled.define_services(SERVICE)
    yield controlled
    controlled.mend()


@contextlib.contextmanager
def fronted(tango: ControlledTango, log: Path, **variables: str) -> Iterator[Front]:
    settings = {
        "TANGO_HOST": tango.system.tango_host,
        "MTANGO_TANGO_ACCESS_CONTROL": "1",
        "MTANGO_AUTH": "trusted-header",
        "MTANGO_AUTH_HEADER_FROM": "127.0.0.1",
        **variables,
    }
    with served(COMMAND, log, **settings) as gateway:
        yield Front(gateway, tango)
    assert "Traceback" not in log.read_text()


@pytest.fixture
def front(tango: ControlledTango, tmp_path: Path) -> Iterator[Front]:
    with fronted(tango, tmp_path / "log") as front:
        yield front


def test_every_change_is_asked_and_no_read(front: Front, tango: ControlledTango) -> None:
    for method, path, body in CHANGES:
        assert front.ask("ann", method, path, body)[0] == 403, path
        assert front.reasons("ann", method, path, body) == ["MTANGO_Forbidden"]
    for path in ("attributes/velocity/value", "properties", "state", "commands/Stop", "attributes/value?attr=velocity"):
        assert front.ask("ann", "GET", path)[0] == 200
    for method, path, body in CHANGES:
        status, answer = front.ask("joe", method, path, body)
        assert status in (200, 204), answer
        assert front.reasons("joe", method, path, body) == [], path


def test_whoami_tells_what_the_service_says(front: Front) -> None:
    for user, allowed in (("joe", True), ("ann", False)):
        answer = front.whoami(user, f"device={MOTOR}&action=write&name=velocity")
        assert answer["allowed"] == allowed
        assert ("TangoAccessControl gives ann" in answer["reason"]) != allowed
    assert front.whoami("ann", f"device={MOTOR}&action=read&name=velocity")["allowed"]


def test_property_needs_access_to_the_database_as_in_libtango(front: Front, tango: ControlledTango) -> None:
    tango.tables.allow("bob", "demo/*/*")
    assert front.reasons("bob", "PUT", "attributes/velocity/value?v=5") == []
    assert front.ask("bob", "PUT", "properties?mine=1")[0] == 403
    tango.tables.allow("eve", "sys/database/2")
    assert front.reasons("eve", "PUT", "properties?mine=1") == []
    assert front.ask("eve", "PUT", "attributes/velocity/value?v=5")[0] == 403


def test_name_with_blanks_or_accents_is_no_way_round(front: Front, tango: ControlledTango) -> None:
    tango.tables.allow("bob", "*/*/*")
    tango.tables.allow("bob", MOTOR, "read")
    for name in (MOTOR, MOTOR.upper(), f"{MOTOR}%20", "d%c3%a9mo/motor/1"):
        assert front.ask("bob", "PUT", "attributes/velocity/value?v=5", device=name)[0] in (400, 403, 404) or (
            "DB_DeviceNotDefined" in front.reasons("bob", "PUT", "attributes/velocity/value?v=5", device=name)
        )


def test_gateway_whose_own_user_has_read_access_says_so_and_recovers(front: Front, tango: ControlledTango) -> None:
    tango.tables.run(f"DELETE FROM access_device WHERE user='{getpass.getuser()}'", "tango")
    for method, path, body in (CHANGES[0], CHANGES[7], CHANGES[8]):  # libtango does not ask about configurations
        _, answer = front.ask("joe", method, path, body)
        assert "API_ReadOnlyMode" in front.reasons("joe", method, path, body), answer
        assert "gives the user that runs the gateway read access only" in str(answer)
    assert front.ask("joe", "GET", "attributes/velocity/value")[0] == 200
    tango.tables.allow(getpass.getuser())
    for method, path, body in (CHANGES[0], CHANGES[7]):  # libtango keeps the access to the database
        wait_until(lambda request=(method, path, body): front.reasons("joe", *request) == [])


def test_super_tango_spares_the_gateway_rights_of_its_own(tango: ControlledTango, tmp_path: Path) -> None:
    tango.tables.run(f"DELETE FROM access_device WHERE user='{getpass.getuser()}'", "tango")
    with fronted(tango, tmp_path / "log", SUPER_TANGO="true") as front:
        for method, path, body in CHANGES:
            assert front.reasons("joe", method, path, body) == []
            assert front.ask("ann", method, path, body)[0] == 403


def test_gateway_that_starts_without_the_service_reads_and_refuses_changes(
    tango: ControlledTango, tmp_path: Path
) -> None:
    tango.server.server.kill()
    with fronted(tango, tmp_path / "log") as front:
        for path in ("attributes/velocity/value", "properties", "state", "attributes"):
            status, answer = front.ask("ann", "GET", path)
            assert status == 200
            assert "errors" not in answer, answer
        status, answer = front.ask("joe", "PUT", "attributes/velocity/value?v=5")
        assert (status, answer["errors"][0]["reason"]) == (503, "MTANGO_AccessControlFailed")
        tango.mend()
        tango.define_services(SERVICE)
        wait_until(lambda: front.reasons("joe", "PUT", "attributes/velocity/value?v=5") == [])


def test_frozen_service_delays_changes_for_the_deadline_only_and_no_read(
    tango: ControlledTango, tmp_path: Path
) -> None:
    with fronted(tango, tmp_path / "log", MTANGO_CALL_DEADLINE="1", MTANGO_TANGO_TIMEOUT="1") as front:
        assert front.ask("ann", "PUT", "attributes/velocity/value?v=5")[0] == 403
        assert front.ask("joe", "GET", "attributes/velocity/value")[0] == 200
        tango.server.server.freeze()
        for user in ("one", "two", "three", "four", "five"):
            began = time.monotonic()
            assert front.ask(user, "PUT", "attributes/velocity/value?v=5")[0] == 503
            assert time.monotonic() - began < 3 * 2
            began = time.monotonic()
            assert front.reasons("ann", "GET", "attributes/velocity/value") == []
            assert time.monotonic() - began < 3 * 0.2
        began = time.monotonic()
        assert front.ask("six", "PUT", "attributes/velocity/value?v=5")[0] == 503
        assert time.monotonic() - began < 3 * 0.2  # its circuit is open
        tango.server.server.thaw()
        wait_until(lambda: front.reasons("joe", "PUT", "attributes/velocity/value?v=5") == [])


def test_missing_service_is_named(tango: ControlledTango, tmp_path: Path) -> None:
    tango.define_services()
    with fronted(tango, tmp_path / "log") as front:
        status, answer = front.ask("joe", "PUT", "commands/Stop")
        assert status == 503
        assert "MTANGO_TANGO_ACCESS_CONTROL" in answer["errors"][0]["description"]
        assert "the property Services of the free object CtrlSystem" in answer["errors"][0]["description"]
        assert front.ask("joe", "GET", f"../../../{DEVICE}/state")[0] in (200, 404)
