"""Values as raw numbers: application/octet-stream, and application/x-npy, which is NumPy's file of an array.

A copy of an array takes up to 0.8 ms for each megabyte, where its memory is new. Large ones are copied in turns with
other greenlets: NumPy and `bytes.join` would hold the interpreter lock in a thread as well.
"""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote

import numpy
from numpy.typing import NDArray

from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.errors import NotAcceptable
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeData, encoded_format, has_numbers, is_encoded, numbers

# Bytes that are copied at once, and of a piece of more.
_AT_ONCE, _PIECE = 512 << 10, 32 << 10

# Characters of the format of a DevEncoded that its header has at most, and those that it has as they are.
_LONGEST_FORMAT = 100
_PLAIN = "".join(map(chr, range(33, 127))).replace("%", "")


def octets(item: AttributeData) -> tuple[bytes, dict[str, str]]:
    """Return the bytes of a value, and the headers that tell how to read them. Raises NotAcceptable for texts."""
    array = _array(item)
    return _copy(array), _headers(item, array)


def npy(item: AttributeData) -> tuple[bytes, dict[str, str]]:
    """Return the same as a file for `numpy.load`, in version 1.0 of its format."""
    array, head = _array(item), io.BytesIO()
    npy_format: Any = numpy.lib.format
    npy_format.write_array_header_1_0(head, npy_format.header_data_from_array_1_0(array))
    return _copy(array, head.getvalue()), _headers(item, array)


def _copy(array: NDArray[numpy.generic], head: bytes = b"") -> bytes:
    """Return the bytes of an array behind `head`."""
    if array.nbytes <= _AT_ONCE:
        return b"".join((head, array.data))
    file = io.BytesIO(bytes(len(head) + array.nbytes))  # as it grows it would be copied again
    file.write(head)
    source = array.reshape(-1).view(numpy.uint8).data
    for start in app_state().client.concurrency.in_turns(range(0, array.nbytes, _PIECE)):
        file.write(source[start : start + _PIECE])
    return file.getvalue()


def _array(item: AttributeData) -> NDArray[numpy.generic]:
    if not has_numbers(item):
        name = read_text(item, "name")
        raise NotAcceptable(f"expected an attribute with numbers, got texts of {name}: accept application/json")
    return numbers(item)


def _headers(item: AttributeData, array: NDArray[numpy.generic]) -> dict[str, str]:
    """Return type and shape in NumPy's spelling; a header without text would get lost, so a scalar has the shape 1."""
    found = {"X-Dtype": array.dtype.str, "X-Shape": ",".join(map(str, array.shape or (1,)))}
    if is_encoded(item):
        text = encoded_format(item, config().text_encoding)
        found["X-Encoded-Format"] = quote(text[:_LONGEST_FORMAT], safe=_PLAIN)
    return found
