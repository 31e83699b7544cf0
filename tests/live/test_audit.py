"""The audit log of real workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import urllib.error
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.test_audit import fill, small_disk

from .conftest import Gateway, served, wait_until

pytestmark = pytest.mark.slow

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:application"]
VALUE = "/devices/sys/tg_test/1/attributes/double_scalar_w/value"


@contextlib.contextmanager
def audited(folder: Path, workers: int, audit: Path, **settings: str) -> Iterator[Gateway]:
    variables = {"MTANGO_AUDIT": str(audit), "MTANGO_AUDIT_FORMAT": "json", "MTANGO_WORKERS": str(workers)}
    with served(GUNICORN, folder / "log", **variables, **settings) as gateway:
        wait_until(lambda: len(gateway.get("/sys/stats")["workers"]) == workers)
        yield gateway


def lines(*files: Path) -> list[dict[str, Any]]:
    """The lines of all files; each must be whole."""
    return [json.loads(line) for file in files for line in file.read_text("ascii").splitlines()]


def write(gateway: Gateway, host_path: str, name: str, times: int) -> list[str]:
    """Write many times, over new connections, and return the ids of the requests that were answered."""
    answered = []
    for number in range(times):
        connection = gateway.connection()
        with contextlib.suppress(HTTPException, OSError):
            headers = {"X-Request-ID": f"{name}.{number}"}
            connection.request("PUT", f"/tango/rest{host_path}{VALUE}?v={number}", headers=headers)
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                answered.append(headers["X-Request-ID"])
        connection.close()
    return answered


def test_two_workers_write_one_file_that_is_rotated_under_load(
    tango_system: EmbeddedTango, host_path: str, tmp_path: Path
) -> None:
    file = tmp_path / "audit.log"
    with audited(tmp_path, 2, file) as gateway, ThreadPoolExecutor(4) as threads:
        writing = [threads.submit(write, gateway, host_path, f"writer{number}", 150) for number in range(4)]
        for number in range(3):
            wait_until(lambda: file.exists() and file.stat().st_size > 20_000)
            file.rename(tmp_path / f"audit.log.{number}")
        answered = [name for each in writing for name in each.result()]
    assert len(answered) == 600
    files = list(tmp_path.glob("audit.log*"))
    assert len(files) == 4
    assert Counter(line["request"] for line in lines(*files)) == Counter(answered)


def test_killed_worker_loses_at_most_its_queue(tango_system: EmbeddedTango, host_path: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    with audited(tmp_path, 1, file) as gateway, ThreadPoolExecutor(4) as threads:
        worker = gateway.worker().pid
        writing = [threads.submit(write, gateway, host_path, f"writer{number}", 100) for number in range(4)]
        wait_until(lambda: file.stat().st_size > 20_000)
        os.kill(worker, signal.SIGKILL)
        answered = {name for each in writing for name in each.result()}
        wait_until(gateway.answers)
    missing = answered - {line["request"] for line in lines(file)}
    assert len(missing) <= 4  # one for each client at most: the thread keeps up with them


def test_stopped_worker_writes_its_queue(tango_system: EmbeddedTango, host_path: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    with audited(tmp_path, 1, file) as gateway:
        for number in range(20):
            gateway.put(f"{host_path}{VALUE}?v={number}&async=1")
    outcomes = Counter(line["outcome"] for line in lines(file))
    assert outcomes == {"accepted": 20, "ok": 20}


def test_full_disk_refuses_writes_and_no_reads(tango_system: EmbeddedTango, host_path: str, tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk") as disk,
        audited(tmp_path, 2, disk / "audit.log", MTANGO_AUDIT_REQUIRED="1") as gateway,
    ):
        gateway.put(f"{host_path}{VALUE}?v=1.5")
        fill(disk / "filler")

        def is_refused() -> bool:
            try:
                gateway.put(f"{host_path}{VALUE}?v=1.5")
            except urllib.error.HTTPError as error:
                return error.code == 503 and b"MTANGO_AuditFailed" in error.read()
            return False

        wait_until(is_refused)
        assert write(gateway, host_path, "refused", 20) == []
        assert gateway.get(f"{host_path}{VALUE}")["value"] == 1.5
        (disk / "filler").unlink()
        wait_until(lambda: len(write(gateway, host_path, "again", 5)) == 5)
        wait_until(lambda: any("of this log are lost" in line["outcome"] for line in lines(disk / "audit.log")))
        found = lines(disk / "audit.log")  # all of them whole
        written = {line["request"] for line in found if line["outcome"] == "ok"}
        assert written <= {line["request"] for line in found if line["outcome"] == "begun"}
