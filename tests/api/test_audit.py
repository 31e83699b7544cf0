"""The audit log: a line for each change that a request makes, tries or is refused."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import resource
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent import monkey
from webtest import TestApp
from werkzeug.test import Client

from mtango_gevent import create_app
from mtango_gevent.api.access import Target, audit_writer, declared
from mtango_gevent.api.access.audit_lines import Change, Line, Origin, as_json, as_text
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.docs.pages import ROOT, read_blocks
from tests.metric_values import metric_value
from tests.patched_process import in_patched_process
from tests.pytango_process import PyTango
from tests.waiting import wait_until


class Audited:
    """An application with an audit log in a file."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path
        self.app: Flask = create_app(Config(audit=str(path), audit_format="json", **settings))
        self.client = TestApp(self.app)

    def lines(self) -> list[dict[str, Any]]:
        """The lines so far."""
        self.app.extensions["mtango"].audit.finish(10)
        return [json.loads(line) for line in self.path.read_text("ascii").splitlines()]

    def lost(self) -> int:
        return int(metric_value(self.app.extensions["mtango"].metrics, "mtango_audit_lines_total", outcome="lost"))

    def last(self) -> dict[str, Any]:
        return self.lines()[-1]


@pytest.fixture
def audited(tango_system: EmbeddedTango, tmp_path: Path) -> Audited:
    return Audited(tmp_path / "audit.log")


@pytest.fixture
def make_audited(tango_system: EmbeddedTango, tmp_path: Path) -> Callable[..., Audited]:
    return lambda **settings: Audited(tmp_path / "audit.log", **settings)


# --- what has a line ---


def test_write_has_a_line_with_all_fields(audited: Audited, demo_url: str, tango_system: EmbeddedTango) -> None:
    audited.client.put(f"{demo_url}/attributes/Double_Scalar/value?v=2.5", headers={"X-Request-ID": "abc-1"})
    (line,) = audited.lines()
    assert line.pop("time")[:2] == "20"
    assert line == {
        "request": "abc-1",
        "user": "",
        "auth": "none",
        "address": "",
        "tango_host": tango_system.tango_host,
        "device": DEMO_DEVICE,
        "kind": "attribute",
        "name": "double_scalar",
        "detail": "",
        "action": "write",
        "old": "",
        "old_age": None,
        "new": "2.5",
        "outcome": "ok",
    }


def test_reads_have_no_line(audited: Audited, demo_url: str) -> None:
    for path in ("/state", "/attributes/double_scalar/value", "/attributes/value?attr=State", "/attributes", "/nope"):
        audited.client.get(demo_url + path, expect_errors=True)
    for path in ("/metrics", "/readyz", "/tango/rest/sys/stats"):
        audited.client.get(path)
    audited.client.put(f"{demo_url}/commands/State")
    audited.client.options(f"{demo_url}/attributes/double_scalar/value", expect_errors=True)
    assert audited.lines() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("PUT", "/attributes/double_scalar/value", "3.5", ("attribute", "double_scalar", "", "write", "3.5")),
        ("PUT", "/attributes/double_scalar/value", "v=3.5", ("attribute", "double_scalar", "", "write", "3.5")),
        ("PUT", "/attributes/double_spectrum/value?v=1&v=2", "", ("attribute", "double_spectrum", "", "write", "1,2")),
        ("PUT", "/commands/DevDouble?v=4.5", "", ("command", "devdouble", "", "execute", "4.5")),
        ("PUT", "/properties/audited?value=a&value=b", "", ("property", "audited", "", "configure", "a,b")),
        ("PUT", "/properties?audited=a&audited=b", "", ("property", "audited", "", "configure", '["a","b"]')),
        ("DELETE", "/properties/audited", "", ("property", "audited", "", "configure", "")),
        (
            "PUT",
            "/attributes/double_scalar/properties/mine?value=1",
            "",
            ("attribute", "double_scalar", "mine", "configure", "1"),
        ),
        (
            "DELETE",
            "/attributes/double_scalar/properties/mine",
            "",
            ("attribute", "double_scalar", "mine", "configure", ""),
        ),
        (
            "PUT",
            "/attributes/double_scalar/info",
            '{"unit": "mm"}',
            ("attribute", "double_scalar", "", "configure", '{"unit": "mm"}'),
        ),
    ],
)
def test_change_has_a_line(
    audited: Audited, demo_url: str, method: str, path: str, body: str, expected: tuple[str, ...]
) -> None:
    form = {"content_type": "application/x-www-form-urlencoded"} if body.startswith("v=") else {}
    audited.client.request(demo_url + path, method=method, body=body.encode(), **form)
    (line,) = audited.lines()
    assert tuple(line[key] for key in ("kind", "name", "detail", "action", "new")) == expected
    assert line["outcome"] == "ok"


