"""Sweeps over many cases, of which `make test` runs a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest


def sampled(
    cases: Sequence[Any],
    every: int = 10,
    several: bool = False,
    is_slow: Callable[[Any], bool] = lambda _: False,
) -> list[Any]:
    """Return the parameters of a test: each `every`-th case, and the others marked as slow.

    several: each case is a tuple of several parameters. is_slow: whether a case is slow by itself.
    """
    return [
        pytest.param(
            *(case if several else [case]), marks=[pytest.mark.slow] if number % every or is_slow(case) else []
        )
        for number, case in enumerate(cases)
    ]
