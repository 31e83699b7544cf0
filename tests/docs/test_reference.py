"""The reference pages say what the code says; what a page cites exists; links lead somewhere."""

from __future__ import annotations

import builtins
import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from mtango_gevent import __version__, metric_table
from mtango_gevent.config import FILE_VARIABLE, SETTINGS, Config
from mtango_gevent.control.calls import breaker, threads
from mtango_gevent.errors import STATUS_OF_REASON
from mtango_gevent.serving import stopping

from .pages import DEPLOY_PAGES, DOCS, PAGES, ROOT, code_spans, prose

REFERENCE = DOCS / "reference"
PACKAGE = ROOT / "mtango_gevent"
SOURCE = "\n".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
CITING = [*PAGES, *DEPLOY_PAGES]

each_page = pytest.mark.parametrize("page", CITING, ids=lambda page: str(page.relative_to(ROOT)))


def read(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


def shown(default: object) -> str:
    """Return a default as the page writes it."""
    if isinstance(default, tuple):
        default = ",".join(default)
    elif isinstance(default, bool):
        default = str(default).lower()
    return f"`{default}`" if default != "" else "none"


def test_kinds_of_calls_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `kind` of .*? \| (.*) \|$", read("metrics.md"), re.MULTILINE)
    code = "\n".join(
        path.read_text("utf-8") for folder in ("control", "api") for path in (PACKAGE / folder).rglob("*.py")
    )
    kinds = re.findall(r"""(?:\b_?call|prepare|_change|Route\([\w.()]+,)[(\s]\s*"([a-z]+)",""", code)
    assert {kind for row in rows for kind in re.findall("`([a-z]+)`", row)} == set(kinds)


# --- generated parts ---


def test_generated_parts_are_up_to_date() -> None:
    pytest.importorskip("cogapp")
    files = [*DOCS.rglob("*.md"), *(ROOT / "swagger").glob("*.yml")]
    pages = [str(page) for page in files if "[[[cog" in page.read_text("utf-8")]
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", "-P", "-I", "docs", "-p", "import generate", *pages]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, f"run `make docs`:\n{ended.stdout}"


def test_every_setting_has_a_row() -> None:
    page = read("settings.md")
    for field in dataclasses.fields(Config):
        row = f"| `MTANGO_{field.name.upper()}` | {shown(field.default)} | {field.metadata['sentence']} |"
        assert row in page
    assert len(re.findall(r"^\| `MTANGO_", page, re.MULTILINE)) == len(SETTINGS)


def test_every_metric_has_a_row() -> None:
    page = read("metrics.md")
    for name, labels, about in metric_table.METRICS:
        listed = ", ".join(f"`{label}`" for label in labels)
        assert f"| `{name}` |{f' {listed}' if listed else ''} | {about} |" in page
    assert set(re.findall(r"^\| `(mtango_\w+)`", page, re.M)) == {name for name, _, _ in metric_table.METRICS}


def test_every_reason_has_a_row() -> None:
    page = read("failures.md")
    raised = set(re.findall(r'"(MTANGO_[A-Z][a-z]\w+)"', SOURCE))
    assert set(re.findall(r"^\| `(\w+_\w+)`", page, re.M)) == raised | STATUS_OF_REASON.keys()
    for reason, status in STATUS_OF_REASON.items():
        (row,) = re.findall(rf"^\| `{reason}` \| (.*) \|$", page, re.M)
        assert str(status) in row


def test_every_operation_is_listed() -> None:
    before, v11, after = re.split(r"^## (?=v11$)|^## (?=sys$)", read("api.md"), flags=re.M)
    device = "/devices/{domain}/{family}/{member}"
    page = (before + after).replace("{device}", "/hosts/{host}/{port}" + device)
    page += v11.replace("{device}", "/hosts/{host}" + device)
    listed = re.findall(r"^#### `([A-Z]+) (\S+)`$", page, re.M)
    described = [
        (method.upper(), path)
        for name in ("main", "rc3", "v11", "subscriptions", "sys")
        for path, item in yaml.safe_load((ROOT / f"swagger/{name}.yml").read_text("utf-8"))["paths"].items()
        for method in item
        if method in ("get", "put", "post", "delete")
    ]
    assert sorted(listed) == sorted(described)


def test_every_command_is_shown_with_its_options() -> None:
    page = read("cli.md")
    for command in ("serve", "demo", "check"):
        ended = subprocess.run(
            [sys.executable, "-m", "mtango_gevent", command, "--help"],
            cwd=ROOT,
            env={"COLUMNS": "80", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert ended.stdout.rstrip() in page


# --- citations ---


@each_page
def test_cited_files_exist(page: Path) -> None:
    for span in code_spans(page):
        for path in re.findall(
            r"(?<![\w/.*-])(?:[\w.-]+/)*[\w.-]+\.(?:py|md|yml|conf|ini|service|toml|txt|json)\b", span
        ):
            places = (ROOT, PACKAGE, PACKAGE / "control", PACKAGE / "api", ROOT / "deploy", page.parent)
            assert any((place / path).exists() for place in places) or path in WRITTEN_BY_OTHERS, path
        if re.fullmatch(r"(mtango_gevent|tests|deploy|docs|benchmarks|swagger|typings)/[\w./-]*", span):
            assert (ROOT / span).exists(), span


# Files that a page mentions and that are not ours, or that a command of ours writes.
WRITTEN_BY_OTHERS = {"conf.py", "table.md", "figures.json", "motor.html", "follow.py", "page.py", "access.toml"}


@each_page
def test_cited_settings_exist(page: Path) -> None:
    known = {f"MTANGO_{name.upper()}" for name in SETTINGS} | {FILE_VARIABLE}
    others = {"MTANGO_SERVICE_HOST"}
    for name in re.findall(r"\bMTANGO_[A-Z0-9_]+\b(?![a-z])", page.read_text("utf-8")):
        assert name in known | others, name


@each_page
def test_cited_reasons_exist(page: Path) -> None:
    for name in re.findall(r"\bMTANGO_[A-Z][a-z]\w+", page.read_text("utf-8")):
        assert f'"{name}"' in SOURCE or name.startswith("MTANGO_Http"), name


@each_page
def test_cited_metrics_exist(page: Path) -> None:
    known = {name for name, _, _ in metric_table.METRICS}
    for name in re.findall(r"\bmtango_(?!gevent)[a-z_]+[a-z]", prose(page)):
        assert name in known, name


@each_page
def test_cited_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for span in code_spans(page):
        for target in re.findall(r"^make ([a-z][\w-]*)", span):
            assert target in targets, target


@each_page
def test_cited_functions_and_classes_exist(page: Path) -> None:
    foreign = dir(builtins) + FOREIGN
    for name in (name for span in code_spans(page) for name in re.findall(r"^([A-Za-z_]\w*)\(\)$", span)):
        assert name in foreign or re.search(rf"^\s*(?:def|class) {name}\b", SOURCE, re.M), name
    for name in (span for span in code_spans(page) if re.fullmatch(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+", span)):
        is_command = name.startswith("Db")  # of Tango's database
        assert is_command or name in FOREIGN or re.search(rf"^class {name}\b", SOURCE, re.M), name


# Names of Tango, PyTango, gevent, Flask and the web that pages cite as code.
FOREIGN = ["DevUChar", "DevBoolean", "DevString", "DevState", "DevEnum", "DevEncoded", "DispatcherMiddleware"]
FOREIGN += ["DevFailed", "DeviceProxy", "GeventExecutor", "AbstractExecutor", "TimeoutStopSec", "ExecReload", "fetch"]
FOREIGN += ["get_ident", "set_global_executor", "set_timeout_millis", "ping", "fork", "TangoTest"]
FOREIGN += ["RegisterService", "CtrlSystem", "GetAllowedCommands", "AllowedAccessCmd", "DbExportDevice", "ResetAlarm"]


@pytest.mark.parametrize("page", [*PAGES, *DEPLOY_PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        link = urlsplit(target)
        if link.scheme:
            continue
        other = page if not link.path else page.parent / link.path
        assert other.exists(), target
        if link.fragment:
            assert link.fragment in headings(other), target


def headings(page: Path) -> set[str]:
    """Return the anchors that Markdown gives to the headings of a page."""
    found = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


def test_numbers_that_pages_state_are_those_of_the_code() -> None:
    """Constants and defaults in the running text, which no generated table has."""
    config = Config()
    assert stopping.graceful_timeout(config) == 53
    assert (threads.FEW, threads.GROW_AFTER, breaker.FORGET_AFTER) == (4, 0.005, 60)
    assert (config.device_limit, config.open_after, config.retry_after, config.queue_timeout) == (4, 3, 1, 1)
    assert (config.tango_timeout, config.call_deadline, config.event_silence) == (3, 5, 10)
    assert f"version: {__version__}\n" in (ROOT / "swagger/sys.yml").read_text("utf-8")


def test_every_page_is_in_the_navigation_and_in_reach() -> None:
    named = set(re.findall(r"([\w/.-]+\.md)", (ROOT / "mkdocs.yml").read_text("utf-8")))
    assert named == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    index = (DOCS / "index.md").read_text("utf-8")
    for name in named - {"index.md"}:
        assert f"({name})" in index or "decisions/0" in name, name


def test_the_readme_is_short_and_leads_on() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme.count("\n") <= 120
    for target in ("how-to/nginx.md", "explanation/calls.md", "explanation/isolation.md", "CONTRIBUTING.md"):
        assert target in readme


# --- building and versions ---


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]*)"', page.read_text("utf-8"))
        assert loaded == [], page.name


def test_the_changelog_has_a_section_for_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)\]? - (\d{4}-\d\d-\d\d)", changes, re.M)
    assert versions[0][0] == __version__
    sections = re.findall(r"^### (.+)$", changes, re.M)
    assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
