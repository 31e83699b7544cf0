"""Blobs of pipes: a client's JSON as PyTango writes it, and elements as JSON. Contract: rc3, 2.5.

PyTango reads a single text of a blob as UTF-8 and writes it as Latin-1; names are UTF-8 both ways, arrays Latin-1.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from tango import CmdArgType

from mtango_gevent import limits
from mtango_gevent.errors import BadRequest, check_limit
from mtango_gevent.text import LATIN_1, UTF_8
from mtango_gevent.values.raw_input import RawInput, shown
from mtango_gevent.values.reading import command_value
from mtango_gevent.values.types import is_array, is_blob
from mtango_gevent.values.writing import command_argument

# Name and elements; an element has name, dtype and value.
Blob: TypeAlias = tuple[str, list[dict[str, Any]]]

# Pipes have no such elements. PyTango writes some of them all the same, and then the pipe cannot be read.
_NOT_IN_BLOBS = {
    CmdArgType.DevVoid,
    CmdArgType.DevUChar,
    CmdArgType.DevEnum,
    CmdArgType.ConstDevString,
    CmdArgType.DevVarLongStringArray,
    CmdArgType.DevVarDoubleStringArray,
}

# Levels of blobs within blobs; the JSON encoder needs four levels for each.
_MAX_DEPTH = 50


def element_value(element: Mapping[str, Any], encoding: str = LATIN_1) -> Any:
    """Return the value of an element that is not a blob as a JSON value."""
    data_type = element["dtype"]
    return command_value(element["value"], data_type, encoding if is_array(data_type) else LATIN_1)


def blob_argument(
    raw: Mapping[str, Any], encoding: str = LATIN_1, depth: int = 0, counter: Iterator[int] | None = None
) -> Blob:
    """Return what PyTango writes to a pipe for a JSON blob like that of a read, with the blobs in it.

    encoding: of texts in arrays; depth: number of blobs around this one; counter: counts the elements of all blobs.
    Raises BadRequest, which names the element, and for too many elements.
    """
    counter = counter or itertools.count(1)
    if depth > _MAX_DEPTH:
        raise BadRequest(f"expected at most {_MAX_DEPTH} blobs within each other, got more")
    if not isinstance(raw.get("data"), list):
        raise BadRequest(f'blob: expected an object {{"name": text, "data": [elements]}}, got {shown(raw)}')
    return _name(raw.get("name")), [_element(element, encoding, depth, counter) for element in raw["data"]]


def _name(raw: Any) -> str:
    """Check that a name is a text, and return it as it is."""
    command_argument(CmdArgType.DevString, RawInput.in_json(raw), "name", UTF_8)
    return raw


def _element(raw: Any, encoding: str, depth: int, counter: Iterator[int]) -> dict[str, Any]:
    check_limit(next(counter), limits.NAMES, "elements in a pipe")
    if not isinstance(raw, dict) or not {"name", "value"} <= raw.keys():
        raise BadRequest(f'element of a blob: expected an object {{"name", "type", "value"}}, got {shown(raw)}')
    name = _name(raw["name"])
    data_type = CmdArgType.names.get(str(raw.get("type")))
    if data_type is None or data_type in _NOT_IN_BLOBS:
        raise BadRequest(f"element {name}: expected a Tango type of pipes, got {shown(raw.get('type'))}")
    return {"name": name, "dtype": data_type, "value": _value(name, data_type, raw["value"], encoding, depth, counter)}


def _value(name: str, data_type: CmdArgType, raw: Any, encoding: str, depth: int, counter: Iterator[int]) -> Any:
    """Convert the value of an element; a read shows a single value as a list of one."""
    owner = f"element {name}"
    if is_array(data_type):
        return command_argument(data_type, RawInput.in_json(raw), owner, encoding)
    if isinstance(raw, list) and len(raw) != 1:
        raise BadRequest(f"{owner}, {data_type}: expected one value, got {shown(raw)}")
    single = raw[0] if isinstance(raw, list) else raw
    if is_blob(data_type):
        return _inner_blob(owner, single if isinstance(single, dict) else {"data": single}, encoding, depth, counter)
    is_text = data_type == CmdArgType.DevString
    return command_argument(data_type, RawInput.in_json(single), owner, UTF_8 if is_text else encoding)


def _inner_blob(owner: str, raw: Mapping[str, Any], encoding: str, depth: int, counter: Iterator[int]) -> Blob:
    try:
        return blob_argument(raw, encoding, depth + 1, counter)
    except BadRequest as error:
        raise BadRequest(f"{owner}: {error.description}") from None
