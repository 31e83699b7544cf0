"""Values of IMAGE attributes as pictures. Contract: rc3, Decisions "IMAGE"; needs the extra `image`."""

from __future__ import annotations

import base64
import functools
import io
from typing import Any

import numpy
from flask import Response, request
from numpy.typing import NDArray
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from mtango_gevent.api.request_context import app_state
from mtango_gevent.errors import ApiError
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeData, attribute_value, is_picture

try:
    from PIL import Image
except ImportError:
    Image: Any = None

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}


def wanted(item: AttributeData) -> str | None:
    """Return the MIME type of the picture that the client prefers to JSON; None for JSON.

    Raises ApiError 406 where the client accepts pictures only and the value cannot be one.
    """
    accept = request.headers.get("Accept", "")
    if prefers_json(accept):
        return None
    try:
        _check(item)
    except ApiError:
        if _parse(accept).quality("application/json") > 0:
            return None
        raise
    return _parse(accept).best_match(_FORMATS)


@functools.lru_cache(maxsize=256)
def prefers_json(accept: str) -> bool:
    """Return whether an Accept header prefers JSON to pictures."""
    return _parse(accept).best_match(["application/json", *_FORMATS]) not in _FORMATS


def _parse(accept: str) -> MIMEAccept:
    return parse_accept_header(accept, MIMEAccept)


def answer(item: AttributeData, mimetype: str) -> Response:
    return Response(_encode(item, _FORMATS[mimetype]), mimetype=mimetype)


def _check(item: AttributeData) -> None:
    """Raise ApiError 406 where the value cannot be a picture."""
    if not is_picture(item):
        raise _not_acceptable(f"expected an image of numbers, got {read_text(item, 'name')}: accept application/json")
    if Image is None:
        raise _not_acceptable("pictures need Pillow: install mtango-gevent[image]")


def _not_acceptable(description: str) -> ApiError:
    return ApiError(406, "MTANGO_NotAcceptable", description)


def java_image(item: AttributeData) -> object:
    """Return an image as the Java server does: a text like a data URL. Images of texts stay rows."""
    if not is_picture(item):
        return attribute_value(item)
    _check(item)
    return "data:/jpeg;base64," + base64.b64encode(_encode(item, "JPEG")).decode("ascii")


def _encode(item: AttributeData, picture_format: str) -> bytes:
    return app_state().client.partitions.pictures.call("picture", _draw, item.value, picture_format)


def _draw(pixels: NDArray[numpy.generic], picture_format: str) -> bytes:
    """Draw grey levels: bytes as they are, other numbers scaled from the smallest to the largest finite one."""
    if pixels.dtype != numpy.uint8:
        levels = numpy.nan_to_num(pixels.astype(numpy.float64), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(levels.min()), float(levels.max())
        pixels = ((levels - low) * (255.0 / (high - low) if high > low else 0.0)).astype(numpy.uint8)
    file = io.BytesIO()
    Image.fromarray(numpy.ascontiguousarray(pixels)).save(file, picture_format)
    return file.getvalue()
