"""A real Tango for all tests: the embedded one, with Debian's C++ TangoTest beside it where that is installed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tango
from flask import Flask
from hypothesis import settings
from webtest import TestApp
from werkzeug.routing import Rule

from mtango_gevent import create_app
from mtango_gevent.config import Config
from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from tests.pytango_process import PyTango, start_pytango
from tests.waiting import wait_until

TESTS = Path(__file__).parent
CPP_SERVER = shutil.which("TangoTest", path=f"{os.environ.get('PATH', '')}:/usr/lib/tango")
DEMO_DEVICE, CPP_DEVICE, TYPES_DEVICE, SENDER_DEVICE = "sys/tg_test/1", "test/cpp/1", "demo/types/1", "test/sender/1"
CHANGING_DEVICE = "test/changing/1"
# How many examples of each kind hypothesis tries, other ones each time (`make fuzz`); 0: some, and always the same.
EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
settings.register_profile("tests", max_examples=EXAMPLES or 25, derandomize=not EXAMPLES, deadline=None, database=None)
settings.load_profile("tests")

# The markers of the tests in each folder.
FOLDERS = {"browser": ["browser"], "deploy": ["deploy"], "faults": ["live", "slow"], "live": ["live"]}

HAS_PIPES = hasattr(tango.DeviceProxy, "read_pipe")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in FOLDERS.get(item.path.relative_to(TESTS).parts[0], ()):
            item.add_marker(marker)


def pytest_report_header() -> str:
    cpp = CPP_SERVER or "not installed, its tests are skipped"
    return f"PyTango {tango.__version__} {'with' if HAS_PIPES else 'without'} pipes; C++ TangoTest: {cpp}"


@pytest.fixture(scope="session", autouse=True)
def _rules_are_compiled_once() -> Iterator[None]:
    """Share the functions that build URLs between the applications of the tests, which are hundreds.

    To compile them is most of the time that create_app() takes, and the gateway uses none.
    """
    compile_builder, compiled = Rule._compile_builder, {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = rule.rule, repr(rule.defaults), append_unknown
        if key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_once)
        yield


@pytest.fixture(scope="session")
def tango_system() -> Iterator[EmbeddedTango]:
    """The embedded Tango of the session; TANGO_HOST names it, and what it polls has a history."""
    with EmbeddedTango() as system:
        os.environ["TANGO_HOST"] = system.tango_host
        demo = tango.DeviceProxy(DEMO_DEVICE)
        wait_until(lambda: not any("No data recorded yet" in each for each in demo.polling_status()))
        yield system


@pytest.fixture(scope="session")
def cpp_device(tango_system: EmbeddedTango) -> str:
    if CPP_SERVER is None:
        pytest.skip("the C++ TangoTest is not installed (Debian: tango-test)")
    tango_system.add_server([CPP_SERVER, "cpp"], "TangoTest/cpp", {CPP_DEVICE: "TangoTest"})
    return CPP_DEVICE


@pytest.fixture(scope="session", params=["demo", "cpp"])
def tangotest(request: pytest.FixtureRequest) -> str:
    """The name of a TangoTest: the demo's, then the C++ one."""
    request.getfixturevalue("tango_system")
    return request.getfixturevalue("cpp_device") if request.param == "cpp" else DEMO_DEVICE


@pytest.fixture(scope="session")
def slow_devices(tango_system: EmbeddedTango) -> list[str]:
    """Four devices of one server that take their time; see tests/devices.py."""
    names = [f"test/slow/{number}" for number in range(1, 5)]
    command = [sys.executable, str(Path(__file__).parent / "devices.py"), "test"]
    tango_system.add_server(command, "Slow/test", dict.fromkeys(names, "Slow"))
    return names


@pytest.fixture(scope="session")
def sender_server(tango_system: EmbeddedTango) -> ServerProcess:
    command = [sys.executable, str(Path(__file__).parent / "devices.py"), "sender"]
    return tango_system.add_server(command, "Slow/sender", {SENDER_DEVICE: "Sender"})


@pytest.fixture(scope="session")
def _changing_server(tango_system: EmbeddedTango) -> ServerProcess:
    command = [sys.executable, str(Path(__file__).parent / "devices.py"), "changing"]
    return tango_system.add_server(command, "Slow/changing", {CHANGING_DEVICE: "Changing"})


@pytest.fixture
def changing_server(_changing_server: ServerProcess, pytango: PyTango) -> Iterator[ServerProcess]:
    """The server of a device that its properties change, which is as it is by default before the test and after it."""
    yield _changing_server
    pytango.put_properties(CHANGING_DEVICE, labels=[], kind=[], answers=[])
    pytango.delete_attribute_property(CHANGING_DEVICE, "mode", "enum_labels")
    _changing_server.restart()


@pytest.fixture
def sender(sender_server: ServerProcess, pytango: PyTango) -> str:
    """The name of a device that sends events when it is told to, as it is after its start."""
    pytango.run(SENDER_DEVICE, "Init")
    return SENDER_DEVICE


@pytest.fixture(scope="session")
def pytango(tango_system: EmbeddedTango) -> Iterator[PyTango]:
    with start_pytango(tango_system.tango_host) as pytango:
        yield pytango


@pytest.fixture
def fresh_types(pytango: PyTango) -> Iterator[str]:
    """The name of the device with one of everything, which afterwards has its own values again."""
    yield TYPES_DEVICE
    pytango.run(TYPES_DEVICE, "Init")


@pytest.fixture(scope="session")
def app(tango_system: EmbeddedTango) -> Flask:
    return create_app(Config())


@pytest.fixture(scope="session")
def client(app: Flask) -> TestApp:
    return TestApp(app)


@pytest.fixture
def make_client(tango_system: EmbeddedTango) -> Callable[..., TestApp]:
    """A client of an application with other settings."""
    return lambda **settings: TestApp(create_app(Config(**settings)))


@pytest.fixture(scope="session")
def host_url(tango_system: EmbeddedTango) -> str:
    return "/tango/rest/rc3/hosts/" + tango_system.tango_host.replace(":", "/")


@pytest.fixture
def device_url(host_url: str, tangotest: str) -> str:
    """Of each TangoTest in turn."""
    return f"{host_url}/devices/{tangotest}"


@pytest.fixture(scope="session")
def demo_url(host_url: str) -> str:
    """Of the demo's TangoTest, where one is enough."""
    return f"{host_url}/devices/{DEMO_DEVICE}"


@pytest.fixture(scope="session")
def types_url(host_url: str) -> str:
    """Of the device with one of everything."""
    return f"{host_url}/devices/{TYPES_DEVICE}"
