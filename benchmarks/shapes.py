"""The JSON of the yardsticks, which is that of the gateway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson


def encode(data: Any) -> bytes:
    return orjson.dumps(data, default=str, option=orjson.OPT_SERIALIZE_NUMPY)


def value(reading: Any) -> dict[str, Any]:
    time = int(reading.time.totime() * 1000)
    return {"name": reading.name, "value": reading.value, "quality": str(reading.quality), "timestamp": time}


def devices(names: Iterable[str], url: str) -> list[dict[str, str]]:
    return [{"name": name, "href": f"{url}/{name}"} for name in names]