def test_clearing_a_cache_has_a_line(audited: Audited) -> None:
    audited.client.get("/tango/rest/sys/clean/devices", status=204)
    line = audited.last()
    assert [line[key] for key in ("kind", "name", "detail", "action")] == [
        "gateway",
        "sys/clean",
        "devices",
        "administer",
    ]


@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("PUT", "/attributes/nope/value?v=1", "failed: API_AttrNotFound: "),
        ("PUT", "/attributes/double_scalar/value?v=x", "refused: MTANGO_BadRequest: "),
        ("PUT", "/attributes/double_scalar/value", "refused: MTANGO_BadRequest: "),
        ("PUT", "/attributes/value?nope=1", "failed: API_AttrNotFound: "),
        ("PUT", "/attributes/value", "refused: MTANGO_BadRequest: "),
        ("PUT", "/commands/nope", "failed: API_CommandNotFound: "),
        ("PUT", "/attributes/double%00/value?v=1", "refused: MTANGO_BadRequest: "),
    ],
)
def test_failure_is_the_outcome(audited: Audited, demo_url: str, method: str, path: str, outcome: str) -> None:
    audited.client.request(demo_url + path, method=method, expect_errors=True)
    (line,) = audited.lines()
    assert line["outcome"].startswith(outcome)


def test_write_to_another_tango_host_has_a_line(audited: Audited) -> None:
    path = "/tango/rest/rc3/hosts/other/10000/devices/Sys/tg_test/1/attributes/double_scalar/value?v=1"
    audited.client.put(path, status=404)
    (line,) = audited.lines()
    assert (line["tango_host"], line["device"], line["name"]) == ("other:10000", DEMO_DEVICE, "double_scalar")
    assert line["outcome"].startswith("refused: MTANGO_UnknownTangoHost: ")


def test_refusal_of_access_is_the_outcome(make_audited: Callable[..., Audited], demo_url: str) -> None:
    audited = make_audited(read_only=True)
    audited.client.put(f"{demo_url}/attributes/double_scalar/value?v=1", status=403)
    audited.client.put(f"{demo_url}/attributes/value?double_scalar=1&long_scalar=2", status=403)
    lines = audited.lines()
    assert [line["name"] for line in lines] == ["double_scalar", "double_scalar", "long_scalar"]
    assert {line["outcome"].split(": ")[1] for line in lines} == {"MTANGO_ReadOnly"}


def test_each_attribute_of_a_batch_has_its_outcome(audited: Audited, demo_url: str) -> None:
    audited.client.put(f"{demo_url}/attributes/value?double_scalar=1.5&nope=2&long_scalar=x")
    lines = audited.lines()
    assert [(line["name"], line["new"]) for line in lines] == [
        ("double_scalar", "1.5"),
        ("nope", "2"),
        ("long_scalar", "x"),
    ]
    assert lines[0]["outcome"] == "ok"
    assert lines[1]["outcome"].startswith("failed: API_AttrNotFound: ")
    assert lines[2]["outcome"].startswith("refused: MTANGO_BadRequest: ")
    assert len({line["request"] for line in lines}) == 1


