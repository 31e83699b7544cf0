"""The method `basic`: user names and passwords of an htpasswd file with bcrypt hashes."""

from __future__ import annotations

import base64
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from mtango_gevent.api.access.attempts import Attempts
from mtango_gevent.api.access.identity import ANONYMOUS, Identity
from mtango_gevent.api.access.verified import VerifiedCredentials
from mtango_gevent.api.access.watched_file import Problem, WatchedFile
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.single_flight import SingleFlight
from mtango_gevent.errors import ApiError, DevFailed, Unauthorized, in_one_line

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The last character of the salt has four bits only. `$2x$` is left out: it marks hashes of a defective version.
_HASH = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")

# The costs of hashes: the highest takes a second of a processor.
_COSTS = range(4, 15)

# Bytes of a password that bcrypt takes; htpasswd leaves out the others.
_BYTES = 72

# Seconds without use after which verified credentials are forgotten.
_KEPT_SECONDS = 300.0


class Passwords(NamedTuple):
    """The content of an htpasswd file. dummy: a hash that no password has, as costly as most."""

    hashes: dict[str, bytes]
    dummy: bytes

    def verify(self, user: str, password: bytes) -> bool:
        """Return whether the password is right. An unknown user takes as long as a wrong password."""
        import bcrypt  # part of an extra

        is_possible = b"\0" not in password
        known = self.hashes.get(user, self.dummy) if is_possible else self.dummy
        return bcrypt.checkpw(password[:_BYTES] if is_possible else b"", known)


def parse(content: bytes) -> Passwords:
    """Return the content of an htpasswd file. Raises ValueError with the number of a line that is not acceptable."""
    hashes = dict[str, bytes]()
    costs = Counter[int]()
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip() and not line.startswith(b"#"):
            user, password_hash, cost = _parse_line(number, line.rstrip())
            if user in hashes:
                raise ValueError(f"line {number}: expected each user once, got {user!r} again")
            hashes[user] = password_hash
            costs[cost] += 1
    usual = costs.most_common(1)[0][0] if costs else 12
    return Passwords(hashes, f"$2b${usual:02}${secrets.token_hex(10)}a.{secrets.token_hex(15)}a".encode())


def _parse_line(number: int, line: bytes) -> tuple[str, bytes, int]:
    name, _, rest = line.partition(b":")
    password_hash = rest.partition(b":")[0]
    user, found = _decode(name), _HASH.fullmatch(password_hash)
    if not user or not user.isprintable():
        raise ValueError(f"line {number}: expected `user:hash` with a printable name")
    if not found:
        raise ValueError(f"line {number}: expected a bcrypt hash, as `htpasswd -B` makes it, for user {user!r}")
    if int(found[1]) not in _COSTS:
        raise ValueError(f"line {number}: expected a cost from {_COSTS[0]} to {_COSTS[-1]}, got {int(found[1])}")
    return user, password_hash, int(found[1])


def _decode(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


class Basic:
    """HTTP's Basic authentication."""

    challenge = 'Basic realm="mtango-gevent", charset="UTF-8"'

    def __init__(self, config: Config, client: TangoClient) -> None:
        if not config.auth_basic_file:
            raise ConfigError("MTANGO_AUTH_BASIC_FILE: expected the htpasswd file of `basic`, got none")
        if find_spec("bcrypt") is None:
            raise ConfigError("MTANGO_AUTH: `basic` needs bcrypt: pip install 'mtango-gevent[auth]'")
        self._file = WatchedFile("MTANGO_AUTH_BASIC_FILE", config.auth_basic_file, parse, client)
        self._threads = client.partitions.passwords
        self._verified, self._attempts = VerifiedCredentials(_KEPT_SECONDS, renews=True), Attempts()
        self._flights = SingleFlight(client.concurrency.signal)

    def authenticate(self, environ: WSGIEnvironment) -> Identity | None:
        header: str = environ.get("HTTP_AUTHORIZATION", "")
        if header[:6].lower() != "basic ":
            return None
        passwords, digest = self._file.content(), self._verified.digest(header)
        identity = self._verified.find(passwords, digest)
        if identity is None:
            address = environ.get("REMOTE_ADDR") or "-"
            identity = self._flights.do(digest, lambda: self._log_in(header, digest, passwords, address))
        if identity.is_anonymous:
            raise Unauthorized("expected a known user and the right password")
        return identity

    def problems(self) -> Iterator[Problem]:
        return self._file.problems()

    def _log_in(self, header: str, digest: bytes, passwords: Passwords, address: str) -> Identity:
        """Return the identity of credentials that are not known yet; an anonymous one for wrong ones."""
        user, password = _credentials(header)
        attempt = self._attempts.begin(user, address)
        try:
            is_right = self._threads.call("password", passwords.verify, user, password)
        except DevFailed as failure:
            self._attempts.withdraw(attempt)
            raise ApiError(503, failure.args[0].reason, in_one_line(failure), {"Retry-After": "1"}) from None
        if not is_right:
            return ANONYMOUS
        self._attempts.succeed(attempt)
        identity = Identity(user, method="basic")
        self._verified.keep(passwords, digest, identity)
        return identity


def _credentials(header: str) -> tuple[str, bytes]:
    """Return user and password of a header. Raises Unauthorized for a malformed one."""
    try:
        user, colon, password = base64.b64decode(header[6:].strip(), validate=True).partition(b":")
    except ValueError:
        user, colon, password = b"", b"", b""
    if not colon or not user:
        raise Unauthorized("expected the credentials of Basic as base64 of `user:password`")
    return _decode(user), password
