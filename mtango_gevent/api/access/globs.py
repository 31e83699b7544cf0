"""Globs of names: `*`, `?` and `[...]`, compared as Tango compares names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable

from mtango_gevent.names import folded


class Globs:
    """Several globs, in one regular expression that needs linear time."""

    def __init__(self, patterns: Iterable[str], compared: Callable[[str], str] = folded) -> None:
        """compared: returns a name as it is compared."""
        self.patterns = tuple(dict.fromkeys(map(compared, patterns)))
        expression = "|".join(map(fnmatch.translate, self.patterns))
        self._matches = re.compile(expression).match if self.patterns else None  # an empty one matches every name

    def match(self, name: str) -> bool:
        """Return whether a name in lower case matches one of the globs."""
        return self._matches is not None and self._matches(name) is not None

    def cover(self, others: Globs) -> bool:
        """Return whether each name that the others match is known to match these."""
        return "*" in self.patterns or set(others.patterns) <= set(self.patterns)
