"""A flood of wrong passwords, beside users with the right one.

`python -m tests.live.password_flood 60` measures for 60 seconds without the flood and 60 with it, for each kind of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.access.credentials import basic, write_passwords
from tests.live.conftest import Gateway, served, wait_until

# Wrong passwords and requests with right ones, each second; users with a connection of their own.
RATE, PACE, USERS = 50, 100, 4

# Of whom the wrong passwords are: a user, many names from one address, or names from many addresses.
KINDS = ("user", "address", "network")

# Reports the longest time that the worker's hub was held, and its longest work at a time, in seconds.
WATCHED = """
import gevent, time
from pathlib import Path
from mtango_gevent import create_app

application = create_app()

def watch():
    longest = busiest = 0.0
    while True:
        began, used = time.perf_counter(), time.thread_time()
        gevent.sleep(0.005)
        held, worked = time.perf_counter() - began - 0.005, time.thread_time() - used
        if RESET.exists():
            longest = busiest = 0.0
            RESET.unlink()
        if held > longest or worked > busiest:
            longest, busiest = max(longest, held), max(busiest, worked)
            NEW.write_text(f"{longest} {busiest}")
            NEW.replace(REPORT)

RESET, REPORT, NEW = (Path("FOLDER", name) for name in ("reset", "report", "new"))
gevent.spawn(watch)
"""


@dataclasses.dataclass
class Figures:
    """Seconds of the right users' requests, and statuses of all.

    hub: the longest time in which the hub did not run a greenlet that was due; work: the processor time of the hub
    in such a time, which is all that the gateway itself is answerable for where others use the processors too.
    """

    median: float
    p99: float
    longest: float
    hub: float
    work: float
    statuses: Counter[int]
    wrong: Counter[int]

    def __str__(self) -> str:
        times = " ".join(
            f"{name} {getattr(self, name) * 1000:6.2f} ms" for name in ("median", "p99", "longest", "hub", "work")
        )
        return f"{times}; right {dict(self.statuses)}, wrong {dict(self.wrong)}"


@contextmanager
def flooded_gateway(folder: Path, cost: int) -> Iterator[Gateway]:
    """A gateway with users `user0`, `user1`, ...; the address of a client is what it forwards."""
    (folder / "watched.py").write_text(WATCHED.replace("FOLDER", str(folder)), "utf-8")
    passwords = {f"user{n}": f"right{n}" for n in range(USERS)}
    settings = {
        "MTANGO_AUTH": "basic",
        "MTANGO_AUTH_BASIC_FILE": write_passwords(folder / "htpasswd", cost, **passwords),
        "MTANGO_TRUSTED_PROXIES": "1",
        "PYTHONPATH": f"{folder}:{os.getcwd()}",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "watched:application"]
    with served(command, folder / "log", **settings) as gateway:
        yield gateway


def measure(gateway: Gateway, path: str, seconds: float, kind: str | None) -> Figures:
    """Measure the right users of one address, whose names a flood of that kind has too."""
    folder = gateway.log.parent
    (folder / "reset").touch()
    wait_until(lambda: not (folder / "reset").exists())
    flood = kind and subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.live.password_flood",
            str(seconds),
            "--attack",
            kind,
            "--port",
            str(gateway.port),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    times, statuses = list[float](), Counter[int]()
    threads = [
        threading.Thread(target=_use, args=(gateway.port, path, n, seconds, times, statuses)) for n in range(USERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hub, work = map(float, (folder / "report").read_text().split())
    wrong = Counter[int](map(int, flood.communicate(timeout=60)[0].split())) if flood else Counter[int]()
    times.sort()
    return Figures(statistics.median(times), times[len(times) * 99 // 100], times[-1], hub, work, statuses, wrong)


def _use(port: int, path: str, number: int, seconds: float, times: list[float], statuses: Counter[int]) -> None:
    """Make requests as a user, evenly spread over the time."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {**basic(f"user{number}", f"right{number}"), "X-Forwarded-For": "10.0.0.1"}
    due = time.perf_counter() + number / PACE
    until = due + seconds
    while due < until:
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        times.append(time.perf_counter() - began)
        statuses[response.status] += 1
        due += USERS / PACE
    connection.close()


def _attack(port: int, seconds: float, kind: str) -> None:
    """Send wrong passwords at an even pace, each without waiting for the answers of others; print their statuses."""
    threads = [
        threading.Thread(target=_guess, args=(port, kind, number, number / RATE))
        for number in range(int(seconds * RATE))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _guess(port: int, kind: str, number: int, due: float) -> None:
    time.sleep(due)
    user = f"user{number % USERS}" if kind != "address" else f"name{number}"
    address = f"10.1.{number // 250}.{number % 250}" if kind == "network" else "10.0.0.1"
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {**basic(user, f"wrong{number}"), "X-Forwarded-For": address}
    connection.request("GET", "/tango/rest/sys/whoami", headers=headers)
    print(f"{connection.getresponse().status}\n", end="", flush=True)
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    parser.add_argument("--attack", choices=KINDS)
    parser.add_argument("--port", type=int)
    parser.add_argument("--cost", type=int, default=12)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    if options.attack:
        _attack(options.port, options.seconds, options.attack)
        return
    with EmbeddedTango() as system, tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        os.environ["TANGO_HOST"] = system.tango_host
        path = (
            f"/tango/rest/rc3/hosts/{system.tango_host.replace(':', '/')}/devices/sys/tg_test/1/attributes/ampli/value"
        )
        with flooded_gateway(Path(folder), options.cost) as gateway:
            measure(gateway, path, 2, None)
            for kind in (None, *options.kinds):
                print(f"{kind or 'none':8}", measure(gateway, path, options.seconds, kind), flush=True)
            print("log lines:", gateway.log.read_text().count("too many wrong passwords from"))


if __name__ == "__main__":
    main()
