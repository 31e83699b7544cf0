"""Other WSGI servers, with their files of deploy/: uWSGI with gevent, Apache's mod_wsgi with threads."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.live.conftest import Gateway, served, wait_until
from tests.pytango_process import PyTango

from .conftest import ROOT, adapted, skip_unless_others_may_read

APACHE = shutil.which("apache2", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
MODULES = Path("/usr/lib/apache2/modules")
MOD_WSGI = MODULES / f"mod_wsgi.so-{sys.version_info[0]}.{sys.version_info[1]}"  # as Debian names it

# What Debian's apache2.conf has around it, but for the paths; Apache puts the variable in.
AROUND = """
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:${{MTANGO_PORT}}
PidFile {folder}/pid
ErrorLog /dev/stderr
Mutex file:{folder}
WSGISocketPrefix {folder}/wsgi
"""


@contextlib.contextmanager
def uwsgi(folder: Path) -> Iterator[Gateway]:
    if importlib.util.find_spec("pyuwsgi") is None:
        pytest.skip("uWSGI is not installed (PyPI: pyuwsgi)")
    ini = folder / "uwsgi.ini"
    ini.write_text(adapted("uwsgi.ini", {"127.0.0.1:8000": "127.0.0.1:$(MTANGO_PORT)"}))
    program = f"import pyuwsgi; pyuwsgi.run(['--ini', {str(ini)!r}])"
    with served([sys.executable, "-c", program], folder / "log") as gateway:
        yield gateway


@contextlib.contextmanager
def mod_wsgi(folder: Path) -> Iterator[Gateway]:
    if APACHE is None or not MOD_WSGI.is_file():
        pytest.skip(f"there is no {MOD_WSGI} (Debian: apache2-bin libapache2-mod-wsgi-py3)")
    skip_unless_others_may_read(ROOT, Path(sys.prefix))
    paths = {"/opt/mtango-gevent/share/mtango-gevent": str(ROOT), "/opt/mtango-gevent": sys.prefix}
    loaded = {"mpm_event": MODULES / "mod_mpm_event.so", "authz_core": MODULES / "mod_authz_core.so", "wsgi": MOD_WSGI}
    with tempfile.TemporaryDirectory() as public:  # pytest's own folders are for root alone
        Path(public).chmod(0o755)
        lines = [f"LoadModule {name}_module {path}" for name, path in loaded.items()]
        if os.geteuid() == 0:
            lines += ["User nobody", "Group nogroup"]
        configuration = Path(public, "apache.conf")
        configuration.write_text("\n".join([AROUND.format(folder=public), *lines, adapted("mod_wsgi.conf", paths)]))
        command = [APACHE, "-D", "FOREGROUND", "-f", str(configuration)]
        with served(command, folder / "log", PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1") as gateway:
            yield gateway


def waiting(gateway: Gateway) -> int:
    """Requests that have no answer yet, this one among them."""
    figures = gateway.get("/sys/stats")
    return figures["requests"] - figures["responses"]


Server = Callable[[Path], contextlib.AbstractContextManager[Gateway]]
each_server = pytest.mark.parametrize("server", [uwsgi, mod_wsgi])


@each_server
def test_wsgi_server_reads_writes_and_waits_for_events(
    server: Server, tango_system: EmbeddedTango, host_path: str, sender: str, pytango: PyTango, tmp_path: Path
) -> None:
    with server(tmp_path) as gateway, ThreadPoolExecutor(1) as threads:
        assert gateway.get(f"{host_path}/devices/sys/tg_test/1/state")["state"] == "RUNNING"
        text = "x" * 100_000
        assert gateway.put(f"{host_path}/devices/sys/tg_test/1/commands/DevString", text)["output"] == text
        url = f"{host_path}/devices/demo/types/1/attributes/value?" + "&".join(
            f"attr=unknown_{n:03}" for n in range(470)
        )
        assert len(gateway.get(url)) == 470
        path = f"{host_path}/devices/{sender}/attributes/sent0/change"
        before = gateway.get(f"{path}?state=INITIAL")["value"]
        event = threads.submit(gateway.get, f"{path}?timeout=20000")
        wait_until(lambda: gateway.get("/sys/stats")["events"]["listeners"] > 0 or event.done())
        pytango.run(sender, "SendOne", "change")
        assert event.result(15)["value"] == before + 1


@each_server
def test_slow_devices_delay_no_other_requests(
    server: Server, slow_devices: list[str], host_path: str, tmp_path: Path
) -> None:
    with server(tmp_path) as gateway, ThreadPoolExecutor(4) as threads:
        paths = [f"{host_path}/devices/{name}/attributes/slow/value" for name in slow_devices]
        began = time.monotonic()
        answers = threads.map(gateway.get, paths)
        gateway.get("/sys/config")
        assert time.monotonic() - began < 1.0
        assert [answer["value"] for answer in answers] == [1.0] * 4
        assert time.monotonic() - began < 3 * 1.0


@each_server
def test_wsgi_server_stops_while_events_come(
    server: Server, slow_devices: list[str], host_path: str, tmp_path: Path
) -> None:
    with server(tmp_path) as gateway, ThreadPoolExecutor(1) as threads:
        gateway.get(f"{host_path}/devices/demo/motor/1/attributes/position/change?state=INITIAL")
        slow = threads.submit(gateway.get, f"{host_path}/devices/{slow_devices[0]}/attributes/slow/value")
        wait_until(lambda: waiting(gateway) == 2)
    log = gateway.log.read_text()
    assert gateway.process.returncode == 0
    assert "Traceback" not in log
    assert "signal 6" not in log
    assert slow.result()["value"] == 1.0
