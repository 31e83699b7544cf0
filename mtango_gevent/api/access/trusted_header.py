"""The method `trusted-header`: a proxy has authenticated the user, and names it in a header."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mtango_gevent.api.access.identity import Identity
from mtango_gevent.api.access.watched_file import Problem
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import Unauthorized
from mtango_gevent.ip_address import parse_address
from mtango_gevent.text import from_utf8

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_LONGEST_USER = 255

# Peers and header values of which the decision is kept.
_SIZE = 1024


class TrustedHeader:
    """The headers of a proxy. Those of any other peer are refused: they are forged, or the settings are wrong."""

    # No client can authenticate itself in this way: the scheme is none that a browser knows, and it asks for nothing.
    challenge = 'Proxy realm="mtango-gevent"'

    def __init__(self, config: Config, _client: TangoClient) -> None:
        if not config.auth_header_from:
            raise ConfigError("MTANGO_AUTH_HEADER_FROM: expected the addresses of the proxies of `trusted-header`")
        self._header = config.auth_header
        self._user, self._groups = map(_wsgi_name, (config.auth_header, config.auth_header_groups))
        self._networks = [ipaddress.ip_network(network) for network in config.auth_header_from]
        self._is_proxy = functools.lru_cache(_SIZE)(self._is_in_networks)
        self._identity = functools.lru_cache(_SIZE)(_identity)

    def authenticate(self, environ: WSGIEnvironment) -> Identity | None:
        user: str = environ.get(self._user, "")
        if not user:
            return None
        peer = _peer(environ)
        if not self._is_proxy(peer):
            raise Unauthorized(f"{self._header} from {peer[:64]!r}: expected an address of MTANGO_AUTH_HEADER_FROM")
        return self._identity(self._header, user, environ.get(self._groups, ""))

    def problems(self) -> Iterator[Problem]:
        return iter(())

    def _is_in_networks(self, peer: str) -> bool:
        address = parse_address(peer)
        return address is not None and any(address in network for network in self._networks)


def _wsgi_name(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _peer(environ: WSGIEnvironment) -> str:
    """Return the address of the TCP connection, in place of which ProxyFix puts the one that a proxy forwards."""
    original = environ.get("werkzeug.proxy_fix.orig", environ)
    return original.get("REMOTE_ADDR") or ""


def _identity(header: str, user: str, groups: str) -> Identity:
    """Return the user of the headers. Raises Unauthorized for an impossible one.

    A comma means two headers of the same name, one of them the client's.
    """
    name = from_utf8(user)
    if "," in name or not name.isprintable() or name != name.strip() or len(name) > _LONGEST_USER:
        expected = f"one name of at most {_LONGEST_USER} printable characters, without blanks around it"
        raise Unauthorized(f"{header}: expected {expected}")
    names = (group.strip() for group in from_utf8(groups).split(","))
    return Identity(name, frozenset(filter(None, names)), "trusted-header")
