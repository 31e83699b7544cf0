"""What the server says of its settings, wherever they come from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import served

pytestmark = pytest.mark.slow

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"]


@pytest.mark.parametrize(
    ("options", "settings", "workers"),
    [
        (["-w", "2", "-b", "127.0.0.1:PORT", "--max-requests", "5000"], {"MTANGO_PORT": "1", "MTANGO_HOST": "::"}, 2),
        ([], {"MTANGO_WORKERS": "0", "MTANGO_MAX_REQUESTS": "5000"}, len(os.sched_getaffinity(0))),
    ],
)
def test_the_config_is_what_gunicorn_was_started_with(
    tango_system: EmbeddedTango, tmp_path: Path, options: list[str], settings: dict[str, str], workers: int
) -> None:
    with served([*GUNICORN, *options, "wsgi:application"], tmp_path / "log", **settings) as gateway:
        config = gateway.get("/sys/config")
        assert (config["host"], config["port"]) == ("127.0.0.1", gateway.port)
        assert (config["workers"], config["max_requests"]) == (workers, 5000)


def test_the_variables_of_a_kubernetes_service_do_not_stop_the_start(
    tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    command = [*GUNICORN, "-b", "127.0.0.1:PORT", "wsgi:application"]
    variables = {"MTANGO_PORT": "tcp://10.0.0.5:8000", "MTANGO_SERVICE_HOST": "10.0.0.5"}
    with served(command, tmp_path / "log", **variables) as gateway:
        (line,) = [line for line in gateway.log.read_text().splitlines() if "WARNING" in line]
    assert "MTANGO_PORT, MTANGO_SERVICE_HOST: ignored, as Kubernetes sets such variables" in line


@pytest.mark.parametrize(
    ("options", "settings", "warned"),
    [
        (["-w", "2", "-b", "0.0.0.0:PORT"], {}, True),
        (["-b", "0.0.0.0:PORT"], {"MTANGO_READ_ONLY": "1"}, False),
        (["-b", "127.0.0.1:PORT"], {"MTANGO_HOST": "0.0.0.0"}, False),
    ],
)
def test_the_start_warns_once_of_a_gateway_that_is_open_to_a_network(
    tango_system: EmbeddedTango, tmp_path: Path, options: list[str], settings: dict[str, str], warned: bool
) -> None:
    with served([*GUNICORN, *options, "wsgi:application"], tmp_path / "log", **settings) as gateway:
        lines = [line for line in gateway.log.read_text().splitlines() if "NO ACCESS CONTROL" in line]
    assert len(lines) == warned
    assert all("[WARNING]" in line and f"0.0.0.0:{gateway.port}" in line for line in lines)
