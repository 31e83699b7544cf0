"""Names of Tango, which are the same in any case but have one spelling in answers (contract: rc3, Decisions)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TANGO_HOST = re.compile(r"tango://[^/]+/")


def local_name(url: str) -> str:
    """The name of a device without its Tango host: `sys/tg_test/1` of `tango://host:10000/sys/tg_test/1`."""
    return _TANGO_HOST.sub("", url, count=1) if url.startswith("tango://") else url


def spelled(name: str, known: Iterable[str]) -> str | None:
    """The one of the `known` names that is `name` in any case: Tango takes no notice of it. None if there is none."""
    return next((each for each in known if each.lower() == name.lower()), None)
