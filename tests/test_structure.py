"""The size of the package and of its functions, and the path of a request through its modules."""

from __future__ import annotations

import ast
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
from gevent import monkey
from werkzeug.test import Client

from mtango_gevent import create_app
from mtango_gevent.config import Config
from tests.module_path import ModulePath
from tests.patched_process import in_patched_process

PACKAGE = Path(__file__).parents[1] / "mtango_gevent"
MOST_LINES = 23_100
MOST_LINES_OF_A_MODULE = 300
FUNCTION_MEDIAN, FUNCTION_P90 = 6, 14
FIRST_READ_MODULES, FIRST_READ_REVISITS = 43, 15


def modules() -> Iterator[tuple[str, str]]:
    """The name and the text of each module of the package, without the demo."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if not name.startswith("demo/") and not path.is_symlink():
            yield name, path.read_text("utf-8")


def test_package_is_no_longer_than_its_bound() -> None:
    lines = {name: len(text.splitlines()) for name, text in modules()}
    total = sum(lines.values())
    assert total <= MOST_LINES
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_MODULE} == {}


def test_functions_are_short() -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for _, text in modules()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions) and node.end_lineno
    )
    assert statistics.median(lengths) <= FUNCTION_MEDIAN
    assert lengths[len(lengths) * 9 // 10] <= FUNCTION_P90


@in_patched_process
def test_first_read_of_a_value_passes_few_modules_and_none_twice() -> None:
    """Of a device without a cached proxy, by a worker that has read another one."""
    app, path = create_app(Config()), ModulePath()
    client, tango_client = Client(app), app.extensions["mtango"].client
    devices = "/tango/rest/rc3/hosts/" + os.environ["TANGO_HOST"].replace(":", "/") + "/devices"

    def record_in_thread() -> None:
        sys.setprofile(path.note)
        monkey.get_original("time", "sleep")(0.3)  # until all threads have a call

    def read(attribute: str) -> None:
        answer = client.get(f"{devices}/{attribute}/value")
        assert (answer.status_code, answer.json["quality"]) == (200, "ATTR_VALID"), answer.text

    read("sys/tg_test/1/attributes/double_scalar")
    gevent.joinall([gevent.spawn(tango_client.bulkhead(f"a/b/{n}").call, "other", record_in_thread) for n in range(8)])
    sys.setprofile(path.note)
    path.is_on = True
    read("demo/motor/1/attributes/position")
    path.is_on = False

    print(path)  # pytest -s
    visits = path.visits()
    revisited = {module: visitors for module, visitors in visits.items() if len(visitors) > 1}
    found = f"{len(visits)} modules: {', '.join(visits)}\nmore than once: {revisited}"
    print(found)
    assert "control.calls.threads" in visits
    assert len(visits) <= FIRST_READ_MODULES, found
    assert len(revisited) <= FIRST_READ_REVISITS, found
