"""The ways to run the gateway: the command, plain threads without gevent, and the demo."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import psutil
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import HAS_PIPES
from tests.pytango_process import PyTango

from .conftest import Gateway, free_port, served, wait_until

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "mtango_gevent"]
ROOT = Path(__file__).parents[2]


def test_serve_runs_the_repositorys_configuration(tango_system: EmbeddedTango, tmp_path: Path, host_path: str) -> None:
    with served([*COMMAND, "serve"], tmp_path / "log", MTANGO_WORKERS="2") as gateway:
        assert gateway.get(f"{host_path}/devices/sys/tg_test/1/state")["state"] == "RUNNING"
        assert gateway.get("/sys/config")["workers"] == 2
        assert len(psutil.Process(gateway.process.pid).children()) == 2
        log = gateway.log.read_text()
    assert gateway.process.returncode == 0
    assert "Using worker: mtango_gevent.serving.worker.GatewayWorker" in log
    assert "Traceback" not in gateway.log.read_text()


def test_plain_threads_without_gevent_work_with_the_same_code(
    tango_system: EmbeddedTango, slow_devices: list[str], tmp_path: Path, host_path: str
) -> None:
    waitress = [sys.executable, "-m", "waitress", "--listen=127.0.0.1:PORT", "--threads=8", "wsgi:application"]
    with served(waitress, tmp_path / "log") as gateway:
        paths = [f"{host_path}/devices/{name}/attributes/slow/value" for name in slow_devices]
        began = time.monotonic()
        with ThreadPoolExecutor(4) as threads:
            assert [answer["value"] for answer in threads.map(gateway.get, paths)] == [1.0] * 4
        assert time.monotonic() - began < 3 * 1.0
        assert gateway.get("/sys/stats")["pool"]["threads"] == 0
        assert gateway.get("/sys/cache/devices")["currsize"] >= 4


def test_a_gevent_program_that_patches_nothing_can_embed_it(
    tango_system: EmbeddedTango, slow_devices: list[str], tmp_path: Path, host_path: str
) -> None:
    program = (
        "from gevent.pywsgi import WSGIServer; from mtango_gevent import create_app;"
        "WSGIServer(('127.0.0.1', PORT), create_app(), log=None).serve_forever()"
    )
    with served([sys.executable, "-c", program], tmp_path / "log") as gateway:
        paths = [f"{host_path}/devices/{name}/attributes/slow/value" for name in slow_devices]
        began = time.monotonic()
        with ThreadPoolExecutor(4) as threads:
            assert [answer["value"] for answer in threads.map(gateway.get, paths)] == [1.0] * 4
        assert time.monotonic() - began < 3 * 1.0
        assert gateway.get("/sys/stats")["pool"]["threads"] == 4


def test_a_device_that_is_late_is_a_failure_and_others_go_on(
    tango_system: EmbeddedTango, slow_devices: list[str], tmp_path: Path, host_path: str
) -> None:
    settings = {"MTANGO_TANGO_TIMEOUT": "0.5", "MTANGO_DEVICE_LIMIT": "1", "MTANGO_QUEUE_TIMEOUT": "0.1"}
    with served([*COMMAND, "serve"], tmp_path / "log", **settings) as gateway:
        path = f"{host_path}/devices/{slow_devices[0]}/attributes"
        gateway.get(f"{path}/quick/value")
        with ThreadPoolExecutor(3) as threads:
            reads = ("slow/value", "failing/value", "value?attr=slow&attr=failing")  # which are not shared
            answers = [threads.submit(gateway.get, f"{path}/{read}") for read in reads]
            assert gateway.get(f"{host_path}/devices/sys/tg_test/1/attributes/ampli/value")["quality"] == "ATTR_VALID"
            reasons = sorted(error["reason"] for answer in answers for error in answer.result()["errors"])
        assert reasons.count("API_DeviceTimedOut") == 1
        assert reasons.count("MTANGO_DeviceBusy") == 2
        assert gateway.get("/sys/stats")["pool"]["refused"] == 2


# --- check ---


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def without(folder: Path, *packages: str) -> str:
    """Return a PYTHONPATH with which an interpreter starts that does not find these packages."""
    program = f"import sys; sys.modules.update(dict.fromkeys({packages}))"
    (folder / "sitecustomize.py").write_text(program)
    return os.pathsep.join([str(folder), str(ROOT)])


def test_check_prints_its_findings(tango_system: EmbeddedTango) -> None:
    ended = run("check", MTANGO_PORT="8123", MTANGO_TYPO="1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    pipes = "pipes: yes" if HAS_PIPES else "pipes: no (extra pipes)"
    optional = f"optional     pictures: yes, Swagger UI: yes, expressions: yes, {pipes}\n"
    for said in (
        "PyTango ",
        optional,
        "HTTP parser  in ",
        f"{tango_system.tango_host}: TANGO Database",
        "green calls  yield",
    ):
        assert said in ended.stdout
    assert "port = 8123" in ended.stdout
    assert "MTANGO_TYPO is no setting" in ended.stdout


def test_check_names_the_extras_of_parts_that_are_not_installed(tmp_path: Path) -> None:
    ended = run("check", PYTHONPATH=without(tmp_path, "PIL", "flask_swagger_ui", "re2"), TANGO_HOST="127.0.0.1:1")
    said = "pictures: no (extra image), Swagger UI: no (extra docs), expressions: no (extra mtango-py), pipes: "
    assert f"optional     {said}" in ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("tango_host", ["127.0.0.1:1", "", "nonsense"])
def test_check_fails_without_a_database(tango_system: EmbeddedTango, tango_host: str) -> None:
    ended = run("check", TANGO_HOST=tango_host)
    assert ended.returncode == 1
    assert "FAILED" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_a_wrong_command_line_is_an_error() -> None:
    assert run().returncode == 2
    assert run("nope").returncode == 2
    assert "mtango-gevent 0" in run("--version").stdout


# --- demo ---


def test_demo_without_its_database_names_the_extra(tmp_path: Path) -> None:
    ended = run("demo", PYTHONPATH=without(tmp_path, "databaseds"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "mtango-gevent demo: needs pytango-db: pip install 'mtango-gevent[demo]'\n"


@dataclasses.dataclass
class Demo:
    process: subprocess.Popen[bytes]
    family: list[psutil.Process]
    log: Path


def ignore_sigint() -> None:
    """Be as a shell starts a job in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    log = tmp_path / "log"
    bind = f"127.0.0.1:{free_port()}"
    command = [*COMMAND, "demo", "--bind", bind, "--workers", "2", "--data", str(tmp_path / "data")]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, preexec_fn=ignore_sigint)
    try:
        wait_until(lambda: b"Ctrl-C" in log.read_bytes() or process.poll() is not None, 60)
        yield Demo(process, psutil.Process(process.pid).children(recursive=True), log)
    finally:
        process.terminate()
        process.wait(30)