def test_each_item_of_several_devices_has_its_outcome(audited: Audited, tango_system: EmbeddedTango) -> None:
    host = tango_system.tango_host
    items = [
        {"host": host, "device": DEMO_DEVICE, "name": "double_scalar", "value": 1.5},
        {"host": host, "device": TYPES_DEVICE, "name": "nope", "value": 2},
        {"host": host, "device": DEMO_DEVICE, "name": "long_scalar", "value": "x"},
        {"host": "nowhere.invalid", "device": DEMO_DEVICE, "name": "long_scalar", "value": 1},
    ]
    audited.client.put_json("/tango/rest/v11/attributes/value", items)
    lines = audited.lines()
    assert [(line["device"], line["name"], line["new"]) for line in lines] == [
        (DEMO_DEVICE, "double_scalar", "1.5"),
        (TYPES_DEVICE, "nope", "2"),
        (DEMO_DEVICE, "long_scalar", "x"),
    ]
    assert [line["outcome"].split(":")[0] for line in lines] == ["ok", "failed", "refused"]


def test_asynchronous_commands_of_several_devices_have_lines_at_their_ends(
    audited: Audited, tango_system: EmbeddedTango
) -> None:
    host = tango_system.tango_host
    items = [
        {"host": host, "device": DEMO_DEVICE, "name": "DevDouble", "input": 1.5},
        {"host": host, "device": "sys/database/2", "name": "DbInfo"},
        {"host": host, "device": DEMO_DEVICE, "name": "DevVoid"},
    ]
    audited.client.put_json("/tango/rest/v11/commands?async=true", items, status=204)
    wait_until(lambda: len(audited.lines()) == 4)
    outcomes = [(line["name"], line["outcome"]) for line in audited.lines()]
    names = ["devdouble", "devvoid"]  # the database's command only reads
    assert sorted(outcomes) == sorted((name, outcome) for name in names for outcome in ("accepted", "ok"))


@pytest.mark.parametrize(
    ("path", "outcomes"),
    [
        ("/attributes/double_scalar/value?v=1&async=1", ["accepted", "ok"]),
        ("/attributes/value?double_scalar=1&long_scalar=1&async=1", ["accepted", "accepted", "ok", "ok"]),
        ("/commands/DevDouble?v=1&async=1", ["accepted", "ok"]),
        ("/properties?audited=1&async=1", ["accepted", "ok"]),
        ("/properties/audited?value=1&async=1", ["accepted", "ok"]),
        ("/attributes/double_scalar/properties/mine?value=1&async=1", ["accepted", "ok"]),
        ("/attributes/double_scalar/value?v=x&async=1", ["refused"]),
    ],
)
def test_asynchronous_change_has_a_line_at_its_end(
    audited: Audited, demo_url: str, path: str, outcomes: list[str]
) -> None:
    audited.client.put(demo_url + path, expect_errors=True)
    lines = wait_until(lambda: found if len(found := audited.lines()) == len(outcomes) else None)
    assert sorted(line["outcome"].split(":")[0] for line in lines) == outcomes
    assert len({line["request"] for line in lines}) == 1


def test_failure_of_an_asynchronous_write_is_its_outcome(audited: Audited, types_url: str) -> None:
    audited.client.put(f"{types_url}/attributes/value?nope=1&async=1", expect_errors=True)
    audited.client.put(f"{types_url}/commands/State?async=1", expect_errors=True)
    assert all(line["outcome"] for line in audited.lines())


def test_write_whose_outcome_is_unknown_says_so(
    make_audited: Callable[..., Audited], host_url: str, slow_devices: list[str]
) -> None:
    audited = make_audited(tango_timeout=0.3, call_deadline=1.0)
    audited.client.put(f"{host_url}/devices/{slow_devices[0]}/commands/Rest?v=1", expect_errors=True)
    assert audited.last()["outcome"].startswith("outcome unknown: ")


# --- old values ---


