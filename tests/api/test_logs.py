"""A request has an id, its times, and one line in the log."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable

import pytest
from webtest import TestApp

from mtango_gevent.logs import AccessLine, JsonFormatter


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[AccessLine]]:
    """The lines about requests so far."""
    caplog.set_level("INFO", "mtango_gevent")
    return lambda: [record.msg for record in caplog.records if isinstance(record.msg, AccessLine)]


def test_a_request_has_one_line(client: TestApp, demo_url: str, lines: Callable[[], list[AccessLine]]) -> None:
    answer = client.get(f"{demo_url}/attributes/double_scalar/value?filter=value", headers={"X-Request-ID": "abc-1"})
    (line,) = lines()
    assert (line.id, line.method, line.status, line.outcome) == ("abc-1", "GET", 200, "ok")
    assert line.url == f"{demo_url}/attributes/double_scalar/value?filter=value"
    assert line.device == "sys/tg_test/1"
    assert line.bytes == len(answer.body)
    assert 0 < line.tango < line.duration < 30_000
    assert all(word in str(line) for word in ("abc-1", "double_scalar", "200", "sys/tg_test/1", "ok"))


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/attributes/nope/value", "failed: API_AttrNotFound"),
        ("/attributes/value?range=x", "refused: range: expected a-b, "),
        ("/nothing", "refused: no such URL"),
    ],
)
def test_a_failure_says_which_without_a_traceback(
    client: TestApp,
    demo_url: str,
    lines: Callable[[], list[AccessLine]],
    caplog: pytest.LogCaptureFixture,
    path: str,
    outcome: str,
) -> None:
    client.get(demo_url + path, expect_errors=True)
    (line,) = lines()
    assert line.outcome.startswith(outcome)
    assert "Traceback" not in caplog.text


def test_the_log_can_do_without(
    make_client: Callable[..., TestApp], demo_url: str, lines: Callable[[], list[AccessLine]]
) -> None:
    make_client(access_log=False).get(f"{demo_url}/state")
    assert lines() == []


def test_an_id_is_taken_if_it_can_be_and_made_if_not(client: TestApp) -> None:
    for given in ("req-42", "a.b:c/d+e=@_"):
        assert client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given
    for given in ("", "a b", 'a"b', "x" * 129, "é"):
        made = client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{16}", made)


def test_the_times_are_told(client: TestApp, demo_url: str) -> None:
    timing = client.get(f"{demo_url}/attributes/double_scalar/value").headers["Server-Timing"]
    total, tango = (float(each) for each in re.fullmatch(r"total;dur=([\d.]+), tango;dur=([\d.]+)", timing).groups())
    assert total >= tango
    timing = client.get("/healthz").headers["Server-Timing"]
    assert timing.endswith("tango;dur=0.0")


def record(message: object, **details: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "x", **details})


def test_a_line_in_json_is_one_object() -> None:
    line = AccessLine("id", "::1", "GET", "/a?b=\n", 200, 5, 1.5, 0.5, "a/b/c", "ok")
    found = json.loads(JsonFormatter().format(record(line)))
    assert found["url"] == "/a?b=\n"
    assert (found["duration"], found["status"], found["level"]) == (1.5, 200, "INFO")
    assert "\n" not in JsonFormatter().format(record(line))
    assert "\n" not in str(line)
    assert json.loads(JsonFormatter().format(record("5 %s", args=("µm",))))["message"] == "5 µm"


def test_no_part_of_a_line_can_be_taken_for_another(
    make_client: Callable[..., TestApp], lines: Callable[[], list[AccessLine]]
) -> None:
    client = make_client(trusted_proxies=1)
    address = '1.2.3.4 "GET /" \x1b\xe9'
    client.get('/tango/x%22%20200%205B%20ok%0a%1b?a=%22&b="', headers={"X-Forwarded-For": address}, status=404)
    (line,) = lines()
    assert line.url == "/tango/x%22%20200%205B%20ok%0A%1B?a=%22&b=%22"
    assert line.client == "1.2.3.4%20%22GET%20%2F%22%20%1B%C3%A9"
    assert str(line).split(" no such URL")[0].count('"') == 2
