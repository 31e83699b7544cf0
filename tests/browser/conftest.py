"""A real browser without a window, and pages of other origins for it."""

from __future__ import annotations

import contextlib
import http.server
import queue
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.live.conftest import gateway, host_path, wait_until

__all__ = ["gateway", "host_path"]

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
