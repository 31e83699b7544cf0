"""The start and the stop of the embedded Tango: its data folder, its errors, its processes."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import tango

from mtango_gevent.demo.embedded import EmbeddedTango, EmbeddedTangoError, PortTaken, ServerFailed, free_port

TYPES, TANGOTEST = "demo/types/1", "sys/tg_test/1"


def proxy(running: EmbeddedTango, name: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://{running.tango_host}/{name}")


def family() -> set[int]:
    """The processes started by this one."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.fixture
def no_more_processes() -> Iterator[None]:
    before = family()
    yield
    assert family() == before


@pytest.mark.slow
@pytest.mark.usefixtures("no_more_processes")
def test_stopped_tango_leaves_no_process_and_no_folder() -> None:
    running = EmbeddedTango()
    with running:
        assert proxy(running, TANGOTEST).state() == tango.DevState.RUNNING
        assert running.folder.is_dir()
    assert not running.folder.exists()
    assert not running.database.running
    assert not running.device_server.running
    running.stop()  # once more does no harm


def test_devices_answer_as_soon_as_the_embedded_tango_has_started(embedded: EmbeddedTango) -> None:
    exported = set(tango.Database(*embedded.tango_host.split(":")).get_device_exported("*"))
    demo = {"sys/tg_test/1", "demo/types/1", "demo/motor/1", "demo/powersupply/1", "demo/camera/1"}
    assert demo <= exported
    for name in demo:
        proxy(embedded, name).ping()


def test_a_start_takes_a_few_seconds_at_most() -> None:
    before = time.monotonic()
    with EmbeddedTango():
        assert time.monotonic() - before < 10


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs the /proc of Linux")
def test_embedded_tango_listens_on_the_loopback_only(embedded: EmbeddedTango) -> None:
    for server in (embedded.database, embedded.device_server):
        connections = psutil.Process(server.pid).net_connections("inet")
        listening = [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN]
        assert set(listening) == {"127.0.0.1"}


@pytest.mark.slow
@pytest.mark.usefixtures("no_more_processes")
def test_a_data_folder_can_be_used_again(tmp_path: Path) -> None:
    data = tmp_path / "not" / "there yet"
    with EmbeddedTango(data) as first:
        proxy(first, TYPES).memorized_scalar = 42.5
        proxy(first, TANGOTEST).put_property({"numbers": ["4"], "mine": ["kept"]})
        config = proxy(first, TANGOTEST).get_attribute_config("double_scalar")
        config.events.ch_event.abs_change = "7"
        proxy(first, TANGOTEST).set_attribute_config(config)
    assert {path.name for path in data.iterdir()} >= {"tango.sqlite", "database.log", "MtangoDemo-demo.log"}
    with EmbeddedTango(data) as again:
        assert proxy(again, TYPES).memorized_scalar == 42.5
        properties = proxy(again, TANGOTEST).get_property(["numbers", "mine"])
        assert {name: list(values) for name, values in properties.items()} == {"numbers": ["4"], "mine": ["kept"]}
        config = proxy(again, TANGOTEST).get_attribute_config("double_scalar")
        assert config.events.ch_event.abs_change == "7"
    assert data.is_dir()


@pytest.mark.slow
@pytest.mark.usefixtures("no_more_processes")
def test_one_object_can_be_started_again(tmp_path: Path) -> None:
    running = EmbeddedTango(tmp_path)
    for _ in range(2):
        running.start()
        with pytest.raises(EmbeddedTangoError, match="already started"):
            running.start()
        proxy(running, TANGOTEST).ping()
        running.stop()


@pytest.mark.slow
def test_the_port_can_be_chosen() -> None:
    port = free_port()
    with EmbeddedTango(port=port) as running:
        assert running.tango_host == f"127.0.0.1:{port}"


def test_free_port_is_given_to_nobody_else_before_its_server_listens() -> None:
    ports = [free_port() for _ in range(100)]
    assert len(set(ports)) == 100
    assert max(ports) < 32_768  # Linux gives those from there on to connections


@pytest.mark.usefixtures("no_more_processes")
def test_taken_port_is_reported_at_once_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        before = time.monotonic()
        with pytest.raises(PortTaken, match=f"port {port} .* taken") as failure:
            EmbeddedTango(tmp_path, port).start()
        assert time.monotonic() - before < 1
        assert "\n" not in str(failure.value)


@pytest.mark.slow
@pytest.mark.usefixtures("no_more_processes")
@pytest.mark.parametrize(
    ("content", "reason"), [(b"no database " * 100, "file is not a database"), (b"", "Incompatible SQLite schema")]
)
def test_a_broken_database_fails_with_the_end_of_its_log(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "tango.sqlite").write_bytes(content)
    before = time.monotonic()
    with pytest.raises(ServerFailed, match="database ended instead of starting") as failure:
        EmbeddedTango(tmp_path).start()
    assert reason in str(failure.value)
    assert time.monotonic() - before < 10


@pytest.mark.slow
@pytest.mark.usefixtures("no_more_processes")
def test_a_device_of_another_server_is_left_alone(tmp_path: Path) -> None:
    with EmbeddedTango(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "tango.sqlite")) as database, database:
        database.execute("UPDATE device SET server = 'Real/one' WHERE name = 'demo/motor/1'")
    with pytest.raises(ServerFailed, match="demo/motor/1 belongs to the server Real/one"):
        EmbeddedTango(tmp_path).start()