def test_old_value_is_that_of_a_kept_reading(make_audited: Callable[..., Audited], demo_url: str) -> None:
    audited = make_audited(value_max_age=60.0)
    audited.client.put(f"{demo_url}/attributes/double_scalar_w/value?v=1.25")
    audited.client.put(f"{demo_url}/attributes/string_scalar/value?v=old")
    for name, old in (("string_scalar", "old"), ("double_scalar_w", "1.25")):
        audited.client.get(f"{demo_url}/attributes/{name}/value")
        audited.client.put(f"{demo_url}/attributes/{name}/value?v=2")
        line = audited.last()
        assert line["old"] == old
        assert 0 <= line["old_age"] < 60


def test_old_value_is_that_of_the_last_event(audited: Audited, demo_url: str) -> None:
    audited.client.get(f"{demo_url}/attributes/long_scalar/change?state=INITIAL")

    def written() -> dict[str, Any] | None:
        audited.client.put(f"{demo_url}/attributes/long_scalar/value?v=2")
        line = audited.last()
        return line if line["old"] else None

    line = wait_until(written)  # the first event may come after the answer
    assert line["old"].lstrip("-").isdigit()
    assert line["old_age"] is not None


def test_old_properties_and_configuration_are_what_the_change_has_read(audited: Audited, demo_url: str) -> None:
    client = audited.client
    client.put(f"{demo_url}/properties/audited?value=a")
    client.put(f"{demo_url}/properties?audited=b&other=c")
    assert [line["old"] for line in audited.lines()[1:]] == ['["a"]', ""]
    client.delete(f"{demo_url}/properties/audited")
    assert audited.last()["old"] == '["b"]'
    client.delete(f"{demo_url}/properties/other")
    client.put(f"{demo_url}/attributes/double_scalar/properties/mine?value=1")
    client.delete(f"{demo_url}/attributes/double_scalar/properties/mine")
    assert audited.last()["old"] == '["1"]'
    client.put_json(f"{demo_url}/attributes/float_scalar/info", {"unit": "a"})
    client.put_json(f"{demo_url}/attributes/float_scalar/info", {"unit": "b", "label": "float_scalar"})
    assert audited.last()["old"] == '{"unit":"a"}'


def test_property_that_a_replacement_deletes_has_a_line(audited: Audited, demo_url: str) -> None:
    url = f"{demo_url}/attributes/ushort_scalar/properties"
    audited.client.put(f"{url}?mine=1&other=2")
    audited.client.put(f"{url}?other=3&replace=1")
    found = [(line["detail"], line["old"], line["outcome"]) for line in audited.lines() if line["detail"] == "mine"]
    assert found == [("mine", '["1"]', "ok")]
    audited.client.delete(f"{url}/other")


# --- forgery ---

HOSTILE = ["a\n2026 user=root outcome=ok", 'a" outcome="ok', "a\r\x1b[2J\x00\x85\u2028", "\\", "ü€😀", "x" * 10_000]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_in_their_field(text: str) -> None:
    target = Target("write", "attribute", text, text, (text,))
    line = Line(0.0, Origin(text, text, text, text), Change(target, text, text, text), text)
    found = as_json(line)
    assert found.count(b"\n") == 1
    assert json.loads(found)["name"] in (text, text[:300] + "...")
    assert len(found) < 10_000 + 3 * len(text)
    in_text = as_text(line)
    assert in_text.count(b"\n") == 1
    assert in_text.isascii()
    assert b"\x1b" not in in_text
    assert in_text.startswith(b"1970-01-01T00:00:00.000Z request=")
    quoted = in_text.decode().split(' device="')[-1] if ' device="' in in_text.decode() else None
    if text not in ("x" * 10_000,):
        assert quoted is not None
        assert quoted.startswith(json.dumps(text)[1:])


def test_hostile_value_of_a_request_stays_in_its_field(make_audited: Callable[..., Audited], demo_url: str) -> None:
    audited = make_audited(trusted_proxies=1)
    path = f"{demo_url}/attributes/string_scalar/value"
    address = '1.2.3.4" outcome="ok'
    audited.client.put(path, 'a\n{"outcome": "ok"}\x1b[2J', headers={"X-Forwarded-For": address})
    (line,) = audited.lines()
    assert line["new"] == 'a\n{"outcome": "ok"}\x1b[2J'
    assert line["address"] == address


