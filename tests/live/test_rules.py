"""Rules that change under load: in force soon, in both workers, without a failed request."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import Gateway, served, wait_until

pytestmark = pytest.mark.slow

CONNECTIONS = 8

# Seconds in which changed rules have to be in force, three times what is promised, as other tests may run.
LONGEST = 6.0

ALLOWED, DENIED = (
    f'[[rule]]\nanyone = true\n{verb} = ["write"]\nattributes = ["double_scalar"]\n' for verb in ("may", "may_not")
)


@dataclasses.dataclass
class Load:
    """Requests of several connections: when each write began and its status, and the statuses of the reads."""

    gateway: Gateway
    url: str
    writes: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    others: list[int] = dataclasses.field(default_factory=list)
    is_on: bool = True

    def run(self) -> None:
        while self.is_on:
            connection = self.gateway.connection()  # anew, for a worker that is free
            for _ in range(5):
                self.others.append(self._ask(connection, "GET", self.url))
                began = time.monotonic()
                self.writes.append((began, self._ask(connection, "PUT", f"{self.url}?v=1")))
            connection.close()

    @staticmethod
    def _ask(connection: HTTPConnection, method: str, url: str) -> int:
        connection.request(method, url)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def last(self) -> set[int]:
        """Return the statuses of the last writes, of all connections."""
        return {status for _, status in self.writes[-10 * CONNECTIONS :]}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rules") / "access.toml"
    file.write_text(ALLOWED)
    return file


@pytest.fixture(scope="module")
def two(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory, rules: Path) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    settings = {"MTANGO_WORKERS": "2", "MTANGO_RULES": str(rules)}
    with served(command, tmp_path_factory.mktemp("two") / "log", **settings) as gateway:
        wait_until(lambda: len(gateway.get("/sys/stats")["workers"]) == 2)
        yield gateway


def replace(file: Path, text: str) -> float:
    """Replace the file, and return when."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)
    return time.monotonic()


def test_changed_rules_are_in_force_in_both_workers_and_fail_no_request(
    two: Gateway, rules: Path, host_path: str
) -> None:
    load = Load(two, f"/tango/rest{host_path}/devices/sys/tg_test/1/attributes/double_scalar/value")
    threads = [threading.Thread(target=load.run) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(load.writes) > 10 * CONNECTIONS and load.last() == {200})
        for text, status in ((DENIED, 403), ("[[rule]]\nbroken = 1\n", 403), (ALLOWED, 200), (DENIED, 403)):
            before = load.writes[-1][1]
            changed = replace(rules, text)
            time.sleep(1.5)
            wait_until(lambda status=status: load.last() == {status}, LONGEST)
            late = [began - changed for began, found in load.writes if began > changed and found != status]
            print(f"{before} -> {status}: the last old answer {max(late, default=0.0):.2f} s after the change")
            assert max(late, default=0.0) < LONGEST
    finally:
        load.is_on = False
        for thread in threads:
            thread.join()
    assert set(load.others) == {200}
    assert {status for _, status in load.writes} == {200, 403}
    print(len(load.others), "reads,", len(load.writes), "writes")
    workers = two.get("/sys/stats")["workers"]
    assert all(worker["requests"] > 100 for worker in workers), "one worker has had no load"
    assert "Traceback" not in two.log.read_text()
