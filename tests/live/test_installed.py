"""The gateway as sites install it: from a wheel into a virtual environment, a folder or a user's home, and as a PEX.

Its dependencies are those of the interpreter that runs the tests, so that nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from pathlib import Path

import pytest
import setuptools

from .conftest import Gateway, free_port, served, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SHARED = ("gunicorn.conf.py", "swagger/main.yml", "swagger/rc3.yml", "swagger/sys.yml")
"""Files in the root of the checkout that the package has too."""

FOREIGN = "raise SystemExit('this is the configuration of another program')"
DEPENDENCIES = sysconfig.get_path("purelib")
# Without the checkout, which the tests may have been started with.
USUAL = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@dataclasses.dataclass
class Installed:
    """The command that runs an installed gateway, and the variables that it needs besides the usual ones."""

    command: list[str]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**USUAL, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution."""
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip(f"setuptools is {setuptools.__version__}, and the gateway is built by 77 and later")
    folder = tmp_path_factory.mktemp("build")
    # A copy, as a build leaves folders behind and takes what an earlier one has left there.
    ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "tests")
    sources = shutil.copytree(ROOT, folder / "sources", symlinks=True, ignore=ignored)
    run([sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(folder)], sources)
    (sdist,) = folder.glob("*.tar.gz")
    run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", str(sdist)],
        folder,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_wheel_has_the_files_of_the_checkout(wheel: Path) -> None:
    page = [str(file.relative_to(ROOT)) for file in (ROOT / "mtango_gevent" / "page").rglob("*") if file.is_file()]
    with zipfile.ZipFile(wheel) as archive:
        for name in SHARED:
            assert archive.read(f"mtango_gevent/{name}") == (ROOT / name).read_bytes()
        for name in page:
            assert archive.read(name) == (ROOT / name).read_bytes()


@pytest.mark.parametrize("name", SHARED)
def test_package_in_the_checkout_has_the_same_files(name: str) -> None:
    assert (ROOT / "mtango_gevent" / name).samefile(ROOT / name)


# --- the ways to install it ---


def make_environment(folder: Path) -> Path:
    """Make a virtual environment that has the dependencies, and return its interpreter."""
    run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(folder)], folder.parent)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(DEPENDENCIES)
    return folder / "bin" / "python"


def install(wheel: Path, python: Path, *options: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    run([*command, "--no-warn-script-location", *options, str(wheel)], wheel.parent, **environment)


def in_an_environment(wheel: Path, folder: Path) -> Installed:
    install(wheel, make_environment(folder / "venv"))
    return Installed([str(folder / "venv" / "bin" / "mtango-gevent")])


def in_a_folder(wheel: Path, folder: Path) -> Installed:
    python = make_environment(folder / "venv")
    install(wheel, python, "--target", str(folder / "target"))
    return Installed([str(python), "-m", "mtango_gevent"], {"PYTHONPATH": str(folder / "target")})


def in_the_users_home(wheel: Path, folder: Path) -> Installed:
    home = {"PYTHONUSERBASE": str(folder / "home")}
    install(wheel, make_environment(folder / "venv"), "--user", **home)
    return Installed([str(folder / "home" / "bin" / "mtango-gevent")], home)


def as_a_pex(wheel: Path, folder: Path) -> Installed:
    if importlib.util.find_spec("pex") is None:
        pytest.skip("pex is not installed")
    python, pex = make_environment(folder / "venv"), folder / "mtango-gevent.pex"
    cache = {"PEX_ROOT": str(folder / "pex_root")}
    options = ["--python", str(python), "--no-index", "--intransitive", "--inherit-path=fallback", "--ignore-errors"]
    command = [sys.executable, "-m", "pex", *options, "-c", "mtango-gevent", "-o", str(pex), str(wheel)]
    run(command, folder, **cache)
    return Installed([str(python), str(pex)], cache)


@pytest.fixture(scope="module", params=[in_an_environment, in_a_folder, in_the_users_home, as_a_pex])
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The gateway, installed in each way; beside its package lies the gunicorn.conf.py of another program."""
    folder = tmp_path_factory.mktemp("installed")
    found = request.param(wheel, folder)
    for package in folder.rglob("mtango_gevent"):
        (package.parent / "gunicorn.conf.py").write_text(FOREIGN)
    return found


def read(gateway: Gateway, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}{path}", timeout=30) as reply:
        return reply.read()


def test_installed_gateway_serves_with_its_own_files(installed: Installed, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": "", **installed.environment}
    with served([*installed.command, "serve"], tmp_path / "log", cwd=tmp_path, **environment) as gateway:
        assert read(gateway, "/swagger/rc3.yml") == (ROOT / "swagger" / "rc3.yml").read_bytes()
        (script,) = re.findall(rb'<script type="module" src="([^"]+)">', read(gateway, "/"))
        assert b"\nimport { " in read(gateway, script.decode())
        assert b"ok" in read(gateway, "/healthz")
        assert b"mtango_gevent.serving.worker.GatewayWorker" in gateway.log.read_bytes()


def test_installed_demo_starts_a_tango(installed: Installed, tmp_path: Path) -> None:
    command = [*installed.command, "demo", "--bind", f"127.0.0.1:{free_port()}"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        environment = {**USUAL, **installed.environment}
        demo = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: b"Ctrl-C" in log.read_bytes() or demo.poll() is not None, 60)
        assert b"Ctrl-C" in log.read_bytes(), log.read_text()
    finally:
        demo.terminate()
        demo.wait(30)
