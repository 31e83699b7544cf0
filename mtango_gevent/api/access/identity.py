"""Identity: which user makes a request, and how the user has been authenticated."""

from __future__ import annotations

from typing import NamedTuple


class Identity(NamedTuple):
    """A tuple, as each request hashes one.

    user: name, empty for an anonymous client; method: one of MTANGO_AUTH's, `none` for an anonymous client.
    """

    user: str = ""
    groups: frozenset[str] = frozenset()
    method: str = "none"

    @property
    def is_anonymous(self) -> bool:
        return not self.user


ANONYMOUS = Identity()