@pytest.mark.parametrize("parameters", ["", "&async=1"])
def test_long_value_is_cut(audited: Audited, demo_url: str, parameters: str) -> None:
    audited.client.put(f"{demo_url}/attributes/value?a=b{parameters}", json.dumps({"double_spectrum": [1.5] * 100_000}))
    audited.client.put(f"{demo_url}/attributes/string_scalar/value?{parameters}", "x" * 100_000)
    assert all(len(line["new"]) <= 203 for line in audited.lines())


# --- the documentation ---

PROXY = {"REMOTE_ADDR": "10.1.2.3"}
VARYING = re.compile(
    r"(?<![\d-])20\d\d-[\d:T.-]+Z|(?<=old_age=)[\d.]+|(?<=tango_host=)\S+|(?<=MTANGO_Unauthorized: )[^\"]*"
)


def documented_requests(client: TestApp, demo_url: str) -> None:
    """Make the requests whose lines docs/how-to/audit.md shows."""
    made = itertools.count(1)

    def put(path: str, user: str = "alice", **more: Any) -> None:
        headers = {"X-Request-ID": f"panel-{next(made)}", **({"X-Remote-User": user} if user else {})}
        client.put(demo_url + path, headers=headers, extra_environ=PROXY, expect_errors=True, **more)

    client.get(f"{demo_url}/attributes/double_scalar_w/value", headers={"X-Remote-User": "a"}, extra_environ=PROXY)
    put("/attributes/double_scalar_w/value?v=2.5")
    put("/attributes/value?double_scalar_w=1&nope=2")
    put("/attributes/double_scalar_w/value?v=9", user="")
    put("/commands/DevString?v=all%20off", user="bob")
    put("/attributes/double_scalar_w/info", user="bob", params='{"unit": "mm"}')


def normalized(text: str) -> list[str]:
    """Return lines without what differs each time."""
    return [VARYING.sub("...", line) for line in text.splitlines()]


def test_documented_lines_are_real(
    tango_system: EmbeddedTango, tmp_path: Path, demo_url: str, pytango: PyTango
) -> None:
    log = tmp_path / "audit.log"
    header = {"auth": ("trusted-header",), "auth_header_from": ("10.1.2.3",)}
    app = create_app(Config(audit=str(log), value_max_age=60.0, **header))
    pytango.write(DEMO_DEVICE, "double_scalar_w", 1.25)
    documented_requests(TestApp(app), demo_url)
    app.extensions["mtango"].audit.finish(10)
    page = read_blocks(ROOT / "docs/how-to/audit.md")
    (block,) = [block for block in page if block.language == "text" and "outcome=" in block.text]
    print(log.read_text())  # for the page, when it fails
    assert normalized(block.text) == normalized(log.read_text())


def test_documented_json_has_the_fields_of_a_real_line(audited: Audited, demo_url: str) -> None:
    audited.client.put(f"{demo_url}/attributes/double_scalar/value?v=2.5")
    (block,) = [block for block in read_blocks(ROOT / "docs/how-to/audit.md") if block.language == "json"]
    assert list(json.loads(block.text)) == list(audited.last())
    table = (ROOT / "docs/how-to/audit.md").read_text("utf-8")
    assert [field for field in audited.last() if f"\n| `{field}` |" not in table] == []


# --- every route ---


