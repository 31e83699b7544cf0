"""Commands from rows of a table."""

from __future__ import annotations

from typing import Any

import tango
from tango.server import command


def echo(name: str, dtype: tango.CmdArgType, doc_in: str = "Any value", doc_out: str = "The same value") -> Any:
    """Return a command whose output is its argument."""

    def answer(device: Any, value: Any) -> Any:
        return value

    answer.__name__ = name
    return command(answer, dtype_in=dtype, dtype_out=dtype, doc_in=doc_in, doc_out=doc_out)
