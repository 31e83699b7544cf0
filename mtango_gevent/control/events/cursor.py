"""Cursors: a position in the events of one attribute, as a client passes it back."""

from __future__ import annotations

import dataclasses
import re
import time

_FORM = re.compile(r"e([0-9a-f]{12})\.([0-9]{1,15})\.([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)

NO_GENERATION = "0" * 12


def microseconds() -> int:
    """The gateway's clock, which all its workers share; since the epoch."""
    return time.time_ns() // 1000


@dataclasses.dataclass(frozen=True)
class Cursor:
    """A position behind an event, or behind nothing yet.

    In the channel that made it (`generation`) its `number` says exactly where to continue. Another channel of the same
    attribute, in another worker or after a restart, has other numbers. There the event is recognised by
    `mark`, the device's time of the value in microseconds (0 for a failure and for no event); without that only
    `came` is left, the time at which the event arrived, or the answer without an event was made.
    """

    generation: str
    number: int
    came: int
    mark: int

    @classmethod
    def now(cls) -> Cursor:
        """For an answer without a subscription."""
        return cls(NO_GENERATION, 0, microseconds(), 0)

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        found = _FORM.fullmatch(text)
        return cls(found[1], *(int(part) for part in found.groups()[1:])) if found else None

    def __str__(self) -> str:
        return f"e{self.generation}.{self.number}.{self.came}.{self.mark}"