def changing_routes(app: Flask) -> Iterator[tuple[str, str]]:
    """The method and the rule of each route that changes something."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - {"OPTIONS", "HEAD"}):
            need = declared(app.view_functions[rule.endpoint], method)
            if need is not None and need.action != "read" and need.changes:
                yield method, rule.rule


def test_every_changing_route_has_a_line(audited: Audited, tango_system: EmbeddedTango) -> None:
    host, port = tango_system.tango_host.split(":")
    parts = {"host": host, "port": port, "cache": "attributes", "attribute": "nope", "command": "nope", "pipe": "nope"}
    parts |= dict(zip(("domain", "family", "member"), TYPES_DEVICE.split("/"), strict=True))
    routes = list(changing_routes(audited.app))
    assert len(routes) >= 12
    for method, rule in routes:
        path = rule.replace("<path:property_name>", "nope")
        for part, value in parts.items():
            path = path.replace(f"<{part}>", value)
        assert "<" not in path
        for slash in ("", "/"):
            before = len(audited.lines())
            audited.client.request(path + slash, method=method, body=b"nope=1" * (method != "GET"), expect_errors=True)
            assert len(audited.lines()) > before, (method, path + slash)


def test_only_the_metrics_administer_without_a_change(audited: Audited) -> None:
    views = audited.app.view_functions
    silent = [name for name in views if not getattr(declared(views[name], "GET"), "changes", True)]
    assert silent == ["metrics.show_metrics"]


# --- settings ---


@pytest.mark.parametrize("where", ["/nope/audit.log", "/"])
def test_file_that_cannot_be_opened_stops_the_start(where: str) -> None:
    with pytest.raises(ConfigError, match=f"MTANGO_AUDIT: cannot open {where}"):
        create_app(Config(audit=where))


def test_required_without_a_log_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="MTANGO_AUDIT_REQUIRED: expected MTANGO_AUDIT"):
        create_app(Config(audit_required=True))


@pytest.mark.parametrize("where", ["syslog:", "syslog:host", "syslog:host:x", "syslog:ho st:1"])
def test_impossible_syslog_is_refused(where: str) -> None:
    with pytest.raises(ConfigError, match=r"MTANGO_AUDIT = .*: expected a file"):
        Config.load({"MTANGO_AUDIT": where})


def test_no_thread_before_the_first_line(tango_system: EmbeddedTango, tmp_path: Path, demo_url: str) -> None:
    audited = Audited(tmp_path / "audit.log")
    writer = audited.app.extensions["mtango"].audit._writer
    audited.client.get(f"{demo_url}/state")
    assert writer._process == 0
    audited.client.get("/tango/rest/sys/clean/devices")
    assert writer._process == os.getpid()


# --- where lines go ---


def test_syslog_over_udp_takes_lines(make_client: Callable[..., TestApp], demo_url: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        syslog.settimeout(30)
        client = make_client(audit=f"syslog:127.0.0.1:{syslog.getsockname()[1]}")
        client.put(f"{demo_url}/attributes/double_scalar/value?v=2.5")
        message = syslog.recv(10_000).decode()
    assert message.startswith(f"<86>mtango-gevent[{os.getpid()}]: 20")
    assert message.endswith("action=write new=2.5 outcome=ok")


def test_vanished_syslog_is_seen_and_used_again(
    make_client: Callable[..., TestApp], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        port = syslog.getsockname()[1]
    client = make_client(audit=f"syslog:127.0.0.1:{port}")

    def is_warned() -> bool:
        client.get("/tango/rest/sys/clean/attributes")
        return "warnings" in client.get("/readyz").json

    wait_until(is_warned)  # the kernel tells of the refusal of a datagram when the next one is sent
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", port))
        wait_until(lambda: "warnings" not in client.get("/readyz").json)
        syslog.settimeout(30)
        while b"lines of this log are lost" not in syslog.recv(10_000):  # lines that have waited may come before it
            pass
    assert sum("the audit log loses lines" in record.message for record in caplog.records) == 1


def test_moved_file_is_opened_anew(audited: Audited, demo_url: str) -> None:
    for number in range(3):
        audited.client.put(f"{demo_url}/attributes/double_scalar/value?v={number}")
        assert [line["new"] for line in audited.lines()] == [str(number)]
        audited.path.rename(audited.path.with_suffix(f".{number}"))


def test_missing_folder_is_seen_and_recovered_from(
    tango_system: EmbeddedTango, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    audited = Audited(folder / "audit.log")
    audited.client.get("/tango/rest/sys/clean/devices")
    assert len(audited.lines()) == 1
    folder.rename(tmp_path / "away")
    for _ in range(3):
        audited.client.get("/tango/rest/sys/clean/devices", status=204)
    wait_until(lambda: "warnings" in audited.client.get("/readyz").json)
    (warning,) = audited.client.get("/readyz").json["warnings"]
    assert warning == f"the audit log: cannot write to {folder / 'audit.log'}: No such file or directory"
    wait_until(lambda: audited.lost() == 3)
    folder.mkdir()
    wait_until(lambda: "warnings" not in audited.client.get("/readyz").json)
    (line,) = audited.lines()
    assert line["outcome"].startswith("failed: 3 lines of this log are lost: cannot write to ")
    assert sum("the audit log loses lines" in record.message for record in caplog.records) == 1
    assert sum("is written again: 3 lines are lost" in record.message for record in caplog.records) == 1


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 64 KiB, which only root can make."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path, leave: int = 0) -> None:
    """Fill the disk, apart from some bytes of its last page."""
    with path.open("wb", 0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096) == 4096:
            pass
    assert leave < 4096


def test_full_disk_loses_whole_lines_only(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        audited = Audited(disk / "audit.log")
        clean = "/tango/rest/sys/clean/devices"
        audited.client.get(clean)
        assert len(audited.lines()) == 1
        fill(disk / "filler")
        for _ in range(30):  # the last page of the file has room for some of them
            audited.client.get(clean, status=204)
        lines = audited.lines()  # each of which is whole
        assert 1 < len(lines) < 30
        assert "No space left" in audited.client.get("/readyz").json["warnings"][0]
        lost = 31 - len(lines)
        assert audited.lost() == lost
        (disk / "filler").unlink()
        wait_until(lambda: "warnings" not in audited.client.get("/readyz").json)
        assert audited.last()["outcome"].startswith(f"failed: {lost} lines of this log are lost: ")
        audited.client.get(clean)
        assert audited.last()["outcome"] == "ok"


def test_dev_full_loses_lines(make_client: Callable[..., TestApp]) -> None:
    client = make_client(audit="/dev/full")
    client.get("/tango/rest/sys/clean/devices", status=204)
    wait_until(lambda: "No space left" in client.get("/readyz").json.get("warnings", [""])[0])


def test_limit_of_the_size_of_files_loses_whole_lines_only(audited: Audited) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    audited.client.get("/tango/rest/sys/clean/devices")
    size = len(audited.path.read_bytes()) if audited.lines() else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
    try:
        audited.client.get("/tango/rest/sys/clean/devices")
        for _ in range(20):
            assert len(audited.lines()) == 1
        assert audited.lost() == 1, audited.app.extensions["mtango"].audit.problem
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    wait_until(lambda: "warnings" not in audited.client.get("/readyz").json)
    assert "1 lines of this log are lost" in audited.last()["outcome"]


# --- a target that hangs ---


class Hanging:
    """A target whose writes wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def write(self, line: bytes) -> None:
        self.go.wait(60)

    def sync(self) -> None:
        pass


