"""Names in Tango: compared without case, shown in the database's spelling (contract: rc3, Decisions)."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable
from typing import Any

from mtango_gevent.text import raw_text

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(name: str) -> str:
    """Return `name` in lower case as Tango compares names: ASCII letters only, byte by byte."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


def collated(name: str) -> str:
    """Return `name` as MySQL's collations compare it: without accents, case, and blanks at the end.

    Debian's database compares the names of properties so.
    """
    if name.isascii():
        return name.lower().rstrip()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).rstrip()


_TANGO_HOST = re.compile(r"tango://[^/]+/")


def local_name(url: str) -> str:
    """Return the name of a device without its Tango host: sys/tg_test/1 for tango://host:10000/sys/tg_test/1."""
    return _TANGO_HOST.sub("", url, count=1) if url.startswith("tango://") else url


def canonical_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that equals `name` without regard to case; None if there is none."""
    key = folded(name)
    return next((each for each in known if folded(each) == key), None)


def as_pytango_takes_it(name: str, descriptions: Iterable[Any], key: str) -> Any:
    """Return the bytes of `name` if the device has it in Latin-1, else `name`, which PyTango sends as UTF-8.

    descriptions: of all attributes or commands of the device; key: the field of their names.
    """
    wanted = folded(name)
    for description in descriptions:
        raw = raw_text(description, key)
        if isinstance(raw, bytes) and folded(raw.decode("latin-1")) == wanted:
            return raw
    return name
