"""The picture of README is made from the demo, whatever has become of the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import BROWSER

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(BROWSER is None, reason="there is no browser (Debian: chromium)")
def test_script_makes_the_picture(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    ended = subprocess.run(
        [sys.executable, "docs/picture.py", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=180
    )
    assert ended.returncode == 0, ended.stderr
    assert file.read_bytes().startswith(b"\x89PNG")


def test_picture_of_readme_is_small() -> None:
    assert (ROOT / "docs" / "operator-page.png").stat().st_size < 150_000
