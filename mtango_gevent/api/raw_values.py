"""Values as raw numbers: application/octet-stream, and application/x-npy, which is NumPy's file of an array.

A copy of an array takes 0.1 ms for each megabyte: less than a thread would cost up to the largest images of cameras.
"""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote

import numpy
from numpy.typing import NDArray

from mtango_gevent.api.request_context import config
from mtango_gevent.errors import NotAcceptable
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeData, encoded_format, has_numbers, is_encoded, numbers

# Characters of the format of a DevEncoded that its header has at most, and those that it has as they are.
_LONGEST_FORMAT = 100
_PLAIN = "".join(map(chr, range(33, 127))).replace("%", "")


def octets(item: AttributeData) -> tuple[bytes, dict[str, str]]:
    """Return the bytes of a value, and the headers that tell how to read them. Raises NotAcceptable for texts."""
    array = _array(item)
    return array.tobytes(), _headers(item, array)


def npy(item: AttributeData) -> tuple[bytes, dict[str, str]]:
    """Return the same as a file for `numpy.load`, in version 1.0 of its format."""
    array, head = _array(item), io.BytesIO()
    npy_format: Any = numpy.lib.format
    npy_format.write_array_header_1_0(head, npy_format.header_data_from_array_1_0(array))
    return b"".join((head.getvalue(), array.data)), _headers(item, array)


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
