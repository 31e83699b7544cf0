"""The commands `mtango-gevent rules`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtango_gevent.serving import cli

RULES = """[groups]
operators = ["anna"]

[[rule]]
groups = ["operators"]
networks = ["10.1.0.0/16"]
may = ["read", "write"]
devices = ["sr/mag-*/*"]
attributes = ["current*"]
tango_hosts = ["db:10000"]

[[rule]]
users = ["anna"]
may_not = ["write"]
devices = ["sr/mag-*/*"]
attributes = ["current*"]
tango_hosts = ["db:10000"]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "access.toml"
    path.write_text(RULES)
    return str(path)


def test_check_shows_sentences_and_rules_without_effect(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules", "check", file]) == 0
    shown = capsys.readouterr()
    where = "attributes current* of sr/mag-*/* at db:10000"
    assert shown.out.splitlines()[:2] == [
        f"rule 1 (line 4): group operators or network 10.1.0.0/16 may read and write {where}",
        f"rule 2 (line 12): user anna may not write {where}",
    ]
    assert shown.err == "warning: rule 2 (line 12) has no effect: rule 1 (line 4) matches first\n"


@pytest.mark.parametrize("text", ["[[rule]]\nmay = 3\n", "[[rule\n"])
def test_check_fails_for_a_broken_file(file: str, capsys: pytest.CaptureFixture[str], text: str) -> None:
    Path(file).write_text(text)
    assert cli.main(["rules", "check", file]) == 1
    assert f"{file}: " in capsys.readouterr().err
    assert cli.main(["rules", "check", file + ".none"]) == 1
    assert cli.main(["rules", "explain", "--file", file, "anna", "read", "metrics"]) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--tango-host", "DB:10000", "anna", "write", "sr/mag-1/a/Current"], 0, "allowed by rule 1 (line 4"),
        (["anna", "write", "sr/mag-1/a/current"], 1, "no rule allows it"),
        (["--tango-host", "db:10000", "--group", "operators", "-", "write", "sr/mag-1/a/current"], 1, "no rule"),
        (["--tango-host", "db:10000", "--address", "10.1.2.3", "-", "write", "sr/mag-1/a/current"], 0, "rule 1"),
        (["anna", "execute", "sr/mag-1/a/State"], 0, "read sr/mag-1/a/state: no rule is about it"),
        (["anna", "execute", "dserver/x/1/Kill"], 1, "configure dserver/x/1/kill: no rule allows it"),
        (["anna", "administer", "sys/clean"], 1, "administer sys/clean: no rule allows it"),
        (["anna", "fly", "sys/clean"], 2, "expected one of read, write, execute, configure, administer, got 'fly'"),
        (["--kind", "x", "anna", "read", "a/b/c/d"], 2, "expected one of gateway, device, attribute"),
    ],
)
def test_explain_tells_the_decision(
    file: str, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, text: str
) -> None:
    assert cli.main(["rules", "explain", "--file", file, *arguments]) == status
    shown = capsys.readouterr()
    assert text in shown.out + shown.err


def test_explain_takes_the_file_and_the_settings_of_the_gateway(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    question = ["rules", "explain", "--tango-host", "db:10000", "anna", "write", "sr/mag-1/a/current"]
    assert cli.main(question) == 2
    monkeypatch.setenv("MTANGO_RULES", file)
    assert cli.main(question) == 0
    monkeypatch.setenv("MTANGO_READ_ONLY", "1")
    assert cli.main(question) == 1
    assert "MTANGO_READ_ONLY allows reads only" in capsys.readouterr().out
