"""Metadata of devices (configurations, descriptions, names), kept for a while."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

from mtango_gevent.control.cache import Cache
from mtango_gevent.control.calls import Signal
from mtango_gevent.control.generations import Generations
from mtango_gevent.control.single_flight import SingleFlight
from mtango_gevent.names import folded
from mtango_gevent.workers import CacheFigures

T = TypeVar("T")


def attribute_key(name: str) -> tuple[str, str]:
    """The question for the configuration of one attribute."""
    return "attribute", folded(name)


def command_key(name: str) -> tuple[str, str]:
    """The question for the description of one command."""
    return "command", folded(name)


class _Entry(NamedTuple):
    """An answer. asked: when the question was put, by time.monotonic()."""

    answer: Any
    asked: float


class Metadata:
    """Answers by device and question, each kept for `lifetime` seconds at most; concurrent callers share one question.

    An answer to a question that was put before `forget` or `clear` is not stored after it.
    make_signal: as for SingleFlight. figures: where hits and misses are counted.
    """

    def __init__(
        self, size: int, lifetime: float, make_signal: Callable[[], Signal], figures: CacheFigures | None = None
    ) -> None:
        self._entries = Cache(size, lifetime, figures=figures)
        self._generations = Generations()
        self._flights = SingleFlight(make_signal)
        self._figures = figures
        self.count = self._entries.count

    def get(self, device: str, question: Hashable, ask: Callable[[], T], max_age: float = math.inf) -> T:
        """Return the answer that is kept, unless it is older than `max_age` seconds; else what `ask` returns.

        Failures are not kept. Raises what `ask` raises.
        """
        key = self._key(device, question)
        entry: _Entry | None = self._entries.peek(key)
        fresh = entry is not None and time.monotonic() - entry.asked < max_age
        if self._figures:
            (self._figures.hit if fresh else self._figures.miss)()
        return entry.answer if entry and fresh else self._flights.do(key, lambda: self._ask(key, ask))

    def ask(self, device: str, question: Hashable, ask: Callable[[], T]) -> T:
        """Return what `ask` returns, and keep it: for a caller that needs the answer of now."""
        return self._ask(self._key(device, question), ask)

    def peek(self, device: str, question: Hashable) -> Any | None:
        """Return the answer that is kept, or None. Not counted as a use."""
        entry: _Entry | None = self._entries.peek(self._key(device, question))
        return entry and entry.answer

    def forget(self, device: str) -> None:
        """Drop all answers about a device."""
        self._generations.end(device)

    def clear(self) -> None:
        """Drop all answers."""
        self._generations.end_all()
        self._entries.clear()

    def _ask(self, key: Hashable, ask: Callable[[], T]) -> T:
        asked = time.monotonic()
        answer = ask()
        self._entries.store(key, _Entry(answer, asked))
        return answer

    def _key(self, device: str, question: Hashable) -> Hashable:
        return device, self._generations.of(device), question
