"""A real browser without a window, for the operator's page and for pages of other origins.

A test of the operator's page:

    def test_something(page_at: PageAt, watch: PageWatch) -> None:
        page = page_at("#/device/sys/tg_test/1")            # at the gateway of the session; of=gateway: at another one
        expect(page.get_by_role("heading")).to_have_text("sys/tg_test/1")
        watch.expect("status of 403")                       # a line that the browser itself writes into the console

`page_at` takes the options of a browser context: `color_scheme="dark"`, `viewport={"width": 360, "height": 640}`. At
the end of the test it fails if a page has sent a request to another origin, has written to its console or has raised
an error that was not expected. `check_accessibility(page)` fails for serious faults that axe-core finds.
A fixture with a gateway of its own comes before `page_at` in the list of parameters, so that it ends after the pages.
Playwright's calls wait for their condition, up to WAIT, and so does `wait_for(page, "an expression of JavaScript")`.
The browser is Debian's chromium.
"""

from __future__ import annotations

import contextlib
import http.server
import queue
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.conftest import DEMO_DEVICE
from tests.live.conftest import Gateway, gateway, host_path, wait_until
from tests.pytango_process import PyTango

from .page_watch import PageWatch

__all__ = ["PageAt", "PageWatch", "gateway", "host_path", "wait_for"]

BROWSER = shutil.which("chromium") or shutil.which("chromium-headless-shell")

# Seconds in which a page has to report, the start of the browser included.
SECONDS = 60


class PageServer:
    """Serves one page, which reports its findings by POST /report. Its origin is another one under each host name."""

    def __init__(self) -> None:
        self.page = b""
        self._reports: queue.Queue[Any] = queue.Queue()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if self.path == "/" else 404, pages.page if self.path == "/" else b"")

            def do_POST(self) -> None:
                pages._reports.put(orjson.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(200, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    @contextlib.contextmanager
    def running(self) -> Iterator[PageServer]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def report(self, page: str, host: str, profile: Path) -> Any:
        """Open a page of http://host:port in the browser, and return what it reports."""
        (found,) = self.reports(page, host, profile, 1)
        return found

    def reports(self, page: str, host: str, profile: Path, tabs: int) -> list[Any]:
        """Open a page in that many tabs of the browser, and return what they report."""
        self.page = page.encode()
        assert BROWSER
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
        quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command = [BROWSER, *options, *quiet, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        url = f"http://{host}:{self.port}/"
        with (profile.parent / "browser.log").open("wb") as log:
            process = subprocess.Popen([*command, url], stdout=log, stderr=log)
            try:
                for _ in range(tabs - 1):
                    _open_tab(profile, url)
                return [self._reports.get(timeout=SECONDS) for _ in range(tabs)]
            except queue.Empty:
                raise AssertionError((profile.parent / "browser.log").read_text()) from None
            finally:
                process.terminate()
                process.wait(30)


def _open_tab(profile: Path, url: str) -> None:
    """Open a further tab of the browser that runs with a profile."""
    port_file = profile / "DevToolsActivePort"
    wait_until(lambda: port_file.exists() and port_file.read_text())
    port = port_file.read_text().split()[0]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?{url}", method="PUT")
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        assert answer.status == 200


@pytest.fixture
def pages() -> Iterator[PageServer]:
    if BROWSER is None:
        pytest.skip("there is no browser (Debian: chromium)")
    with PageServer().running() as server:
        yield server


# --- the operator's page ---

# Names other than those of this machine are not resolved, so that nothing leaves it.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]

# Milliseconds in which a page has to be as a test expects it.
WAIT = 30_000

AXE = Path(__file__).parent / "axe-4.14.1.min.js"


def wait_for(page: Page, expression: str) -> None:
    """Wait until an expression is true in a page. The page's policy forbids the eval of `wait_for_function`."""
    wait_until(lambda: page.evaluate(f"Boolean({expression})"), WAIT / 1000)


class PageAt(Protocol):
    """Opens the operator's page. of: the gateway, None for that of the session; options: of the browser's context."""

    def __call__(self, hash: str = "#/", *, of: Gateway | None = None, **options: Any) -> Page: ...


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    if BROWSER is None:
        pytest.skip("there is no browser (Debian: chromium)")
    expect.set_options(timeout=WAIT)
    return {**browser_type_launch_args, "executable_path": BROWSER, "args": FLAGS}


@pytest.fixture(scope="session")
def base_url() -> None:
    """In place of pytest-playwright's own, of which pytest warns; each context has the URL of its gateway."""


@pytest.fixture
def watch() -> PageWatch:
    """What the pages of the test do; `page_at` checks it at the end."""
    return PageWatch()


@pytest.fixture
def page_at(
    request: pytest.FixtureRequest, new_context: Callable[..., BrowserContext], watch: PageWatch, pytango: PyTango
) -> Iterator[PageAt]:
    """Opens the operator's page, each time in a context of its own: without the storage of others."""
    pages: list[Page] = []
    pytango.run(DEMO_DEVICE, "Init")  # its values move, unless other tests have written them

    def open_page(hash: str = "#/", *, of: Gateway | None = None, **options: Any) -> Page:
        origin = f"http://127.0.0.1:{(of or request.getfixturevalue('gateway')).port}"
        context = new_context(base_url=origin, **options)
        context.set_default_timeout(WAIT)
        watch.follow(context, origin)
        page = context.new_page()
        pages.append(page)
        page.goto(f"/{hash}")
        return page

    yield open_page
    for page in pages:
        if not page.is_closed():
            page.evaluate("0")  # so that what the page has done before has arrived
    watch.check()


@pytest.fixture
def check_accessibility() -> Callable[[Page], None]:
    """Fails for faults of a page that axe-core calls serious or critical."""

    def check(page: Page) -> None:
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
        faults = [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
            if node["impact"] in ("serious", "critical")
        ]
        assert faults == []

    return check
