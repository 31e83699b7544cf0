"""Values and histories as CSV, RFC 4180: UTF-8, lines that end with CRLF, every text in quotes, numbers as in JSON.

A scalar is one cell, a spectrum one cell a line, an image one row a line. A text of a device that a spreadsheet would
take for a formula has an apostrophe before it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy
from numpy.typing import NDArray

from mtango_gevent import values
from mtango_gevent.api import reply, value_shapes
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.control.device import Device
from mtango_gevent.values import AttributeData

# Cells that are encoded at once: 50 us of texts, 5 us of numbers.
_PIECE = 50

# Pieces, of some megabytes, that take milliseconds to join; in a thread the hub goes on meanwhile.
_MANY = 4_000

_END = b"\r\n"

# Beginnings of texts that spreadsheets take for formulas: the signs, also in full width, and control characters.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")

# Neighbouring cells of a row: an array of numbers, or a sequence of texts, None (an empty cell) and bytes (base64).
Cells: TypeAlias = NDArray[numpy.generic] | Sequence[Any]
Row: TypeAlias = Sequence[Cells]


def table(device: Device, item: AttributeData) -> bytes:
    """Return a value; nothing where there is none."""
    value = _value(device, item)
    if values.is_image(item):
        return _encode([row] for row in value)
    return _encode([[value]], _END)


def history(device: Device, items: Sequence[AttributeData]) -> tuple[bytes, bool]:
    """Return the records with a head line, and whether one of them is a failure.

    Each line has time, value, quality and failure; of a spectrum or image all its values, row by row, and where a
    record has fewer of them than another one, empty cells.
    """
    in_turns = app_state().client.concurrency.in_turns
    records = [_record(device, item) for item in in_turns(items)]
    width = max((len(shape["value"]) for _, shape in records), default=0) or 1
    names = ["value"] if width == 1 else [f"value[{index}]" for index in in_turns(range(width))]
    rows = [[["time"], names, ["quality", "failure"]], *(_row(time, shape, width) for time, shape in records)]
    return _encode(rows), any(shape["quality"] == "FAILURE" for _, shape in records)


def _record(device: Device, item: AttributeData) -> tuple[int | None, dict[str, Any]]:
    shape = value_shapes.shape_value(device, item, _flat_value)
    return value_shapes.time_of(item), {"value": (), **shape}


def _row(time: int | None, shape: dict[str, Any], width: int) -> Row:
    failure = next((f"{error['reason']}: {error['description']}" for error in shape.get("errors", ())), None)
    missing = [None] * (width - len(shape["value"]))
    return [[_time(time)], shape["value"], [*missing, shape["quality"], failure]]


def _time(milliseconds: int | None) -> str | None:
    """Return a time as ISO 8601 writes it, in UTC."""
    if milliseconds is None:
        return None
    return str(numpy.datetime_as_string(numpy.datetime64(milliseconds, "ms"), timezone="UTC"))


def _flat_value(device: Device, item: AttributeData) -> Cells:
    value = _value(device, item)
    if not values.is_image(item):
        return value
    return value.reshape(-1) if isinstance(value, numpy.ndarray) else list(itertools.chain.from_iterable(value))


def _value(device: Device, item: AttributeData) -> Any:
    """Return the cells of a value, of an image the rows: an array of numbers, or texts."""
    if values.has_numbers(item, named=False):
        return numpy.atleast_1d(values.numbers(item))
    value = values.attribute_value(item, device.enum_labels(item), config().text_encoding)
    if isinstance(value, dict):  # DevEncoded
        return [value["encoded_format"], value["encoded_data"].encode()]
    return value if isinstance(value, (list, tuple)) else [] if value is None else [value]


# --- cells ---


def _encode(rows: Iterable[Row], separator: bytes = b",") -> bytes:
    pieces = itertools.chain.from_iterable(_pieces(row, separator) for row in rows)
    client = app_state().client
    encoded = [_cells(piece, separator) + end for piece, end in client.concurrency.in_turns(pieces)]
    return b"".join(encoded) if len(encoded) <= _MANY else client.partitions.pictures.call("picture", b"".join, encoded)


def _pieces(row: Row, separator: bytes) -> Iterator[tuple[Cells, bytes]]:
    """Yield the cells of a row in pieces, each with what follows it."""
    cells = sum(map(len, row))
    for part in row:
        for start in range(0, len(part), _PIECE):
            piece = part[start : start + _PIECE]
            cells -= len(piece)
            yield piece, separator if cells else _END


def _cells(piece: Cells, separator: bytes) -> bytes:
    if isinstance(piece, numpy.ndarray):
        encoded = reply.encode(piece)[1:-1]
        if b"null" not in encoded:  # as JSON has it for numbers that are not finite
            return encoded.replace(b",", separator)
        piece = [values.number_or_text(number) for number in piece]
        return separator.join(cell.encode() if isinstance(cell, str) else reply.encode(cell) for cell in piece)
    return separator.join(map(_cell, piece))


def _cell(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):  # base64, which has no quotes, and whose formulas can call nothing
        return b'"' + value + b'"'
    if not isinstance(value, str):
        return reply.encode(value)
    harmless = f"'{value}" if _FORMULA.match(value) else value
    return b'"' + harmless.replace('"', '""').encode("utf-8", "replace") + b'"'
