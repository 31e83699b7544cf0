"""Values of IMAGE attributes as pictures. Contract: rc3, Decisions "IMAGE"; needs the extra `image`."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy
from numpy.typing import NDArray

from mtango_gevent.api.request_context import app_state
from mtango_gevent.errors import NotAcceptable
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeData, attribute_value, is_picture

try:
    from PIL import Image
except ImportError:
    Image: Any = None

# Numbers of images that TIFF keeps -> the numbers of the file. Pillow has no others.
_IN_TIFF = {
    "bool": "uint8",
    "uint8": "uint8",
    "uint16": "uint16",
    "int16": "int32",
    "int32": "int32",
    "float32": "float32",
}


class NoPicture(NotAcceptable):
    """A value that cannot be the picture that the client asks for."""


def draw(item: AttributeData, picture_format: str) -> bytes:
    """Return an image as grey levels, in PNG or JPEG. Raises NoPicture."""
    _check(item)
    return _in_thread(_grey_levels, item.value, picture_format)


def tiff(item: AttributeData) -> bytes:
    """Return an image as a TIFF with the same numbers. Raises NoPicture for numbers that TIFF does not have."""
    _check(item)
    kept = _IN_TIFF.get(item.value.dtype.name)
    if kept is None:
        expected, got = ", ".join(_IN_TIFF), item.value.dtype.name
        raise NoPicture(f"image/tiff: expected {expected}, got {got}: accept application/x-npy")
    return _in_thread(lambda pixels: _save(pixels.astype(kept), "TIFF"), item.value)


def java_image(item: AttributeData) -> object:
    """Return an image as the Java server does: a text like a data URL. Images of texts stay rows."""
    return data_url(item) if is_picture(item) else attribute_value(item)


def data_url(item: AttributeData) -> str:
    """Return a picture as the text that the Java server answers. Raises NoPicture."""
    return "data:/jpeg;base64," + base64.b64encode(draw(item, "JPEG")).decode("ascii")


def _check(item: AttributeData) -> None:
    if not is_picture(item):
        raise NoPicture(f"expected an image of numbers, got {read_text(item, 'name')}: accept application/json")
    if Image is None:
        raise NoPicture("pictures need Pillow: install mtango-gevent[image]")


def _in_thread(encode: Any, *arguments: Any) -> bytes:
    return app_state().client.partitions.pictures.call("picture", encode, *arguments)


def _grey_levels(pixels: NDArray[numpy.generic], picture_format: str) -> bytes:
    """Draw bytes as they are, other numbers scaled from the smallest to the largest finite one."""
    if pixels.dtype != numpy.uint8:
        levels = numpy.nan_to_num(pixels.astype(numpy.float64), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(levels.min()), float(levels.max())
        pixels = ((levels - low) * (255.0 / (high - low) if high > low else 0.0)).astype(numpy.uint8)
    return _save(pixels, picture_format)


def _save(pixels: NDArray[numpy.generic], picture_format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(numpy.ascontiguousarray(pixels)).save(file, picture_format)
    return file.getvalue()