def test_demo_prints_examples(demo: Demo) -> None:
    commands = re.findall(r"^\s+(curl .*)$", demo.log.read_text(), re.MULTILINE)
    assert len(commands) == 3, demo.log.read_text()
    for command in commands:
        reply = subprocess.run([*shlex.split(command), "-s"], capture_output=True, timeout=30)
        assert "errors" not in orjson.loads(reply.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_demo_takes_everything_down(demo: Demo, number: signal.Signals) -> None:
    assert len(demo.family) >= 5  # database, device server, process reaper, gunicorn and its workers
    demo.process.send_signal(number)
    assert demo.process.wait(30) == 0
    assert not psutil.wait_procs(demo.family, 10)[1]
    assert "Traceback" not in demo.log.read_text()


def test_a_demo_that_is_killed_leaves_nothing_either(demo: Demo) -> None:
    demo.process.kill()
    assert not psutil.wait_procs(demo.family, 20)[1]


def test_a_taken_port_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("demo", "--bind", f"127.0.0.1:{port}")
        assert ended.returncode == 1
        assert ended.stderr.strip().count("\n") == 0
        assert f"127.0.0.1:{port}" in ended.stderr
        ended = run("demo", "--bind", f"127.0.0.1:{free_port()}", "--tango-port", str(port))
        assert ended.returncode == 1
        assert str(port) in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "bind",
    ["8000", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "127.0.0.1:0", "[::1:8000", "a b:1", "no.such.host:8000"],
)
def test_a_wrong_bind_is_a_clear_error(bind: str) -> None:
    ended = run("demo", "--bind", bind)
    assert ended.returncode != 0
    assert ended.stderr.strip().count("\n") == 0
    assert "--bind" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", ["--tango-port=99999", "--tango-port=-1", "--workers=0", "--workers=x"])
def test_a_wrong_number_is_a_clear_error(option: str) -> None:
    ended = run("demo", option)
    assert ended.returncode == 2
    assert option.partition("=")[0] in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_demo_needs_no_proxy(tmp_path: Path) -> None:
    command = [*COMMAND, "demo", "--bind", f"127.0.0.1:{free_port()}"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        environment = {**os.environ, "http_proxy": "http://127.0.0.1:1"}
        demo = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_until(lambda: b"Ctrl-C" in log.read_bytes())
    finally:
        demo.terminate()
        demo.wait(30)


@contextlib.contextmanager
def opened_demo(log: Path, **environment: str) -> Iterator[int]:
    """Run `demo --open`, and yield its port."""
    port = free_port()
    command = [*COMMAND, "demo", "--bind", f"0.0.0.0:{port}", "--open"]
    variables = {**os.environ, "PATH": "", "DISPLAY": "", "WAYLAND_DISPLAY": "", **environment}
    with log.open("wb") as output:
        demo = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=variables)
    try:
        yield port
        assert demo.poll() is None
    finally:
        demo.terminate()
        demo.wait(30)


