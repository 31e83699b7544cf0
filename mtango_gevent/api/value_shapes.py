"""Values of attributes as v11 and the streams show them. Contract: v11, 5."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy

from mtango_gevent import values
from mtango_gevent.control.device import Device
from mtango_gevent.values import AttributeData, JsonObject


def bare_value(device: Device, item: AttributeData) -> Any:
    """Return the value for JSON (reply.encode): numbers that are not finite are texts, an image is an object.

    A state and an enumeration are names. None where there is no value.
    """
    value = values.attribute_value(item, device.enum_labels(item), device.host.client.config.text_encoding)
    return value if value is None or not values.is_image(item) else _flat_image(value)


def _flat_image(rows: Sequence[Any]) -> JsonObject:
    """Return the rows as one list, row by row, with the size of the image."""
    if isinstance(rows, numpy.ndarray):
        data: Any = rows.reshape(-1)
    else:
        data = list(itertools.chain.from_iterable(rows))
    return {"data": data, "width": len(rows[0]) if len(rows) else 0, "height": len(rows)}
