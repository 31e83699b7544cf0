"""The method `basic`."""

from __future__ import annotations

import dataclasses
import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from webtest import TestApp

from mtango_gevent import create_app
from mtango_gevent.api.access.attempts import FREE_OF_USER
from mtango_gevent.api.access.basic import parse
from mtango_gevent.config import Config, ConfigError
from tests.waiting import wait_until

from .credentials import WHOAMI, basic, htpasswd_line, status_of, wait_for_status, write_passwords

REALM = 'Basic realm="mtango-gevent", charset="UTF-8"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    write_passwords(path, alice="secret", jürgen="geheim:ß")
    return path


@pytest.fixture
def client(make_client: Callable[..., TestApp], file: Path) -> TestApp:
    client = make_client(auth=("basic",), auth_basic_file=str(file))
    client.extra_environ["REMOTE_ADDR"] = "127.0.0.1"
    return client


def test_right_password_is_the_user(client: TestApp) -> None:
    answer = client.get(WHOAMI, headers=basic("alice", "secret")).json
    assert answer == {"user": "alice", "anonymous": False, "groups": [], "method": "basic", "address": "127.0.0.1"}
    assert client.get(WHOAMI, headers=basic("jürgen", "geheim:ß")).json["user"] == "jürgen"


@pytest.mark.parametrize(
    "header",
    [
        basic("alice", "wrong")["Authorization"],
        basic("alice", "secret\0")["Authorization"],
        basic("bob", "secret")["Authorization"],
        basic("undefined", "undefined")["Authorization"],
        "Basic ",
        "Basic !!!",
        "Basic YWxpY2U=",
        "basic OnNlY3JldA==",
        "Basic " + "x" * 8000,
    ],
)
def test_wrong_credentials_are_401(client: TestApp, header: str) -> None:
    answer = client.get(WHOAMI, headers={"Authorization": header}, status=401)
    assert answer.headers["WWW-Authenticate"] == REALM
    assert answer.json["errors"][0]["reason"] == "MTANGO_Unauthorized"
    assert answer.json["http_status"] == 401


def test_client_without_credentials_is_401_everywhere(client: TestApp, demo_url: str) -> None:
    value = f"{demo_url}/attributes/ampli/value"
    for url in (WHOAMI, "/tango/rest", "/tango/rest/rc3", "/metrics", "/swagger/rc3.yml", "/nope", value):
        answer = client.get(url, status=401)
        assert answer.headers["WWW-Authenticate"] == REALM, url


def test_user_may_read_fast_values_and_write(client: TestApp, demo_url: str) -> None:
    url, headers = f"{demo_url}/attributes/double_scalar_w/value", basic("alice", "secret")
    client.put(f"{url}?v=1", status=401)
    client.put(f"{url}?v=1", headers=headers, status=200)
    assert client.get(url, headers=headers).json["value"] == 1
    client.get(url, status=401)


def test_health_is_free_and_readiness_keeps_its_details(client: TestApp, file: Path) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    file.write_text("broken\n", "utf-8")
    headers = basic("alice", "secret")
    (problem,) = wait_until(lambda: client.get("/readyz", headers=headers).json.get("warnings"))
    assert problem.startswith(f"MTANGO_AUTH_BASIC_FILE: cannot use {file}, ")
    assert "the content from before stays in force: line 1: expected" in problem
    assert client.get("/readyz").json == {"status": "ok"}
    assert client.get("/readyz", headers=basic("alice", "wrong")).json == {"status": "ok"}


def test_preflight_is_free(client: TestApp) -> None:
    client.options(WHOAMI, headers={"Origin": "http://a.b", "Access-Control-Request-Method": "GET"}, status=200)


def test_rc3_names_the_method(client: TestApp) -> None:
    assert client.get("/tango/rest/rc3", headers=basic("alice", "secret")).json["x-auth-method"] == "basic"


@pytest.mark.slow
def test_changed_passwords_are_in_force(client: TestApp, file: Path) -> None:
    assert status_of(client, basic("alice", "secret")) == 200
    write_passwords(file, alice="new", bob="secret")
    began = time.monotonic()
    wait_for_status(client, basic("alice", "new"), 200)
    assert time.monotonic() - began < 3 * 2
    assert status_of(client, basic("alice", "secret")) == 401
    assert status_of(client, basic("bob", "secret")) == 200


def test_last_user_can_be_removed(client: TestApp, file: Path) -> None:
    assert status_of(client, basic("alice", "secret")) == 200
    file.write_text("", "utf-8")
    wait_for_status(client, basic("alice", "secret"), 401)


