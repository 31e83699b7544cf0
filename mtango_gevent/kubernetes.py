"""Variables that Kubernetes makes for a Service whose name begins with `mtango`, and that look like settings."""

from __future__ import annotations

import re
from collections.abc import Iterable

# They come besides MTANGO_PORT=tcp://10.0.0.5:8000.
_SERVICE = re.compile(
    r"MTANGO_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT, _URL = re.compile(r"MTANGO_(\w+_)?PORT"), re.compile("(tcp|udp|sctp)://")


def makes(name: str, value: str) -> bool:
    """Return whether Kubernetes made the variable for a Service, as it does for containers that link to it."""
    return bool(_SERVICE.fullmatch(name)) or bool(_PORT.fullmatch(name) and _URL.match(value))


def warning(names: Iterable[str]) -> str:
    return (
        f"{', '.join(names)}: ignored, as Kubernetes sets such variables for a Service whose name begins with"
        " `mtango`; `enableServiceLinks: false` in the pod keeps them away"
    )
