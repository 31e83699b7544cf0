"""Warning about a gateway that lets every client of a network change devices.

gunicorn's configuration reads this module before the fork: it does not import PyTango.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from mtango_gevent.config import Config


def warning(config: Config, addresses: Iterable[Any]) -> str:
    """Return a warning in one line if clients of other machines can write without authentication; else nothing.

    addresses: of the listening sockets, as getsockname() returns them; a host that is a name counts as it is written.
    """
    exposed = [address for address in addresses if isinstance(address, tuple) and not _is_loopback(address[0])]
    if not exposed or config.auth or config.rules or config.read_only:
        return ""
    listed = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port, *_ in exposed)
    return (
        f"NO ACCESS CONTROL: every client that reaches {listed} can write, run commands and change configuration;"
        " set MTANGO_AUTH, MTANGO_RULES or MTANGO_READ_ONLY, or MTANGO_HOST=127.0.0.1"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