def test_broken_or_missing_file_leaves_the_old_one_in_force(
    client: TestApp, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    headers, good = basic("alice", "secret"), file.read_text("utf-8")
    with caplog.at_level(logging.ERROR):
        file.write_text(f"{good}bob:$apr1$salt$hash\n", "utf-8")
        wait_until(lambda: status_of(client, headers) == 200 and "line 3: expected a bcrypt hash" in caplog.text)
        time.sleep(1)
        assert status_of(client, headers) == 200
        assert caplog.text.count("line 3") == 1
        assert "$apr1" not in caplog.text
        file.unlink()
        wait_until(lambda: status_of(client, headers) == 200 and "No such file" in caplog.text)
    write_passwords(file, alice="new")
    wait_for_status(client, basic("alice", "new"), 200)
    assert "warnings" not in client.get("/readyz", headers=basic("alice", "new")).json


def test_verified_credentials_pass_without_a_delay(client: TestApp) -> None:
    right = basic("alice", "secret")
    assert status_of(client, right) == 200
    statuses = {status_of(client, basic("alice", f"wrong{n}")) for n in range(3 * FREE_OF_USER)}
    assert statuses == {401, 429}
    assert status_of(client, right) == 200


def test_too_many_wrong_passwords_are_429(client: TestApp) -> None:
    for n in range(FREE_OF_USER):
        status_of(client, basic("alice", f"wrong{n}"))
    answer = client.get(WHOAMI, headers=basic("alice", "secret"), status=429)
    assert 1 <= int(answer.headers["Retry-After"]) <= 4
    assert answer.json["errors"][0]["reason"] == "MTANGO_TooManyAttempts"
    assert "WWW-Authenticate" not in answer.headers


def test_passwords_appear_in_no_log_and_no_answer(client: TestApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        right = client.get("/tango/rest/sys/config", headers=basic("alice", "secret")).text
        wrong = client.get(WHOAMI, headers=basic("alice", "hidden"), status=401).text
    for text in (right, wrong, caplog.text):
        assert "secret" not in text
        assert "hidden" not in text
        assert "$2" not in text


# --- the file ---


@pytest.mark.parametrize("kind", ["$2y$", "$2b$", "$2a$"])
def test_kinds_of_bcrypt_are_known(kind: str) -> None:
    passwords = parse(htpasswd_line("alice", "secret").replace("$2y$", kind).encode())
    assert passwords.verify("alice", b"secret")
    assert not passwords.verify("alice", b"Secret")


def test_long_password_is_cut_as_htpasswd_does() -> None:
    passwords = parse(htpasswd_line("alice", "x" * 100).encode())
    assert passwords.verify("alice", b"x" * 100)
    assert not passwords.verify("alice", b"x" * 71)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("alice", "line 2: expected a bcrypt hash, as `htpasswd -B` makes it, for user 'alice'"),
        (":$2y$", "line 2: expected `user:hash` with a printable name"),
        ("a\tb:x", "line 2: expected `user:hash` with a printable name"),
        ("alice:{SHA}x", "line 2: expected a bcrypt hash, as `htpasswd -B` makes it, for user 'alice'"),
        (htpasswd_line("alice", "x").replace("$2y$", "$2x$"), "line 2: expected a bcrypt hash"),
        (htpasswd_line("alice", "x").replace("$04$", "$31$"), "line 2: expected a cost from 4 to 14, got 31"),
        (htpasswd_line("alice", "x") * 2, "line 3: expected each user once, got 'alice' again"),
    ],
    ids=["no hash", "no name", "tab", "SHA", "2x", "cost", "twice"],  # pytest-xdist compares the names of tests
)
def test_broken_line_is_named(line: str, problem: str) -> None:
    with pytest.raises(ValueError, match="line") as failure:
        parse(f"# comment\n{line}".encode())
    assert str(failure.value).startswith(problem)


def test_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    passwords = parse((htpasswd_line("alice", "x", 8) + htpasswd_line("bob", "x", 8)).encode())

    def seconds(user: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            assert not passwords.verify(user, b"wrong")
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    assert 1 / 3 < seconds("nobody") / seconds("alice") < 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "MTANGO_AUTH_BASIC_FILE: cannot use "),
        ("alice:plain\n", "line 1: expected a bcrypt hash"),
    ],
)
def test_start_fails_without_a_good_file(tmp_path: Path, content: str | None, problem: str) -> None:
    path = tmp_path / "htpasswd"
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=problem):
        create_app(Config(auth=("basic",), auth_basic_file=str(path)))


def test_settings_show_no_hash(file: Path) -> None:
    assert "$2" not in repr(dataclasses.asdict(Config(auth=("basic",), auth_basic_file=str(file))))
