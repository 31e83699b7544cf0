"""Differences between versions of PyTango."""

from __future__ import annotations

import tango

# The last versions with pipes.
BEFORE_10_1 = tuple(int(part) for part in tango.__version__.split(".")[:2]) < (10, 1)