@pytest.fixture
def hanging(audited: Audited) -> Iterator[Hanging]:
    target = Hanging()
    audited.app.extensions["mtango"].audit._writer._target = target
    yield target
    target.go.set()


def test_target_that_hangs_holds_no_request(
    audited: Audited, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_writer, "MOST_WAITING", 5)
    monkeypatch.setattr(audit_writer, "_HANGS_AFTER", 0.2)
    began = time.monotonic()
    for _ in range(20):
        audited.client.get("/tango/rest/sys/clean/devices", status=204)
    assert time.monotonic() - began < 20
    assert audited.lost() >= 5
    wait_until(lambda: "hangs" in audited.client.get("/readyz").json["warnings"][0])
    hanging.go.set()
    wait_until(lambda: "warnings" not in audited.client.get("/readyz").json)


def test_lines_that_wait_are_counted_and_not_requests(
    audited: Audited, hanging: Hanging, demo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_writer, "MOST_WAITING", 5)
    change = Change(Target("write", "attribute"))
    assert audited.app.extensions["mtango"].audit._writer.put_and_wait([Line(0.0, Origin(), change, "begun")] * 6, 1)
    assert audited.lost() == 6


class Unsafe(Hanging):
    """A target that takes lines, and cannot make them safe."""

    def write(self, line: bytes) -> None:
        pass

    def sync(self) -> None:
        raise OSError(errno.EIO, "no disk")


