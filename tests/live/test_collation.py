"""Properties in Debian's database, whose MariaDB compares names without accents and blanks at the end."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango, free_port
from mtango_gevent.demo.server_process import stop_session
from tests.live.conftest import Gateway, served, wait_until
from tests.tango_access_control import MISSING, start_mariadb

DATABASE = Path("/usr/lib/tango/DataBaseds")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING) or not DATABASE.exists(), reason="not installed (Debian): tango-db"),
]

COMMAND = [sys.executable, "-m", "mtango_gevent", "serve"]
DEVICE = "test/collation/1"

RULES = """
[[rule]]
anyone = true
may_not = ["configure"]
properties = ["polled_attr"]

[[rule]]
anyone = true
may = ["configure"]
"""

DEFINE = f"""
import tango
database, info = tango.Database(), tango.DbDevInfo()
info.name, info.server, info._class = {DEVICE!r}, "Collation/1", "Collation"
database.add_device(info)
database.put_device_property({DEVICE!r}, {{"polled_attr": ["kept"], "pylle": ["kept"], "plain": ["kept"]}})
"""


@pytest.fixture(scope="module")
def tango_host() -> Iterator[str]:
    with EmbeddedTango() as system, start_mariadb(system) as tables:
        (tables.folder / ".my.cnf").write_text(f"[client]\nsocket={tables.folder / 'socket'}\n")
        port = free_port()
        host = f"127.0.0.1:{port}"
        environment = {"HOME": str(tables.folder), "MYSQL_USER": "root", "MYSQL_HOST": "localhost", "TANGO_HOST": host}
        command = [str(DATABASE), "2", "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}"]
        with (tables.folder / "database.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            system.reap(process.pid)
            define = [sys.executable, "-c", DEFINE]
            wait_until(lambda: subprocess.run(define, env={**os.environ, **environment}).returncode == 0)
            yield host
        finally:
            stop_session(process, 10)


@pytest.fixture
def gateway(tango_host: str, tmp_path: Path) -> Iterator[Gateway]:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    with served(COMMAND, tmp_path / "log", TANGO_HOST=tango_host, MTANGO_RULES=str(rules)) as gateway:
        yield gateway


def ask(gateway: Gateway, tango_host: str, method: str, path: str, body: object = None) -> Any:
    """Return the document of an answer."""
    base = f"/tango/rest/rc3/hosts/{tango_host.replace(':', '/')}/devices/{DEVICE}/properties"
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    connection.request(method, base + path, orjson.dumps(body) if body else None)
    text = connection.getresponse().read()
    connection.close()
    return orjson.loads(text) if text else None


@pytest.mark.parametrize("name", ["pólled_attr", "Polled_Attr ", "polled_attṛ", "pülle", "plaïn", "pl%ïn", "pól%"])
def test_name_with_an_accent_changes_no_other_property(gateway: Gateway, tango_host: str, name: str) -> None:
    url = f"/{quote(name, safe='')}"
    before = ask(gateway, tango_host, "GET", "")
    for _ in range(2):
        assert "errors" in ask(gateway, tango_host, "PUT", f"{url}?value=evil")
        ask(gateway, tango_host, "PUT", "", {name: ["evil"]})
        ask(gateway, tango_host, "DELETE", url)
        assert ask(gateway, tango_host, "GET", "") == before
    assert {tuple(item["values"]) for item in before} == {("kept",)}


def test_other_names_with_accents_are_properties_as_any(gateway: Gateway, tango_host: str) -> None:
    url = f"/{quote('größe')}"
    assert ask(gateway, tango_host, "PUT", f"{url}?value=1") == {"name": "größe", "values": ["1"]}
    assert ask(gateway, tango_host, "DELETE", url) is None
    assert ask(gateway, tango_host, "GET", url)["values"] == []
