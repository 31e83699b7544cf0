"""Files of access control that are broken, that vanish, or whose file system hangs."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from webtest import TestApp

from mtango_gevent import create_app
from mtango_gevent.api.access.watched_file import WatchedFile
from mtango_gevent.config import Config, ConfigError, starts_without_files
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError
from tests.hub_thread import in_hub_thread
from tests.waiting import wait_until

from .credentials import WHOAMI, basic, htpasswd_line, new_key, status_of, wait_for_status, write_passwords

pytestmark = pytest.mark.slow

ALLOW_ALL = '[[rule]]\nanyone = true\nmay = ["read", "write"]\n'
DEEP_TOML = "a = " + "[" * 5000 + "]" * 5000


def unavailable(client: TestApp, url: str, **headers: str) -> str:
    answer = client.get(url, headers=headers, status=503).json
    assert answer["errors"][0]["reason"] == "MTANGO_AccessUnavailable"
    return answer["errors"][0]["description"]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.toml"
    file.write_text(ALLOW_ALL, "utf-8")
    return file


# --- what a parser raises ---


def test_content_stays_in_force_whatever_the_parser_raises(
    make_client: Callable[..., TestApp], rules: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(rules=str(rules))
    rules.write_text(DEEP_TOML, "utf-8")
    with caplog.at_level(logging.ERROR):
        wait_until(lambda: client.get("/tango/rest", status=200) and "RecursionError" in caplog.text)
    (warning,) = client.get("/readyz", status=200).json["warnings"]
    assert warning.startswith("MTANGO_RULES: cannot use ")
    assert "RecursionError" in warning
    client.get("/healthz", status=200)


def test_start_fails_in_one_line_whatever_the_parser_raises(rules: Path, tmp_path: Path) -> None:
    rules.write_text(DEEP_TOML, "utf-8")
    with pytest.raises(ConfigError, match=r"^MTANGO_RULES: cannot use .*: RecursionError: "):
        create_app(Config(rules=str(rules)))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_defect_of_a_method_does_not_reach_a_free_view(
    make_client: Callable[..., TestApp],
    tmp_path: Path,
    path: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make_client(auth=("basic",), auth_basic_file=write_passwords(tmp_path / "htpasswd", alice="a"))

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(client.app.extensions["mtango"].access.authentication._methods[0], "authenticate", fail)
    with caplog.at_level(logging.ERROR):
        client.get(path, headers=basic("alice", "a"), status=200)
    assert "ZeroDivisionError" in caplog.text
    assert client.get(WHOAMI, status=500).json["errors"][0]["reason"] == "MTANGO_InternalError"


# --- a file system that hangs ---


@in_hub_thread
def test_one_request_waits_for_a_check_and_not_for_long(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = WatchedFile("MTANGO_RULES", str(rules), bytes.decode, TangoClient(Config(call_deadline=1.0)))
    end = threading.Event()
    stamp = file._stamp()
    monkeypatch.setattr(file, "_stamp", lambda: end.wait(20) and stamp)
    try:
        gevent.sleep(0.6)
        began = time.monotonic()
        waiting = gevent.spawn(file.content)
        gevent.sleep(0.01)
        for _ in range(100):
            assert file.content() == ALLOW_ALL
        assert time.monotonic() - began < 0.15
        assert waiting.get() == ALLOW_ALL
        assert time.monotonic() - began < 3 * 0.2
        gevent.sleep(1.5)
        assert "cannot look at" in next(file.problems()).text
    finally:
        end.set()
        gevent.sleep(0.3)


def test_file_that_is_replaced_within_one_tick_of_its_time_is_read_again(rules: Path) -> None:
    file = WatchedFile("MTANGO_RULES", str(rules), bytes.decode, TangoClient(Config()))
    times = rules.stat()
    rules.write_text(ALLOW_ALL.replace("read", "READ"), "utf-8")
    os.utime(rules, ns=(times.st_atime_ns, times.st_mtime_ns))  # same time, inode and size
    wait_until(lambda: "READ" in file.content(), 5)


# --- a worker that takes the place of another one ---


@pytest.fixture
def make_late_client(make_client: Callable[..., TestApp]) -> Callable[..., TestApp]:
    """Return a function that makes the application of a worker that is not among the first ones."""

    def make(**settings: Any) -> TestApp:
        token = starts_without_files.set(True)
        try:
            return make_client(**settings)
        finally:
            starts_without_files.reset(token)

    return make


@pytest.mark.parametrize("content", ["broken", DEEP_TOML, None])
def test_late_worker_without_rules_refuses_and_recovers(
    make_late_client: Callable[..., TestApp], rules: Path, demo_url: str, content: str | None
) -> None:
    rules.unlink()
    if content is not None:
        rules.write_text(content, "utf-8")
    client = make_late_client(rules=str(rules))
    for url in (f"{demo_url}/attributes/ampli/value", f"{demo_url}/state", "/tango/rest/rc3", "/metrics", "/nope"):
        assert unavailable(client, url).startswith("MTANGO_RULES: its file cannot be used")
    client.put(f"{demo_url}/attributes/double_scalar_w/value?v=1", status=503)
    client.get("/healthz", status=200)
    ready = client.get("/readyz", status=503).json
    assert ready["status"] == "not ready"
    assert ready["problems"] == ["MTANGO_RULES: its file cannot be used, see the log of the gateway"]
    rules.write_text(ALLOW_ALL, "utf-8")
    wait_until(lambda: client.get(f"{demo_url}/attributes/ampli/value", expect_errors=True).status_int == 200, 5)
    assert client.get("/readyz", status=200).json == {"status": "ok"}


def test_late_worker_without_users_refuses_and_recovers(
    make_late_client: Callable[..., TestApp], tmp_path: Path
) -> None:
    passwords, keys = tmp_path / "htpasswd", tmp_path / "keys"
    secret = new_key(keys, "script")
    passwords.write_text("broken", "utf-8")
    settings = {"auth_basic_file": str(passwords), "auth_key_file": str(keys)}
    client = make_late_client(auth=("basic", "key"), **settings)
    assert unavailable(client, WHOAMI, **basic("alice", "a")).startswith("MTANGO_AUTH_BASIC_FILE: ")
    assert status_of(client, {}) == 401
    assert status_of(client, {"X-API-Key": secret}) == 200
    ready = client.get("/readyz", headers={"X-API-Key": secret}, status=503).json
    assert ready["problems"] == ["MTANGO_AUTH_BASIC_FILE: its file cannot be used, see the log of the gateway"]
    passwords.write_text(htpasswd_line("alice", "a"), "utf-8")
    wait_for_status(client, basic("alice", "a"), 200)


def test_embedding_program_is_told_of_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^MTANGO_RULES: cannot use "):
        create_app(Config(rules=str(tmp_path / "missing")))


# --- what a refusal leaves behind ---


@pytest.mark.parametrize("headers", [basic("alice", "wrong"), {"Authorization": "Basic !"}])
def test_refusals_form_no_reference_cycles(
    make_client: Callable[..., TestApp], tmp_path: Path, headers: dict[str, str]
) -> None:
    client = make_client(auth=("basic",), auth_basic_file=write_passwords(tmp_path / "htpasswd", alice="a"))

    def refusals() -> int:
        return sum(isinstance(found, ApiError) for found in gc.get_objects())

    assert status_of(client, headers) in (401, 429)
    gc.collect()
    gc.disable()
    try:
        before = refusals()
        for _ in range(20):
            assert status_of(client, headers) in (401, 429)
        assert refusals() <= before + 1
    finally:
        gc.enable()
