"""Questions to Debian's TangoAccessControl."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from mtango_gevent.config import Config
from mtango_gevent.control import access_control
from mtango_gevent.control.access_control import TangoAccessControl
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import find_host
from tests.tango_access_control import DEVICE, MISSING, SERVICE, ControlledTango, controlled_tango

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed (Debian): {', '.join(MISSING)}"),
]

MOTOR, CAMERA = "demo/motor/1", "demo/camera/1"


@pytest.fixture(scope="module")
def controlled() -> Iterator[ControlledTango]:
    with controlled_tango() as controlled:
        yield controlled


@pytest.fixture
def tango(controlled: ControlledTango) -> Iterator[ControlledTango]:
    """The service is defined, and no user has rights."""
    controlled.tables.clear()
    controlled.define_services(SERVICE)
    yield controlled
    controlled.mend()


class Asking:
    """Questions with one client, whose answers are kept as in a gateway."""

    def __init__(self, tango: ControlledTango, **settings: float) -> None:
        self.client = TangoClient(Config(tango_hosts=(tango.system.tango_host,), **settings))
        self.access = TangoAccessControl(self.client)
        host, _, port = tango.system.tango_host.partition(":")
        found = find_host(self.client, host, int(port))
        assert found
        self.host = found

    def status(self, user: str, device: str = MOTOR, address: str = "10.1.2.3", command: str = "") -> int:
        """Return the status of the refusal; 200 without one."""
        refusal = self.access.refusal(user, address, Device(self.host, device), command)
        return refusal.status if refusal else 200

    def text(self, user: str, address: str = "10.1.2.3") -> str:
        refusal = self.access.refusal(user, address, Device(self.host, MOTOR))
        return refusal.description if refusal else ""


@pytest.fixture
def asking(tango: ControlledTango) -> Asking:
    return Asking(tango)


def test_user_may_change_the_devices_that_the_service_lets_the_user_write(
    tango: ControlledTango, asking: Asking
) -> None:
    tango.tables.allow("joe", "demo/motor/*")
    assert asking.status("joe") == asking.status("JOE", "Demo/MOTOR/1") == 200
    assert asking.status("joe", CAMERA) == 403
    assert asking.status("ann") == 403
    assert asking.text("ann") == (
        "MTANGO_TANGO_ACCESS_CONTROL: TangoAccessControl gives ann at 10.1.2.3 read access to demo/motor/1"
    )


@pytest.mark.parametrize(
    ("allowed", "address", "status"),
    [
        ("*.*.*.*", "10.1.2.3", 200),
        ("10.1.*.*", "10.1.2.3", 200),
        ("10.1.*.*", "10.2.2.3", 403),
        ("10.1.2.3", "::ffff:10.1.2.3", 200),
        ("10.1.*.*", "2001:db8::1", 403),
        ("2001:db8::1", "2001:DB8:0::1", 200),
        ("*.*.*.*", "2001:db8::1", 200),
        ("*.*.*.*", "fe80::1%eth0", 200),
        ("*.*.*.*", "", 403),
        ("*.*.*.*", "some.host.example", 403),
        ("*.*.*.*", "*.*.*.*", 403),
        ("*.*.*.*", '10.1.2.3" OR "1"="1', 403),
    ],
)
def test_user_has_access_from_the_addresses_of_the_service(
    tango: ControlledTango, asking: Asking, allowed: str, address: str, status: int
) -> None:
    tango.tables.allow("joe", address=allowed)
    assert asking.status("joe", address=address) == status


@pytest.mark.parametrize(
    "name", ['x" OR "1"="1', "joe'", "joe\\", "*", "j*", " joe", "joe ", "joé", "joe\0", "\u212aim", "x" * 256]
)
def test_user_whose_name_means_more_to_the_service_is_refused(
    tango: ControlledTango, asking: Asking, name: str
) -> None:
    tango.tables.allow("*")
    tango.tables.allow("joe")
    tango.tables.allow("kim")
    assert asking.status(name) == 403
    assert "expected a user of printable ASCII" in asking.text(name)


def test_anonymous_client_has_the_rights_of_all_users_or_of_the_user_anonymous(
    tango: ControlledTango,
) -> None:
    tango.tables.allow("*", address="10.1.*.*")
    assert Asking(tango).status("") == 200
    assert Asking(tango).status("", address="10.2.0.1") == 403
    tango.tables.allow(access_control.ANONYMOUS_USER, "*/*/*", "read")
    assert Asking(tango).status("") == 403
    assert Asking(tango).status("joe") == 200


def test_command_that_the_service_lists_for_the_class_may_be_run_with_read_access(
    tango: ControlledTango, asking: Asking
) -> None:
    tango.tables.allow_command("Motor", "Stop")
    assert asking.status("joe", command="STOP") == 200
    assert asking.status("joe", command="state") == asking.status("joe", command="Status") == 200
    assert asking.status("joe", command="Home") == 403
    assert asking.status("joe", CAMERA, command="Stop") == 403
    assert asking.status("joe") == 403


def test_commands_of_the_database_are_those_of_its_class_in_libtango(asking: Asking) -> None:
    assert asking.status("joe", "sys/database/2", command="DbGetDeviceProperty") == 200
    assert asking.status("joe", "sys/database/2", command="DbPutDeviceProperty") == 403
    assert asking.status("joe", "dserver/MtangoDemo/demo", command="QueryClass") == 200
    assert asking.status("joe", "dserver/MtangoDemo/demo", command="Kill") == 403


def test_answers_are_kept_for_a_short_time(
    tango: ControlledTango, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asking.status("joe") == 403
    tango.tables.allow("joe")
    assert asking.status("joe") == 403
    monkeypatch.setattr(access_control, "_LIFETIME", 0.0)
    assert Asking(tango).status("joe") == 200


@pytest.mark.parametrize(
    "services", [(), ("HdbManager/hdb:a/b/c",), ("AccessControl/tango:",), ("AccessControl/x:a/b",)]
)
def test_missing_service_is_named_with_setting_and_property(
    tango: ControlledTango, asking: Asking, services: tuple[str, ...]
) -> None:
    tango.define_services(*services)
    assert asking.status("joe") == 503
    text = asking.text("joe")
    assert text.startswith("MTANGO_TANGO_ACCESS_CONTROL: ")
    assert "the property Services of the free object CtrlSystem with a line AccessControl/tango:DEVICE" in text


def test_service_of_a_tango_host_that_is_not_served_is_not_asked(tango: ControlledTango, asking: Asking) -> None:
    tango.define_services(f"AccessControl/tango:tango://127.0.0.1:1/{DEVICE}")
    assert asking.status("joe") == 503
    assert "expected a Tango host that the gateway serves" in asking.text("joe")
    tango.define_services(f"AccessControl/tango:tango://{tango.system.tango_host}/{DEVICE}")
    assert Asking(tango).status("joe") == 403


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_nothing_is_allowed_without_an_answer_of_the_service(tango: ControlledTango, fault: str) -> None:
    tango.tables.allow("joe")
    asking = Asking(tango, tango_timeout=0.3, call_deadline=0.5)
    assert asking.status("joe") == 200
    with contextlib.ExitStack() as stack:
        getattr(tango.server.server, fault)()
        stack.callback(tango.server.server.thaw)
        assert asking.status("joe") == 200  # kept
        assert asking.status("ann") == 503
        assert "TangoAccessControl cannot be asked" in asking.text("ann")
        refusal = asking.access.refusal("ann", "10.1.2.3", Device(asking.host, MOTOR))
        assert refusal
        assert refusal.headers == {"Retry-After": "1"}


def test_undefined_device_is_refused_like_any_other(asking: Asking) -> None:
    assert asking.status("joe", "no/such/device") == 403
