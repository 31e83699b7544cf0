"""Names of Tango, which are the same in any case but have one spelling in answers (contract: rc3, Decisions)."""

from __future__ import annotations

from collections.abc import Iterable


def spelled(name: str, known: Iterable[str]) -> str | None:
    """The one of the `known` names that is `name` in any case: Tango takes no notice of it. None if there is none."""
    return next((each for each in known if each.lower() == name.lower()), None)
