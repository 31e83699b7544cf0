"""Sweeps over many cases, of which `make test` runs a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def sampled(cases: Sequence[Any], every: int = 10) -> list[Any]:
    """Return the parameters of a test: each `every`-th case, and the others marked as slow."""
    return [
        case if number % every == 0 else pytest.param(case, marks=pytest.mark.slow) for number, case in enumerate(cases)
    ]
