"""Sources of the values of the demo devices: waves, noise, and quantities that move to a set point."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Source = Callable[[], Any]
"""Returns the present value of an attribute."""

_random = np.random.default_rng()


def constant(value: Any) -> Source:
    return lambda: value


def sine(middle: float, swing: float, seconds: float) -> Source:
    """Return a sine from `middle - swing` to `middle + swing` with a period of `seconds`."""
    return lambda: middle + swing * math.sin(2 * math.pi * time.time() / seconds)


def whole(source: Source) -> Source:
    """Return a source of the values of `source`, rounded to integers."""
    return lambda: round(source())


def random_integer(below: int = 256) -> Source:
    return lambda: int(_random.integers(below))


def noise(dtype: type, *shape: int) -> Source:
    """Return a source of arrays with new random elements at each call: 0 to 255, booleans, or texts."""
    if dtype is str:
        return lambda: _greetings(shape)
    below = 2 if dtype is bool else 256
    return lambda: _random.integers(below, size=shape).astype(dtype)


def blank(dtype: type, *shape: int) -> Source:
    """Return a source of an array of zeros or empty texts."""
    array = np.zeros(shape, dtype)
    return constant(array.tolist() if dtype is str else array)


def _greetings(shape: tuple[int, ...]) -> list[Any]:
    """Return texts that name their index, like TangoTest's: `[03]::hello-world-0181`, `[03][14]::hello world::0181`."""
    numbers = _random.integers(256, size=shape).tolist()
    if len(shape) == 1:
        return [f"[{x:02d}]::hello-world-{number:04d}" for x, number in enumerate(numbers)]
    return [
        [f"[{y:02d}][{x:02d}]::hello world::{number:04d}" for x, number in enumerate(row)]
        for y, row in enumerate(numbers)
    ]


class Ramp:
    """A quantity that moves to its set point at a steady speed; computed on request, without a thread."""

    def __init__(self, value: float, speed: float) -> None:
        self.target = self._start = value
        self._speed = speed
        self._since = time.monotonic()

    @property
    def value(self) -> float:
        way = self.target - self._start
        done = self._speed * (time.monotonic() - self._since)
        return self.target if done >= abs(way) else self._start + math.copysign(done, way)

    @property
    def moving(self) -> bool:
        return self.value != self.target

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        target = self.target
        self.go(self.value)
        self._speed = speed
        self.go(target)

    def go(self, target: float) -> None:
        """Start to move to `target` from the present value."""
        self._start, self._since = self.value, time.monotonic()
        self.target = target

    def halt(self) -> None:
        self.set(self.value)

    def set(self, value: float) -> None:
        """Jump to `value`."""
        self.target = self._start = value
