"""Every example of README and docs is run, or checked as far as it can be without root, containers and time.

The language of a fenced block says which; CONTRIBUTING.md lists them.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from mtango_gevent.api.access import parse_rules
from mtango_gevent.config import FILE_VARIABLE, Config
from mtango_gevent.demo.embedded import free_port
from tests.live.conftest import wait_until

from .conftest import Demo
from .pages import DEPLOY_PAGES, PAGES, ROOT, Block, blocks, commands, read_blocks

MARK = "@@ end of example"
WITH_CONSOLE = [page for page in PAGES if any(block.language == "console" for block in read_blocks(page))]
# They start the command a dozen times, or wait for a stream.
SLOW = {"access-rules.md", "follow-events.md"}
SERVERS = [
    block
    for block in blocks("python")
    if "serve_forever()" in block.text or re.search(r"\bapplication\b(?!/)", block.text)
]
PROGRAMS = [block for block in blocks("python") if block not in SERVERS and not block.title]
TESTED = {"console", "python", "html", "sh", "toml", "json", "yaml", "ini", "nginx", "text"}


def each(found: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", found, ids=str)


def pattern(line: str) -> str:
    """Return the expression that an expected line stands for.

    `...` is any text. A number with a point is any number, and so is a timestamp; all else is as it stands.
    """
    parts = re.split(r'(\.\.\.|"timestamp":\s*\d+|(?<=[:\[, ])-?\d+\.\d+(?:e[+-]?\d+)?(?=[,\]}]|$))', line)
    return "".join(_pattern_of_part(part) if number % 2 else re.escape(part) for number, part in enumerate(parts))


def _pattern_of_part(part: str) -> str:
    if part == "...":
        return ".*"
    return r'"timestamp":\s*\d+' if part.startswith('"') else r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def check_output(expected: list[str], actual: str) -> None:
    """Compare line by line; a line `...` stands for any number of lines."""
    lines = "".join((r"(?:.*\n)*" if line.strip() == "..." else pattern(line) + r"\n") for line in expected)
    assert re.fullmatch(lines, actual), f"expected:\n{chr(10).join(expected)}\ngot:\n{actual}"


def run_page(page: Path, demo: Demo, folder: Path) -> list[tuple[str, list[str], str]]:
    """Run the commands of the console blocks of a page in one shell: (command, expected lines, output) of each."""
    found = [command for block in read_blocks(page) if block.language == "console" for command in commands(block)]
    for block in read_blocks(page):
        if block.title:
            (folder / block.title).write_text(demo.adapt(block.text), "utf-8")
    script = "".join(f"{demo.adapt(command.text)}\nprintf '\\n%s\\n' '{MARK}'\n" for command in found)
    ended = subprocess.run(
        ["bash", "-u"], input=script, cwd=folder, env=demo.environment(), capture_output=True, text=True, timeout=120
    )
    assert "unbound variable" not in ended.stderr, ended.stderr
    outputs = demo.restore(ended.stdout).split(f"\n{MARK}\n")
    assert len(outputs) == len(found) + 1, ended.stderr
    return [(command.text, command.expected, output) for command, output in zip(found, outputs[:-1], strict=True)]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page.name in SLOW else []) for page in WITH_CONSOLE],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_commands_answer_what_the_page_shows(page: Path, demo: Demo, tmp_path: Path) -> None:
    for command, expected, output in run_page(page, demo, tmp_path):
        actual = output.replace("\r\n", "\n").strip("\n")
        lines = "\n".join(line for line in actual.splitlines() if line.strip())
        if expected:
            check_output(expected, f"{lines}\n")
        else:
            assert "FAILURE" not in output, command


@pytest.mark.slow
@each(PROGRAMS)
def test_programs_run(block: Block, demo: Demo, tmp_path: Path) -> None:
    program = demo.adapt(block.text)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=demo.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr


def status_of(url: str, header: str = "Accept: */*") -> int:
    """Return the status of an answer, 0 if there is none."""
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", header, url]
    return int(subprocess.run(command, capture_output=True, text=True, timeout=30).stdout)


@pytest.mark.slow
@each(SERVERS)
def test_servers_serve(block: Block, demo: Demo, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "embedding.py").write_text(block.text.replace("8000", str(port)), "utf-8")
    command = [sys.executable, "embedding.py"]
    if "serve_forever()" not in block.text:
        command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", "embedding:application"]
    process = subprocess.Popen(command, cwd=tmp_path, env=demo.environment(), stderr=subprocess.PIPE)
    base = f"http://127.0.0.1:{port}/tango/rest/rc3/hosts"
    value = f"{base}/127.0.0.1/{demo.tango_port}/devices/sys/tg_test/1/attributes/ampli/value"
    try:
        wait_until(lambda: status_of(base, "Authorization: Bearer secret") == 200)
        assert [status_of(value, "Authorization: Bearer secret") for _ in range(3)] == [200] * 3
        assert status_of(value) == (401 if "abort(401)" in block.text else 200)
    finally:
        process.kill()
        process.communicate(timeout=30)


@each(blocks("html"))
def test_pages_show_the_value_of_the_device(block: Block, demo: Demo, tmp_path: Path) -> None:
    """Run the page's script in node, with a stand-in for the few things of a browser that it uses."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed (Debian: nodejs)")
    (script,) = re.findall(r"<script>(.*?)</script>", block.text, re.DOTALL)
    elements = re.findall(r'id="(\w+)"', block.text)
    browser = (
        f"const elements = Object.fromEntries({json.dumps(elements)}.map(id => [id, {{id, textContent: ''}}]));\n"
        "const document = {querySelector: selector => elements[selector.slice(1)]};\n"
        "setTimeout(() => { console.log(JSON.stringify(elements)); process.exit(0); }, 1500);\n"
    )
    (tmp_path / "page.js").write_text(browser + demo.adapt(script).replace("10000", str(demo.tango_port)), "utf-8")
    options = ["--experimental-websocket"] if "WebSocket(" in script else []  # node 22 needs no option
    output = subprocess.check_output([node, *options, "page.js"], cwd=tmp_path, text=True, timeout=30)
    shown = json.loads(output.splitlines()[-1])
    for name in elements:
        assert shown[name]["textContent"], f"#{name} is empty"
    assert "undefined" not in output


