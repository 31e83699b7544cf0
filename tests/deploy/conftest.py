"""The files of deploy/, with other ports and paths."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.live.conftest import Gateway, host_path, served

__all__ = ["host_path"]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def adapted(name: str, replacements: dict[str, str]) -> str:
    """The file `name` of deploy/ with each of the texts replaced, all of which it must have."""
    text = (DEPLOY / name).read_text("utf-8")
    for old, new in replacements.items():
        assert old in text, f"deploy/{name} has no {old!r}"
        text = text.replace(old, new)
    return text


def skip_unless_others_may_read(*paths: Path) -> None:
    """A server that root starts reads as somebody else."""
    if os.geteuid() == 0:
        for folder in (folder for path in paths for folder in (path.resolve(), *path.resolve().parents)):
            if not folder.stat().st_mode & stat.S_IXOTH:
                pytest.skip(f"{folder} is for root alone, and the server runs as somebody else")


@pytest.fixture(scope="package")
def proxied_gateway(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:application"]
    with served(command, tmp_path_factory.mktemp("proxied") / "log", MTANGO_TRUSTED_PROXIES="1") as gateway:
        yield gateway
