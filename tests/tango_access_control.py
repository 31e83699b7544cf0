"""A Tango with Debian's TangoAccessControl, which keeps its tables in a MariaDB: a private one, in the folder of it."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from mtango_gevent.demo.server_process import stop_session
from tests.tracked_server import TrackedServer
from tests.waiting import wait_until

_PROGRAMS = "/usr/lib/tango:/usr/sbin:/usr/bin"
_SERVER = shutil.which("TangoAccessControl", path=_PROGRAMS)
_MARIADB = shutil.which("mariadbd", path=_PROGRAMS)
# Of the package tango-db, which the one of the server needs: tables, procedures, allowed commands.
_SCHEMA = Path("/usr/share/dbconfig-common/data/tango-db/install/mysql")

MISSING = [] if _SERVER and _MARIADB and _SCHEMA.exists() else ["tango-accesscontrol", "mariadb-server"]

DEVICE = "sys/access_control/1"
SERVICE = f"AccessControl/tango:{DEVICE}"


class AccessTables:
    """The tables of TangoAccessControl. A new database allows all users to write all devices from all addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._client = ["mariadb", "--no-defaults", f"--socket={folder / 'socket'}", "--user=root"]

    def run(self, statement: str, *options: str) -> None:
        subprocess.run([*self._client, *options], input=statement.encode(), check=True, capture_output=True)

    def clear(self) -> None:
        self.run("DELETE FROM access_device; DELETE FROM access_address", "tango")

    def allow(self, user: str, device: str = "*/*/*", rights: str = "write", address: str = "*.*.*.*") -> None:
        """Give a user rights on devices, and allow an address."""
        self.run(
            f"INSERT INTO access_device SET user='{user}', device='{device}', rights='{rights}', updated=NOW();"
            f"INSERT INTO access_address SET user='{user}', address='{address}', updated=NOW()",
            "tango",
        )

    def allow_command(self, class_name: str, command: str) -> None:
        """Allow a command with read access."""
        self.run(
            f"INSERT INTO property_class SET class='{class_name}', name='AllowedAccessCmd', value='{command}',"
            " updated=NOW()",
            "tango",
        )

    def is_running(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.run("SELECT 1")
            return True
        return False


@contextlib.contextmanager
def start_mariadb(system: EmbeddedTango) -> Iterator[AccessTables]:
    assert _MARIADB
    folder = system.folder / "mariadb"
    folder.mkdir()
    data = f"--datadir={folder / 'data'}"
    install = ["mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal"]
    user = f"--user={getpass.getuser()}"
    subprocess.run([*install, user, "--skip-test-db"], check=True, capture_output=True)
    small = ["--skip-networking", "--innodb-buffer-pool-size=8M", "--key-buffer-size=1M"]
    command = [_MARIADB, "--no-defaults", data, user, f"--socket={folder / 'socket'}", *small]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        system.reap(process.pid)
        tables = AccessTables(folder)
        wait_until(tables.is_running)
        tables.run("CREATE DATABASE tango")
        tables.run(_SCHEMA.read_text(), "tango")
        yield tables
    finally:
        stop_session(process, 10)


class ControlledTango:
    """An embedded Tango with the demo's devices and a TangoAccessControl.

    It is a service once `define_services` says so, for programs that connect after that.
    """

    def __init__(self, system: EmbeddedTango, tables: AccessTables, server: ServerProcess) -> None:
        self.system, self.tables = system, tables
        self.server = TrackedServer(server)

    def mend(self) -> None:
        """Have the service run again, and not be defined."""
        self.server.server.thaw()
        self.define_services()
        self.server.start()

    def define_services(self, *lines: str) -> None:
        """Set the property that names the services of the control system."""
        program = (
            "import sys, tango\n"
            "database, lines = tango.Database(), sys.argv[1:]\n"
            "database.set_access_control(tango.AccessControlType.ACCESS_WRITE)  # whatever is defined now\n"
            "if lines:\n"
            "    database.command_inout('DbPutProperty', ['CtrlSystem', '1', 'Services', str(len(lines)), *lines])\n"
            "else:\n"
            "    database.command_inout('DbDeleteProperty', ['CtrlSystem', 'Services'])\n"
        )
        environment = {"TANGO_HOST": self.system.tango_host}
        subprocess.run([sys.executable, "-c", program, *lines], env=environment, check=True, capture_output=True)


@contextlib.contextmanager
def controlled_tango() -> Iterator[ControlledTango]:
    """Start it all. MISSING has to be empty."""
    assert _SERVER
    with EmbeddedTango() as system, start_mariadb(system) as tables:
        (tables.folder / ".my.cnf").write_text(f"[client]\nsocket={tables.folder / 'socket'}\n")
        variables = [f"HOME={tables.folder}", "MYSQL_USER=root", "MYSQL_HOST=localhost", "SUPER_TANGO=true"]
        server = system.add_server(
            ["env", *variables, _SERVER, "1"], "TangoAccessControl/1", {DEVICE: "TangoAccessControl"}
        )
        yield ControlledTango(system, tables, server)