@each(blocks("sh", pages=[*PAGES, *DEPLOY_PAGES]))
def test_scripts_are_correct_shell(block: Block) -> None:
    ended = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for target in re.findall(r"^\s*make ([a-z-]+)", block.text, re.MULTILINE):
        assert target in targets
    for path in re.findall(r"(?<![\w/.-])((?:deploy|benchmarks|docs|swagger|tests)/[\w./-]+)", block.text):
        assert (ROOT / path).exists() or path == "deploy/.env", path
    for command in re.findall(r"\bmtango-gevent (serve|demo|check|[a-z]+)\b(?![./])", block.text):
        assert command in ("serve", "demo", "check", "key", "rules"), command


@each(blocks("toml"))
def test_settings_files_are_accepted(block: Block, tmp_path: Path) -> None:
    if "[[rule]]" in block.text:
        assert parse_rules(block.text.encode(), block.title).warnings() == []
        return
    (tmp_path / "mtango.toml").write_text(block.text, "utf-8")
    assert Config.load({FILE_VARIABLE: str(tmp_path / "mtango.toml")}) != Config()


@each(blocks("json", "yaml", "ini"))
def test_data_can_be_read(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    else:
        configparser.ConfigParser(strict=False, allow_no_value=True).read_string(block.text)


@each(blocks("nginx"))
def test_nginx_accepts_its_blocks(block: Block, tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    around = (
        "pid {0}/pid; error_log {0}/error.log; events {{}} http {{ access_log off;"
        " map $request_method $mtango {{ default 127.0.0.1:8000; }} server {{ listen 1; {1} }} }}"
    )
    (tmp_path / "nginx.conf").write_text(around.format(tmp_path, block.text), "utf-8")
    command = [nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert "test is successful" in ended.stderr, ended.stderr


def test_every_block_has_a_language_that_a_test_knows() -> None:
    unknown = [str(block) for page in PAGES for block in read_blocks(page) if block.language not in TESTED]
    assert unknown == []


def test_the_comparison_finds_differences() -> None:
    """The checks above are worth nothing if anything passes."""
    for expected, actual in (
        ('{"value":5}', '{"value":6}\n'),
        ('{"state":"ON"}', '{"state":"OFF"}\n'),
        ('{"value":5.0}', '{"value":null}\n'),
        ('{"a":1}', '{"a":1}\nmore\n'),
    ):
        with pytest.raises(AssertionError, match="expected"):
            check_output([expected], actual)
    check_output(
        ['{"value":5.0,"timestamp":17,"text":"a...z"}', "..."], '{"value":-7e-05,"timestamp":99,"text":"abcz"}\nx\n'
    )
    check_output(["[1.5,2.5]"], f"[{time.time()},0.0]\n")
