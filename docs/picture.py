"""Makes the picture of the operator's page that README shows: the camera of the demo, in Debian's chromium.

python docs/picture.py [FILE]
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "operator-page.png"
SIZE = {"width": 1280, "height": 1040}
COLOURS = 192  # a palette makes the file a quarter as large
LARGEST = 150_000  # bytes
SECONDS = 60


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    with demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.set_default_timeout(SECONDS * 1000)
        show_camera(page, url)
        save(page.screenshot(), file)
        browser.close()


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Run the demo as long as the block lasts, and yield the URL of its page."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mtango_gevent", "demo", "--bind", f"127.0.0.1:{port}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MTANGO_ACCESS_LOG": "false"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        if not any("Ctrl-C" in line for line in process.stdout):
            raise SystemExit("the demo did not start")
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(SECONDS)


def show_camera(page: Page, url: str) -> None:
    """Open the camera with its image, and wait for live values."""
    page.goto(f"{url}#/device/demo/camera/1")
    page.get_by_role("button", name="Show Image", exact=True).click()
    page.locator("canvas").first.wait_for()
    page.get_by_text("frame_counter").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(3000)  # for the first events


def save(screenshot: bytes, file: Path) -> None:
    Image.open(io.BytesIO(screenshot)).convert("RGB").quantize(COLOURS).save(file, optimize=True)
    if file.stat().st_size > LARGEST:
        raise SystemExit(f"expected at most {LARGEST} bytes, {file} has {file.stat().st_size}")


if __name__ == "__main__":
    main()
