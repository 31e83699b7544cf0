"""The files of requirements name what setup.py asks for."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    runpy.run_path(str(ROOT / "setup.py"))
    return given


@pytest.fixture
def ranges(arguments: dict[str, Any]) -> list[Requirement]:
    """What the gateway runs with: the requirements of the package and of its extras but `pipes` and `dev`."""
    extras = [lines for name, lines in arguments["extras_require"].items() if name not in ("pipes", "dev")]
    return [Requirement(line) for lines in (arguments["install_requires"], *extras) for line in lines]


def read(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [Requirement(line.split(" #")[0]) for line in lines if line and not line.startswith(("#", "-r"))]


def bound(requirement: Requirement, operator: str) -> str:
    (version,) = (specifier.version for specifier in requirement.specifier if specifier.operator == operator)
    return version


def test_lowest_versions_are_the_lower_bounds(ranges: list[Requirement]) -> None:
    lowest = {(pin.name, bound(pin, "=="), str(pin.marker)) for pin in read("requirements-lowest.txt")}
    assert lowest == {(needed.name, bound(needed, ">="), str(needed.marker)) for needed in ranges}


def test_each_range_ends_above_the_pinned_version(ranges: list[Requirement]) -> None:
    """The extra `fast` needs a compiler, which the image of deploy/ does not have: its pin is one of development."""
    pins = [*read("requirements.txt"), *(pin for pin in read("requirements-dev.txt") if pin.name == "gunicorn-h1c")]
    for needed in ranges:
        assert bound(needed, "<")
        pinned = [pin for pin in pins if pin.name == needed.name]
        assert pinned, f"no file has a pin of {needed.name}"
        assert all(needed.specifier.contains(bound(pin, "==")) for pin in pinned)


def test_development_installs_every_extra(arguments: dict[str, Any]) -> None:
    extras = arguments["extras_require"]
    for name in extras.keys() - {"pipes", "dev"}:
        assert set(extras[name]) <= set(extras["dev"])
