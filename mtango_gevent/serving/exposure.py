"""Warning about a gateway that lets every client of a network change devices.

gunicorn's configuration reads this module before the fork: it does not import PyTango.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mtango_gevent.config import Config, tomllib
from mtango_gevent.ip_address import is_loopback

# Actions on devices that change something.
_CHANGES = ("write", "execute", "configure")


def warning(config: Config, addresses: Iterable[Any]) -> str:
    """Return a warning in one line if clients of other machines can write without authentication; else nothing.

    addresses: of the listening sockets, as getsockname() returns them; a host that is a name counts as it is written.
    """
    exposed = [address for address in addresses if isinstance(address, tuple) and not is_loopback(address[0])]
    if not exposed or config.read_only:
        return ""
    if config.rules:
        return _warning_of_rules(config.rules)
    if config.auth:
        return ""
    listed = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port, *_ in exposed)
    return (
        f"NO ACCESS CONTROL: every client that reaches {listed} can write, run commands and change configuration;"
        " set MTANGO_AUTH, MTANGO_RULES or MTANGO_READ_ONLY, or MTANGO_HOST=127.0.0.1"
    )


def _warning_of_rules(path: str) -> str:
    """Return a warning of the rules that let every client change devices. Nothing for a file that workers refuse."""
    try:
        rules = tomllib.loads(Path(path).read_text("utf-8"))["rule"]
        numbers = [str(number) for number, rule in enumerate(rules, 1) if _opens_devices(rule)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""
    if not numbers:
        return ""
    name, actions = Path(path).name, ", ".join(_CHANGES)
    return (
        f"NO ACCESS CONTROL by rule {', '.join(numbers)} of {name}: every client of a network may do one of {actions}"
    )


def _opens_devices(rule: Mapping[str, Any]) -> bool:
    """Return whether a rule allows changes of devices to clients of every network, unless another rule forbids it."""
    every = rule.get("anyone") or any(ipaddress.ip_network(text).prefixlen == 0 for text in rule.get("networks", ()))
    return bool(every) and any(action in rule.get("may", ()) for action in _CHANGES)