@pytest.mark.slow
def test_demo_opens_the_page_in_the_browser(tmp_path: Path) -> None:
    log, browser = tmp_path / "log", tmp_path / "browser"
    program = "import sys, urllib.request\nprint(urllib.request.urlopen(sys.argv[1]).url)"
    browser.write_text(f"#!{sys.executable}\n{program}\n")
    browser.chmod(0o755)
    with opened_demo(log, BROWSER=f"{browser} %s") as port:
        wait_until(lambda: f"\nhttp://127.0.0.1:{port}/\n" in log.read_text(), 60)


@pytest.mark.slow
def test_demo_without_a_browser_says_where_the_page_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with opened_demo(log, BROWSER="/no/such/browser %s") as port:
        wait_until(lambda: f"found no browser; open http://127.0.0.1:{port}/ yourself" in log.read_text(), 60)


def test_asynchronous_write_is_done_before_the_worker_ends(
    slow_devices: list[str], host_path: str, pytango: PyTango, tmp_path: Path
) -> None:
    device = f"{host_path}/devices/{slow_devices[0]}"
    with served([*COMMAND, "serve"], tmp_path / "log") as gateway:
        for seconds in (0.3, 0.2, 0.1):
            assert gateway.put(f"{device}/attributes/lazy/value?v={seconds}&async=true") is None
    assert pytango.read(slow_devices[0], "lazy") == 0.1


def test_asynchronous_write_that_takes_too_long_is_logged(
    slow_devices: list[str], host_path: str, tmp_path: Path
) -> None:
    device, log = f"{host_path}/devices/{slow_devices[1]}", tmp_path / "log"
    with served([*COMMAND, "serve"], log, MTANGO_CALL_DEADLINE="1") as gateway:
        for _ in range(3):
            gateway.put(f"{device}/attributes/lazy/value?v=0.8&async=true")
    assert f"async requests of {slow_devices[1]} not done" in log.read_text()


# --- what gunicorn decides before the application ---


def ask_raw(gateway: Gateway, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /tango/rest HTTP/1.1\r\nHost: a\r\nBad header\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", None),
    ],
)
def test_request_that_is_not_http_gets_the_failure_body(
    gateway: Gateway, request_text: bytes, status: int | None
) -> None:
    head, _, body = ask_raw(gateway, request_text).partition(b"\r\n\r\n")
    assert b"x-mtango: mtango-gevent" in head
    failure = orjson.loads(body)
    assert failure["quality"] == "FAILURE"
    assert failure["errors"][0]["description"]
    assert failure["http_status"] in ([status] if status else [400, 414])
    assert gateway.get("")["rc3"]


def test_only_the_setting_makes_forwarding_headers_count(gateway: Gateway) -> None:
    request = (
        b"GET /tango/rest HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Host: there\r\nScript-Name: /foo\r\nSCRIPT_NAME: /foo\r\n\r\n"
    )
    _, _, body = ask_raw(gateway, request).partition(b"\r\n\r\n")
    assert orjson.loads(body)["rc3"] == "http://here/tango/rest/rc3"


def test_the_log_in_json_is_json_only(tango_system: EmbeddedTango, host_path: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with served([*COMMAND, "serve"], log, MTANGO_LOG_FORMAT="json") as gateway:
        gateway.get(f"{host_path}/devices/sys/tg_test/1/state")
    lines = [orjson.loads(line) for line in log.read_text().splitlines()]
    assert {line["logger"] for line in lines} == {"gunicorn.error", "mtango_gevent.access"}
    (state,) = [line for line in lines if line.get("url", "").endswith("/state")]
    assert (state["status"], state["device"], state["outcome"]) == (200, "sys/tg_test/1", "ok")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_log_lines_of_a_worker_that_hangs_are_not_lost(
    tango_system: EmbeddedTango, tmp_path: Path, log_format: str
) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--timeout", "3", "tests.live.hanging"]
    with served(command, tmp_path / "log", MTANGO_LOG_FORMAT=log_format) as gateway:
        worker = gateway.worker()
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
            connection.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
            worker.wait(30)  # until gunicorn has killed it
        wait_until(gateway.answers)  # a new worker that is told to stop while it begins does not hear it
        assert "the last words of a worker" in gateway.log.read_text()


def test_loading_before_the_fork_is_refused_with_the_reason(tango_system: EmbeddedTango) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--preload", "wsgi:application"]
    environment = {**os.environ, "MTANGO_HOST": "127.0.0.1", "MTANGO_PORT": str(free_port())}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert "PyTango before the fork" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_is_replaced_after_so_many_requests(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with served([*COMMAND, "serve"], tmp_path / "log", MTANGO_MAX_REQUESTS="20") as gateway:
        first = gateway.worker().pid

        def replaced() -> bool:
            (worker, *_) = gateway.get("/sys/stats")["workers"]
            return worker["pid"] != first

        wait_until(replaced)
        assert gateway.get("/sys/stats")["requests"] >= 20


def test_no_number_of_workers_is_one_for_each_processor(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with served([*COMMAND, "serve"], tmp_path / "log", MTANGO_WORKERS="0") as gateway:
        children = psutil.Process(gateway.process.pid).children
        wait_until(lambda: len(children()) == len(os.sched_getaffinity(0)))
