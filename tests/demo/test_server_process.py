"""The servers of the embedded Tango one by one: added, stopped, killed, frozen, restarted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import tango

from mtango_gevent.demo.embedded import EmbeddedTango, ServerFailed, ServerProcess
from tests.waiting import wait_until

CODE = """
import sys
from tango.server import Device, run

class Plain(Device):
    pass

run([Plain], args=["Plain", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device server with the class Plain."""
    path = tmp_path_factory.mktemp("server") / "plain.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def server(embedded: EmbeddedTango, script: Path) -> Iterator[ServerProcess]:
    added = embedded.add_server([sys.executable, str(script), "test"], "Plain/test", {"test/plain/1": "Plain"})
    yield added
    added.stop()


@pytest.fixture
def plain(server: ServerProcess, device: Callable[[str], tango.DeviceProxy]) -> tango.DeviceProxy:
    proxy = device("test/plain/1")
    proxy.set_timeout_millis(300)
    return proxy


def answers(proxy: tango.DeviceProxy) -> bool:
    try:
        proxy.ping()
    except tango.DevFailed:
        return False
    return True


def test_an_added_server_answers_as_soon_as_it_is_there(server: ServerProcess, plain: tango.DeviceProxy) -> None:
    plain.ping()
    assert server.running
    assert plain.info().server_id == "Plain/test"


def test_process_of_a_server_is_the_server_itself(server: ServerProcess, script: Path) -> None:
    assert str(script) in psutil.Process(server.pid).cmdline()


def test_stopped_server_ends(server: ServerProcess, plain: tango.DeviceProxy) -> None:
    server.stop()
    assert not server.running
    assert not psutil.pid_exists(server.pid)
    assert not answers(plain)


@pytest.mark.slow
def test_server_can_be_restarted(server: ServerProcess, plain: tango.DeviceProxy) -> None:
    first = server.pid
    server.restart()
    assert server.running
    assert server.pid != first
    wait_until(lambda: answers(plain))  # the proxy finds it again


@pytest.mark.slow
def test_killed_server_is_gone_and_can_be_started_again(server: ServerProcess, plain: tango.DeviceProxy) -> None:
    server.kill()
    assert not server.running
    assert not answers(plain)
    server.start()
    wait_until(lambda: answers(plain))


@pytest.mark.slow
def test_frozen_server_does_not_answer_until_it_is_thawed(server: ServerProcess, plain: tango.DeviceProxy) -> None:
    plain.ping()
    server.freeze()
    assert server.running
    assert not answers(plain)
    server.thaw()
    wait_until(lambda: answers(plain))


@pytest.mark.slow
def test_frozen_server_can_be_stopped(server: ServerProcess) -> None:
    server.freeze()
    server.stop()
    assert not server.running


@pytest.mark.slow
def test_the_database_keeps_its_port_when_restarted(
    embedded: EmbeddedTango, server: ServerProcess, plain: tango.DeviceProxy
) -> None:
    embedded.database.restart()
    host, port = embedded.tango_host.split(":")
    assert "test/plain/1" in list(tango.Database(host, int(port)).get_device_exported("test/plain/*"))
    assert answers(plain)


def test_server_that_does_not_start_is_reported_with_its_log(embedded: EmbeddedTango, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('the reason')")
    with pytest.raises(ServerFailed, match=r"Broken/test ended instead of starting.*\nthe reason"):
        embedded.add_server([sys.executable, str(broken), "test"], "Broken/test", {"test/broken/1": "Broken"})


def test_a_command_that_does_not_exist_is_named(embedded: EmbeddedTango) -> None:
    # Denied, where PATH has a folder that this user may not look into.
    with pytest.raises(ServerFailed, match=r"no-such-server: (No such file|Permission denied)"):
        embedded.add_server(["no-such-server", "test"], "None/test", {"test/none/1": "None"})


def test_devices_of_a_server_that_runs_are_not_taken_away(embedded: EmbeddedTango, script: Path) -> None:
    with pytest.raises(ServerFailed, match="sys/tg_test/1 belongs to the server MtangoDemo/demo"):
        embedded.add_server([sys.executable, str(script), "thief"], "Plain/thief", {"sys/tg_test/1": "Plain"})
