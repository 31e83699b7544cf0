"""Blobs of pipes: what a client sent as PyTango writes it. Contract: rc3, 2.5.

PyTango reads a single text of a blob as UTF-8 and writes it as Latin-1; names are UTF-8 both ways, arrays Latin-1.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from tango import CmdArgType

from mtango_gevent import limits
from mtango_gevent.errors import BadRequest, check_limit
from mtango_gevent.text import LATIN_1, UTF_8
from mtango_gevent.values.raw_input import RawInput, shown
from mtango_gevent.values.types import ARRAYS, command_argument, command_value, is_array, is_blob, is_text, type_name

# Pipes have no such elements. PyTango takes some of them all the same, and the pipe cannot be read any more.
_NOT_IN_BLOBS = {
    CmdArgType.DevVoid,
    CmdArgType.DevUChar,
    CmdArgType.DevEnum,
    CmdArgType.ConstDevString,
    CmdArgType.DevVarLongStringArray,
    CmdArgType.DevVarDoubleStringArray,
}

# Blobs within blobs: the JSON encoder goes four times as deep for each.
_DEEPEST = 50


def element_value(element: Mapping[str, Any], encoding: str = LATIN_1) -> Any:
    """The value of an element that is no blob, as a JSON value."""
    data_type = element["dtype"]
    return command_value(element["value"], data_type, encoding if is_array(data_type) else LATIN_1)


def blob_argument(
    sent: Mapping[str, Any], encoding: str = LATIN_1, depth: int = 0, counter: Iterator[int] | None = None
) -> tuple[str, list[dict[str, Any]]]:
    """What PyTango is to write to a pipe, out of the blob that a read of one answers, with the blobs within.

    encoding: that of texts in arrays; depth: how many blobs it is in; counter: of all their elements.
    Raises BadRequest, which says what element is at fault, and for too many.
    """
    counter = counter or itertools.count(1)
    if depth > _DEEPEST:
        raise BadRequest(f"blobs are nested too deeply, more than {_DEEPEST}")
    if not isinstance(sent.get("data"), list):
        raise BadRequest('a blob is an object {"name": text, "data": [elements]}; sent was ' + shown(sent))
    return _name(sent.get("name")), [_element(element, encoding, depth, counter) for element in sent["data"]]


def _name(sent: Any) -> str:
    """As it is sent, once it has been checked that it is a text."""
    command_argument(CmdArgType.DevString, RawInput.in_json(sent), encoding=UTF_8)
    return sent


def _element(sent: Any, encoding: str, depth: int, counter: Iterator[int]) -> dict[str, Any]:
    check_limit(next(counter), limits.NAMES, "elements in a pipe, or more")
    if not isinstance(sent, dict) or not {"name", "value"} <= sent.keys():
        raise BadRequest('an element is an object {"name", "type", "value"}; sent was ' + shown(sent))
    name = _name(sent["name"])
    data_type = CmdArgType.names.get(str(sent.get("type")))
    if data_type is None or data_type in _NOT_IN_BLOBS:
        raise BadRequest(f"element {name}: {shown(sent.get('type'))} is no type that an element has")
    try:
        value = _value(data_type, sent["value"], encoding, depth, counter)
    except BadRequest as error:
        raise BadRequest(f"element {name}: {error.description}") from None
    return {"name": name, "dtype": data_type, "value": value}


def _value(data_type: CmdArgType, sent: Any, encoding: str, depth: int, counter: Iterator[int]) -> Any:
    """What a read shows is always a list."""
    if data_type in ARRAYS:
        return command_argument(data_type, RawInput.in_json(sent), encoding=encoding)
    if isinstance(sent, list) and len(sent) != 1:
        raise BadRequest(f"a {type_name(data_type)} is one value; sent was {shown(sent)}")
    single = sent[0] if isinstance(sent, list) else sent
    if is_blob(data_type):
        return blob_argument(single if isinstance(single, dict) else {"data": single}, encoding, depth + 1, counter)
    return command_argument(data_type, RawInput.in_json(single), encoding=UTF_8 if is_text(data_type) else encoding)
