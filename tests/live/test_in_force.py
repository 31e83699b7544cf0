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
