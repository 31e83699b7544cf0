"""A real browser without a window, and pages of other origins for it."""

from __future__ import annotations

import contextlib
import http.server
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.live.conftest import gateway, host_path

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
        self.page = page.encode()
        assert BROWSER
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
        quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command = [BROWSER, *options, *quiet, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        url = f"http://{host}:{self.port}/"
        with (profile.parent / "browser.log").open("wb") as log:
            process = subprocess.Popen([*command, url], stdout=log, stderr=log)
            try:
                return self._reports.get(timeout=SECONDS)
            except queue.Empty:
                raise AssertionError((profile.parent / "browser.log").read_text()) from None
            finally:
                process.terminate()
                process.wait(30)


@pytest.fixture
def pages() -> Iterator[PageServer]:
    if BROWSER is None:
        pytest.skip("there is no browser (Debian: chromium)")
    with PageServer().running() as server:
        yield server
