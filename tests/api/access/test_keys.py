"""The method `key`, and the file of the API keys."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import multiprocessing
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from webtest import TestApp

from mtango_gevent import create_app, key_file
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.key_file import PREFIX, KeyFile, digest
from mtango_gevent.serving import cli
from tests.waiting import wait_until

from .credentials import WHOAMI, new_key, status_of, wait_for_status


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def secret(file: Path) -> str:
    return new_key(file, "archiver", "scripts", "readers")


@pytest.fixture
def client(make_client: Callable[..., TestApp], file: Path, secret: str) -> TestApp:
    return make_client(auth=("key",), auth_key_file=str(file))


def header(secret: str) -> dict[str, str]:
    return {"X-API-Key": secret}


def test_key_is_a_user_with_groups(client: TestApp, secret: str) -> None:
    for headers in (header(secret), {"Authorization": f"Bearer {secret}"}, {"Authorization": f"bearer  {secret}"}):
        answer = client.get(WHOAMI, headers=headers).json
        assert (answer["user"], answer["groups"], answer["method"]) == ("archiver", ["readers", "scripts"], "key")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "x"},
        {"X-API-Key": "\xe4"},
        {"Authorization": f"Bearer {PREFIX}wrong"},
        {"Authorization": "Bearer ey.another.token"},
        {"Authorization": "Basic YTpi"},
    ],
)
def test_other_credentials_are_401(client: TestApp, headers: dict[str, str]) -> None:
    answer = client.get(WHOAMI, headers=headers, status=401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mtango-gevent"'


@pytest.mark.slow
def test_expired_key_is_401(client: TestApp, file: Path) -> None:
    short = new_key(file, "short", seconds=3)
    wait_for_status(client, header(short), 200)
    wait_for_status(client, header(short), 401)
    assert "short has expired" in client.get(WHOAMI, headers=header(short), status=401).text


def test_new_and_revoked_keys_are_in_force(client: TestApp, file: Path, secret: str) -> None:
    assert status_of(client, header(secret)) == 200
    other = new_key(file, "other")
    began = time.monotonic()
    wait_for_status(client, header(other), 200)
    KeyFile(str(file)).revoke("archiver")
    wait_for_status(client, header(secret), 401)
    assert time.monotonic() - began < 3 * 2
    KeyFile(str(file)).revoke("other")
    wait_for_status(client, header(other), 401)


def test_broken_file_leaves_the_old_one_in_force(
    client: TestApp, file: Path, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text('{"keys": [{"name": "x"}]}', "utf-8")
    with caplog.at_level(logging.ERROR):
        wait_until(lambda: status_of(client, header(secret)) == 200 and "key 1: expected an object" in caplog.text)
    (problem,) = client.get("/readyz", headers=header(secret)).json["warnings"]
    assert "key 1: expected an object" in problem


def test_last_use_is_recorded_once_a_minute(client: TestApp, file: Path, secret: str) -> None:
    uses = Path(f"{file}.used")
    for _ in range(20):
        status_of(client, header(secret))
    wait_until(uses.exists)
    first = uses.stat().st_mtime_ns
    assert KeyFile(str(file)).last_uses()[digest(secret)] == pytest.approx(time.time(), abs=60)
    for _ in range(20):
        status_of(client, header(secret))
    assert uses.stat().st_mtime_ns == first


def test_folder_that_cannot_be_written_refuses_no_request(
    client: TestApp, file: Path, secret: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(f"{file}.used").mkdir()  # which no file can replace, whatever rights the test has
    monkeypatch.setattr("mtango_gevent.api.access.keys.USE_PRECISION", 0.0)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert status_of(client, header(secret)) == 200
        wait_until(lambda: "the last use of API keys is not recorded" in caplog.text)
        time.sleep(0.2)
    assert caplog.text.count("is not recorded") == 1


def test_secret_is_kept_nowhere(file: Path, secret: str) -> None:
    assert secret.startswith(PREFIX)
    assert len(secret) >= 43 + len(PREFIX)
    assert secret not in file.read_text("utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == [file.name]


def test_settings_show_no_hash(client: TestApp, file: Path, secret: str) -> None:
    assert digest(secret) not in client.get("/tango/rest/sys/config", headers=header(secret)).text


@pytest.mark.parametrize("name", ["", "a,b", "a\nb", "x" * 65, "archiver"])
def test_impossible_or_taken_name_is_refused(file: Path, secret: str, name: str) -> None:
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"name|already"):
        new_key(file, name)
    with pytest.raises(ValueError, match=r"name|already"):
        new_key(file, name or "other", "a,b")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": 5}',
        b'{"keys": [5]}',
        b'{"keys": [{"name": "a"}]}',
        b'{"keys": [{"name": "a", "sha256": "x", "groups": [], "created": 1, "expires": 0}]}',
        b'{"keys": [{"name": "a", "sha256": 5, "groups": [], "created": 1, "expires": 0}]}',
        b'{"keys": [{"name": 5, "sha256": "' + b"0" * 64 + b'", "groups": [], "created": 1, "expires": 0}]}',
        b'{"keys": [{"name": "a", "sha256": "' + b"0" * 64 + b'", "groups": [5], "created": 1, "expires": 0}]}',
        b'{"keys": [{"name": "a", "sha256": "' + b"0" * 64 + b'", "groups": [], "created": 1, "expires": "x"}]}',
        b'{"keys": [{"name": "a", "sha256": "' + b"0" * 64 + b'", "groups": "ab", "created": 1, "expires": 0}]}',
        b'{"keys": [{"name": "a", "sha256": "' + b"A" * 64 + b'", "groups": [], "created": 1, "expires": 0}]}',
        b"\xff",
    ],
)
def test_start_fails_with_a_broken_file(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^MTANGO_AUTH_KEY_FILE: cannot use .*: (expected|key 1: expected)"):
        create_app(Config(auth=("key",), auth_key_file=str(file)))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": []}', b"\xff"])
def test_broken_file_of_last_uses_is_written_anew(file: Path, secret: str, content: bytes) -> None:
    uses = Path(f"{file}.used")
    uses.write_bytes(content)
    KeyFile(str(file)).record_uses({digest(secret): 5.0})
    assert json.loads(uses.read_bytes()) == {digest(secret): 5.0}


def test_recorded_use_is_the_latest_of_all_workers(file: Path, secret: str) -> None:
    one, other = KeyFile(str(file)), KeyFile(str(file))
    one.record_uses({"a": 10.0, "b": 5.0})
    other.record_uses({"a": 7.0, "c": 1.0})
    assert one.last_uses() == {"a": 10.0, "b": 5.0, "c": 1.0}
    other.revoke("archiver")  # and with it what belongs to no key
    assert one.last_uses() == {}


@pytest.mark.slow
def test_uses_are_recorded_together_and_again_after_another_process_had_the_lock(
    client: TestApp, file: Path, secret: str
) -> None:
    others = [new_key(file, f"other-{number}") for number in range(3)]
    for other in others:
        wait_for_status(client, header(other), 200)
    uses = client.app.extensions["mtango"].access.authentication._methods[0]._uses
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        uses._due = 0.0
        began = time.monotonic()
        assert status_of(client, header(secret)) == 200
        time.sleep(0.2)
        assert status_of(client, header(others[0])) == 200
        assert time.monotonic() - began < 1
        assert digest(secret) not in KeyFile(str(file)).last_uses()

    def are_recorded() -> bool:
        status_of(client, header(others[0]))
        return len(KeyFile(str(file)).last_uses()) == 4

    wait_until(are_recorded)


def test_lock_is_one_that_other_users_cannot_hold(file: Path, secret: str) -> None:
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        assert new_key(file, "other")
    finally:
        os.close(folder)
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_owner_and_mode_of_the_file_stay(file: Path, secret: str) -> None:
    os.chown(file, 1234, 1235)
    new_key(file, "other")
    KeyFile(str(file)).revoke("other")
    status = file.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 1235, 0o600)


def _add_and_record(path: str, worker: int) -> None:
    file = KeyFile(path)
    for number in range(20):
        uses = {digest(file.add(f"{worker}-{number}", [], None)): 5.0}
        while True:
            with contextlib.suppress(BlockingIOError):
                file.record_uses(uses)
                break


@pytest.mark.slow
def test_changes_of_several_processes_are_all_kept(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_and_record, args=(str(file), worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    keys = key_file.parse(file.read_bytes())
    assert len(keys) == 60
    assert KeyFile(str(file)).last_uses().keys() == keys.keys()


# --- the command ---


def run(*arguments: str) -> int:
    return cli.main(["key", *arguments])


def test_command_creates_lists_and_revokes_keys(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MTANGO_AUTH_KEY_FILE", str(file))
    assert run("new", "a", "--group", "g", "--group", "h", "--expires", "90d") == 0
    secret = capsys.readouterr().out.strip()
    assert run("new", "b") == 0
    capsys.readouterr()
    KeyFile(str(file)).record_uses({digest(secret): time.time()})
    assert run("list") == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "groups", "created", "expires", "last", "use"]
    assert first.split()[:2] == ["a", "g,h"]
    assert "never" not in first
    assert second.split()[-2:] == ["never", "never"]
    (key,) = [key for key in KeyFile(str(file)).read() if key.name == "a"]
    assert key.expires - key.created == 90 * 86400
    assert run("revoke", "a") == 0
    assert [key.name for key in KeyFile(str(file)).read()] == ["b"]


def test_command_names_what_is_wrong(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MTANGO_AUTH_KEY_FILE", raising=False)
    assert run("list") == 2
    assert "MTANGO_AUTH_KEY_FILE: expected the file" in capsys.readouterr().err
    monkeypatch.setenv("MTANGO_AUTH_KEY_FILE", str(file))
    assert run("revoke", "a") == 1
    assert run("new", "a") == 0
    assert run("new", "a") == 1
    assert "there is a key a already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("new", "b", "--expires", "soon")