def test_line_that_is_not_safe_is_lost_and_not_written(audited: Audited) -> None:
    writer = audited.app.extensions["mtango"].audit._writer
    writer._target = Unsafe()
    lines = [Line(0.0, Origin(), Change(Target("write", "attribute")), "begun")] * 2
    assert "no disk" in writer.put_and_wait(lines, 10)
    assert audited.lost() == 2
    metrics = audited.app.extensions["mtango"].metrics
    assert metric_value(metrics, "mtango_audit_lines_total", outcome="written") == 0


@pytest.mark.slow
@in_patched_process
def test_disk_that_is_slow_holds_only_the_requests_that_wait_for_it() -> None:
    """Changes that need their line wait in their greenlets, and share one wait for the disk."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Config(audit=f"{folder}/audit.log", audit_required=True))
        audit, client = app.extensions["mtango"].audit, Client(app)
        audit._writer._target = Slow()
        clean = [gevent.spawn(client.get, "/tango/rest/sys/clean/attributes") for _ in range(20)]
        ticks = 0
        while not all(request.ready() for request in clean):
            gevent.sleep(0.01)
            ticks += 1
        assert {request.get().status_code for request in clean} == {204}
        assert 20 < ticks < 300
        audit.finish(10)


class Slow:
    """A target whose disk takes half a second."""

    def write(self, line: bytes) -> None:
        pass

    def sync(self) -> None:
        monkey.get_original("time", "sleep")(0.5)


def test_required_line_that_is_not_taken_in_time_refuses_the_change(
    tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    audited = Audited(tmp_path / "audit.log", audit_required=True, call_deadline=0.3)
    target = audited.app.extensions["mtango"].audit._writer._target = Hanging()
    try:
        answer = audited.client.get("/tango/rest/sys/clean/devices", status=503)
        assert "has not taken it within 0.3 s" in answer.json["errors"][0]["description"]
    finally:
        target.go.set()


# --- MTANGO_AUDIT_REQUIRED ---


def test_required_line_is_written_before_the_change(make_audited: Callable[..., Audited], demo_url: str) -> None:
    audited = make_audited(audit_required=True)
    audited.client.put(f"{demo_url}/attributes/double_scalar/value?v=2.5")
    audited.client.put(f"{demo_url}/attributes/value?double_scalar=1&long_scalar=2")
    lines = audited.lines()
    assert [line["outcome"] for line in lines] == ["begun", "ok", "begun", "begun", "ok", "ok"]
    assert [line["new"] for line in lines] == ["2.5", "2.5", "1", "2", "1", "2"]


def test_nothing_is_changed_without_the_required_line(
    tango_system: EmbeddedTango, tmp_path: Path, demo_url: str, pytango: PyTango
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        audited = Audited(disk / "audit.log", audit_required=True)
        client, value = audited.client, f"{demo_url}/attributes/double_scalar_w/value"
        client.put(f"{value}?v=1.5")
        fill(disk / "filler")
        wait_until(lambda: client.put(f"{value}?v=1.5", expect_errors=True).status_int == 503)
        for path in (
            "/attributes/double_scalar_w/value?v=9",
            "/attributes/double_scalar_w/value?v=9&async=1",
            "/attributes/value?double_scalar_w=9",
            "/properties?refused=1",
            "/properties/refused?value=1",
        ):
            answer = client.put(demo_url + path, status=503)
            assert answer.json["errors"][0]["reason"] == "MTANGO_AuditFailed"
        assert client.get(value).json["value"] == 1.5
        assert client.get(f"{demo_url}/properties/refused").json["values"] == []
        assert "every change is refused" in client.get("/readyz", status=503).json["problems"][0]
        (disk / "filler").unlink()
        wait_until(lambda: client.get("/readyz", expect_errors=True).status_int == 200)
        assert client.put(f"{value}?v=2.5").json["value"] == 2.5
