"""The servers of the embedded Tango end with the process that has started them, however that ends."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

START = """
import json, os, signal, sys, time
from mtango_gevent.demo.embedded import EmbeddedTango

# Inherited as ignored where a shell runs the tests in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)

def tell(**facts):
    print(json.dumps(facts), flush=True)
"""
RUN = """
from pathlib import Path
with EmbeddedTango(Path(sys.argv[1]) if len(sys.argv) > 1 else None) as tango:
    tell(folder=str(tango.folder), database=tango.database.pid)
    signal.pause()
"""
INTERRUPTED_AT_THE_START = """
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.3)
with EmbeddedTango() as tango:
    signal.pause()
"""
FORK = """
with EmbeddedTango() as tango:
    child = os.fork()
    if not child:
        sys.exit()  # through the end of the with statement, as a worker of gunicorn does
    os.waitpid(child, 0)
    tell(servers=[tango.database.running, tango.device_server.running], folder=tango.folder.is_dir())
"""
PATCHED = """
import gevent
ticks = []
def tick():
    while True:
        gevent.sleep(0.01)
        ticks.append(time.monotonic())
ticker = gevent.spawn(tick)
with EmbeddedTango() as tango:
    tell(ticks=len(ticks), running=tango.device_server.running)
"""
WITHOUT_TANGO = """
import mtango_gevent
before = "tango" in sys.modules
import mtango_gevent.demo.embedded
tell(loaded=("tango" in sys.modules) != before)
"""
SERVER = """
import gevent.monkey
import mtango_gevent.demo.server
tell(patched=[name for name in ("socket", "threading", "os") if gevent.monkey.is_module_patched(name)])
"""

Parent = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def parent() -> Iterator[Parent]:
    """Starts a program in a session of its own, as a shell does with a job."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    return json.loads(process.stdout.readline())


def run(program: str) -> dict[str, Any]:
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, left = psutil.wait_procs(processes, timeout=10)
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []


def test_a_killed_parent_leaves_no_process_and_no_folder(parent: Parent) -> None:
    process = parent(START + RUN)
    folder = told(process)["folder"]
    servers = family(process)
    assert len(servers) == 3  # the database, the device server and the process reaper
    process.kill()
    assert_gone(servers)
    assert not Path(folder).exists()


def test_a_killed_parent_takes_a_frozen_server_with_it(parent: Parent) -> None:
    process = parent(START + RUN)
    os.kill(told(process)["database"], signal.SIGSTOP)
    servers = family(process)
    process.kill()
    assert_gone(servers)


def test_ctrl_c_stops_everything_and_the_database_last(parent: Parent, tmp_path: Path) -> None:
    process = parent(START + RUN, str(tmp_path))
    told(process)
    servers = family(process)
    assert exported(tmp_path) > 5
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the whole group
    assert process.wait(20) != 0
    assert_gone(servers)
    assert exported(tmp_path) == 0  # the device server could still sign off


def exported(data: Path) -> int:
    """How many devices of the demo are exported, by the database's file."""
    with closing(sqlite3.connect(data / "tango.sqlite")) as database:
        query = "SELECT count(*) FROM device WHERE exported AND server = 'MtangoDemo/demo'"
        return database.execute(query).fetchone()[0]


def test_ctrl_c_during_the_start_leaves_nothing(parent: Parent) -> None:
    process = parent(START + INTERRUPTED_AT_THE_START)
    servers = []
    while process.poll() is None:
        servers = family(process) or servers
    assert servers
    assert_gone(servers)


def test_the_end_of_a_fork_stops_nothing() -> None:
    assert run(START + FORK) == {"servers": [True, True], "folder": True}


def test_a_patched_parent_goes_on_while_it_starts() -> None:
    facts = run("import gevent.monkey; gevent.monkey.patch_all()" + START + PATCHED)
    assert facts["running"]
    assert facts["ticks"] > 5


def test_the_parent_needs_no_pytango() -> None:
    assert run(START + WITHOUT_TANGO) == {"loaded": False}


def test_the_device_server_is_never_patched() -> None:
    assert run(START + SERVER) == {"patched": []}
