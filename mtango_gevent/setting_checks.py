"""Checks of settings: each takes the raw value of a file or the environment, and returns the value to use.

A check raises ValueError with the expected value as its text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], Any]

AUTH_METHODS = ("basic", "bearer", "key", "trusted-header")

# Signature algorithms of tokens, all of them asymmetric.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("a printable text")
    return value


def optional_text(value: Any) -> str:
    return text(value) if value != "" else ""


def boolean(value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise ValueError("true or false")
    return words[str(value).lower()]


def integer(low: int, high: int) -> Check:
    return _number(int, low, high, f"a whole number from {low} to {high}")


def seconds(low: float, high: float) -> Check:
    return _number(float, low, high, f"seconds from {low:g} to {high:g}")


def _number(kind: type, low: float, high: float, expected: str) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError(expected)
        try:
            number = kind(value)
        except (TypeError, ValueError):
            raise ValueError(expected) from None
        if not low <= number <= high:  # also refuses NaN
            raise ValueError(expected)
        return number

    return check


def choice(*names: str) -> Check:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError("one of " + ", ".join(names))
        return value

    check.choices = names  # pyright: ignore[reportFunctionMemberAccess]
    return check


def url_path(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", value):
        raise ValueError("a URL path such as /tango/rest")
    return value.rstrip("/")


def device_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[^/\s]+/[^/\s]+/[^/\s]+", value):
        raise ValueError("a device name such as sys/database/2")
    return value


def texts(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError("a list of texts, in the environment with commas between")
    return tuple(text(part.strip() if isinstance(part, str) else part) for part in parts if part != "")


def tango_hosts(value: Any) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in texts(value))
    for host in hosts:
        name, _, port = host.rpartition(":")
        if not name or not re.fullmatch("[1-9][0-9]{0,4}", port) or int(port) > 65535:
            raise ValueError("a list of host:port")
    return hosts


def origins(value: Any) -> tuple[str, ...]:
    """Check origins, which must be exact or a single `*`."""
    found = texts(value)
    for origin in found:
        if origin != "*" and not re.fullmatch(
            r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?", origin
        ):
            raise ValueError("`*`, or a list of origins such as https://panels.example.org:8443")
    return found


def audit_target(value: Any) -> str:
    """Check where the audit log goes. A path whose first part is `syslog:...` would be a mistake."""
    found = optional_text(value)
    if found.startswith("syslog:") and not re.fullmatch(r"syslog:(\[[0-9a-f:.]+\]|[\w.-]+):[1-9][0-9]{0,4}", found):
        raise ValueError("a file, `stderr`, `syslog` or `syslog:host:port`")
    return found


def store_url(value: Any) -> str:
    found = optional_text(value)
    if found and not re.fullmatch(r"(rediss?|unix)://\S+", found):
        raise ValueError("`redis://host:port/number`, `rediss://...`, or nothing")
    return found


def auth_methods(value: Any) -> tuple[str, ...]:
    methods = tuple(name for name in texts(value) if name != "none")
    if not set(methods) <= set(AUTH_METHODS):
        raise ValueError("`none`, or a list of " + ", ".join(AUTH_METHODS))
    return methods


def header_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", value):
        raise ValueError("the name of a header")
    return value


def jwt_algorithms(value: Any) -> tuple[str, ...]:
    """Check signature algorithms. Those with a shared secret are refused, as an attacker may know a public key."""
    names = texts(value)
    if not names or not set(names) <= set(ALGORITHMS):
        raise ValueError("a list of " + ", ".join(ALGORITHMS))
    return names


def networks(value: Any) -> tuple[str, ...]:
    found = texts(value)
    for network in found:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ValueError("a list of addresses or networks such as 10.1.0.0/16") from None
    return found
