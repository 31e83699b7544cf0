"""Authentication under a real gunicorn: the start, changes under load, and a flood of wrong passwords."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango, free_port
from mtango_gevent.key_file import KeyFile
from tests.api.access.credentials import basic, new_key, write_passwords
from tests.http_clients import Clients

from .conftest import COMMAND, ROOT, Gateway, served, wait_until
from .password_flood import KINDS, flooded_gateway, measure

pytestmark = pytest.mark.slow

WHOAMI = "/tango/rest/sys/whoami"


def status_of(gateway: Gateway, headers: dict[str, str]) -> int:
    """Return the status of an answer, on a new connection, which any worker may get."""
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.port}{WHOAMI}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


# --- the start ---


def start(command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "TANGO_HOST": "127.0.0.1:1", "MTANGO_PORT": str(free_port()), **settings}
    return subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=60)


def wrong_settings(folder: Path) -> Iterator[tuple[dict[str, str], str]]:
    (folder / "htpasswd").write_text("alice:plain\n", "utf-8")
    yield {"MTANGO_AUTH": "basic"}, "MTANGO_AUTH_BASIC_FILE: expected the htpasswd file of `basic`, got none"
    broken = f"MTANGO_AUTH_BASIC_FILE: cannot use {folder}/htpasswd: line 1: expected a bcrypt hash"
    yield {"MTANGO_AUTH": "basic", "MTANGO_AUTH_BASIC_FILE": f"{folder}/htpasswd"}, broken
    yield {"MTANGO_AUTH": "trusted-header"}, "MTANGO_AUTH_HEADER_FROM: expected the addresses"
    yield {"MTANGO_RULES": f"{folder}/none"}, f"MTANGO_RULES: cannot use {folder}/none"
    yield {"MTANGO_AUDIT": f"{folder}/none/log"}, f"MTANGO_AUDIT: cannot open {folder}/none/log"


def test_wrong_settings_are_one_line_before_the_banner(tmp_path: Path) -> None:
    for settings, problem in wrong_settings(tmp_path):
        ended = start([sys.executable, "-m", "mtango_gevent", "serve"], **settings)
        assert (ended.returncode, ended.stdout) == (2, "")
        (line,) = ended.stderr.splitlines()
        assert line.startswith(f"mtango-gevent: {problem}")


def test_check_fails_with_wrong_settings(tmp_path: Path) -> None:
    for settings, problem in wrong_settings(tmp_path):
        ended = start([sys.executable, "-m", "mtango_gevent", "check"], **settings)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(f"mtango-gevent: {problem}")


def test_wrong_settings_end_gunicorn_without_a_traceback(tmp_path: Path) -> None:
    for settings, problem in wrong_settings(tmp_path):
        ended = start(COMMAND, **settings)
        assert ended.returncode != 0
        assert ended.stderr.count(problem) == 1, ended.stderr
        assert "Traceback" not in ended.stderr


def test_trusted_header_does_not_go_with_headers_that_cannot_be_told_apart() -> None:
    settings = {"MTANGO_AUTH": "trusted-header", "MTANGO_AUTH_HEADER_FROM": "127.0.0.1"}
    ended = start([*COMMAND[:3], "--header-map", "dangerous", *COMMAND[3:]], **settings)
    assert ended.returncode != 0
    assert "trusted-header does not go with --header-map dangerous" in ended.stderr


def answer_of(gateway: Gateway, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


@pytest.mark.parametrize("end", ["kill", "reload"])
def test_new_worker_with_broken_files_refuses_and_recovers(
    tango_system: EmbeddedTango, host_path: str, tmp_path: Path, end: str
) -> None:
    rules, logs = tmp_path / "rules.toml", tmp_path / "logs"
    good = '[[rule]]\nanyone = true\nmay = ["read", "write"]\n'
    rules.write_text(good, "utf-8")
    logs.mkdir()
    value = f"/tango/rest{host_path}/devices/sys/tg_test/1/attributes/double_scalar/value"
    settings = {"MTANGO_RULES": str(rules), "MTANGO_AUDIT": f"{logs}/audit", "MTANGO_AUDIT_REQUIRED": "1"}
    with served(COMMAND, tmp_path / "log", **settings) as gateway:
        assert answer_of(gateway, value)[0] == 200
        first = gateway.worker()
        rules.write_text("broken", "utf-8")
        logs.rename(tmp_path / "moved")
        first.kill() if end == "kill" else gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not first.is_running())
        wait_until(gateway.answers)
        status, text = answer_of(gateway, value)
        assert (status, "MTANGO_AccessUnavailable" in text, "MTANGO_RULES: " in text) == (503, True, True)
        assert answer_of(gateway, "/healthz")[0] == 200
        status, text = answer_of(gateway, "/readyz")
        assert (status, "MTANGO_RULES: its file cannot be used" in text) == (503, True)
        rules.write_text(good, "utf-8")
        wait_until(lambda: answer_of(gateway, value)[0] == 200, 10)
        status, text = answer_of(gateway, f"{value}?v=1", "PUT")
        assert (status, "MTANGO_AuditFailed" in text) == (503, True)
        (tmp_path / "moved").rename(logs)
        wait_until(lambda: answer_of(gateway, f"{value}?v=1", "PUT")[0] == 200, 10)
        wait_until(lambda: answer_of(gateway, "/readyz")[0] == 200, 10)


# --- headers ---


def test_header_with_underscores_is_not_taken_for_the_proxys(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    settings = {"MTANGO_AUTH": "trusted-header", "MTANGO_AUTH_HEADER_FROM": "127.0.0.1"}
    with served(COMMAND, tmp_path / "log", **settings) as gateway:
        assert status_of(gateway, {"X-Remote-User": "alice"}) == 200
        assert status_of(gateway, {"X_Remote_User": "alice"}) == 401
        assert status_of(gateway, {}) == 401


# --- changes ---


class Users(Clients):
    """Requests of users whose credentials do not change, one after the other as long as the block lasts."""

    def __init__(self, gateway: Gateway, *users: dict[str, str]) -> None:
        super().__init__()
        self.statuses = Counter[int]()
        self._threads = [threading.Thread(target=self._ask, args=(gateway, headers)) for headers in users]

    def _ask(self, gateway: Gateway, headers: dict[str, str]) -> None:
        while not self._over.is_set():
            self.statuses[status_of(gateway, headers)] += 1


def test_changes_are_in_force_in_all_workers_and_fail_no_request(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    passwords, keys = tmp_path / "htpasswd", tmp_path / "keys"
    stays = new_key(keys, "stays")
    settings = {
        "MTANGO_WORKERS": "2",
        "MTANGO_AUTH": "basic,key",
        "MTANGO_AUTH_BASIC_FILE": write_passwords(passwords, alice="same", bob="old"),
        "MTANGO_AUTH_KEY_FILE": str(keys),
    }

    def seconds_until(gateway: Gateway, is_right: bool, headers: dict[str, str]) -> float:
        """Return when the last other answer came before 40 answers in a row that are 200 or, if not right, none."""
        began = other = time.monotonic()
        in_a_row = 0
        while in_a_row < 40:
            is_expected = (status_of(gateway, headers) == 200) == is_right
            in_a_row = in_a_row + 1 if is_expected else 0
            other = other if is_expected else time.monotonic()
            assert time.monotonic() - began < 30
            time.sleep(0.01)
        return other - began

    with served(COMMAND, tmp_path / "log", **settings) as gateway:
        users = Users(gateway, basic("alice", "same"), {"X-API-Key": stays})
        times = []
        with users:
            wait_until(lambda: users.statuses[200] > 20)
            write_passwords(passwords, alice="same", bob="new")
            times.append(seconds_until(gateway, True, basic("bob", "new")))
            added = new_key(keys, "added")
            times.append(seconds_until(gateway, True, {"X-API-Key": added}))
            KeyFile(str(keys)).revoke("added")
            times.append(seconds_until(gateway, False, {"X-API-Key": added}))
            passwords.write_text("broken", "utf-8")
            time.sleep(1.5)
            write_passwords(passwords, alice="same")
            times.append(seconds_until(gateway, False, basic("bob", "new")))
        assert max(times) < 3 * 2, times
        assert users.statuses.keys() == {200}
        assert KeyFile(str(keys)).last_uses().keys() == {key.sha256 for key in KeyFile(str(keys)).read()}


# --- a flood ---


@pytest.mark.timing
def test_flood_of_wrong_passwords_does_not_touch_users(
    tango_system: EmbeddedTango, host_path: str, tmp_path: Path
) -> None:
    path = f"/tango/rest{host_path}/devices/sys/tg_test/1/attributes/ampli/value"
    with flooded_gateway(tmp_path, cost=9) as gateway:
        measure(gateway, path, 1, None)
        quiet = measure(gateway, path, 4, None)
        for kind in KINDS:
            found = measure(gateway, path, 4, kind)
            assert found.statuses.keys() == {200}, found
            assert set(found.wrong) <= {401, 429, 503}, found
            assert found.work < 3 * 0.05, found
            assert found.median < max(3 * 2 * quiet.median, 0.05), (quiet, found)
        assert gateway.log.read_text().count("too many wrong passwords from 10.0.0.1") == 1
