"""The method `key`: API keys of scripts, in X-API-Key or as a Bearer token."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mtango_gevent.api.access.identity import Identity
from mtango_gevent.api.access.watched_file import WatchedFile
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import DevFailed, Unauthorized, in_one_line
from mtango_gevent.key_file import PREFIX, USE_PRECISION, ApiKey, KeyFile, digest, parse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

logger = logging.getLogger(__name__)


def _parse(content: bytes) -> dict[str, tuple[ApiKey, Identity]]:
    keys = parse(content)
    return {sha256: (key, Identity(key.name, frozenset(key.groups), "key")) for sha256, key in keys.items()}


class Keys:
    """API keys. The user of a key is its name."""

    challenge = 'Bearer realm="mtango-gevent"'

    def __init__(self, config: Config, client: TangoClient) -> None:
        if not config.auth_key_file:
            raise ConfigError("MTANGO_AUTH_KEY_FILE: expected the file of the API keys of `key`, got none")
        self._file = WatchedFile("MTANGO_AUTH_KEY_FILE", config.auth_key_file, _parse, client)
        self._uses = LastUses(KeyFile(config.auth_key_file), client)

    def authenticate(self, environ: WSGIEnvironment) -> Identity | None:
        secret = environ.get("HTTP_X_API_KEY") or _bearer_key(environ.get("HTTP_AUTHORIZATION", ""))
        if not secret:
            return None
        sha256, now = digest(secret), time.time()
        key, identity = self._file.content().get(sha256, (None, None))
        if key is None:
            raise Unauthorized("expected an API key of MTANGO_AUTH_KEY_FILE")
        if key.is_expired(now):
            raise Unauthorized(f"the API key {key.name} has expired")
        self._uses.note(sha256, now)
        return identity

    def problems(self) -> Iterator[str]:
        if self._file.problem:
            yield self._file.problem


def _bearer_key(header: str) -> str:
    """Return the API key of a header Authorization; an empty text for a token of another kind."""
    token = header[7:].strip() if header[:7].lower() == "bearer " else ""
    return token if token.startswith(PREFIX) else ""


class LastUses:
    """The last use of each key, recorded in a thread where the record is older than a minute."""

    def __init__(self, file: KeyFile, client: TangoClient) -> None:
        self._file = file
        self._files, self._spawn = client.partitions.files, client.concurrency.spawn
        self._recorded: dict[str, float] = {}
        self._problem = ""

    def note(self, sha256: str, now: float) -> None:
        if now - self._recorded.get(sha256, 0.0) >= USE_PRECISION:
            self._recorded[sha256] = now
            with contextlib.suppress(RuntimeError):  # a machine without a thread
                self._spawn(self._record, {sha256: now})

    def _record(self, uses: dict[str, float]) -> None:
        try:
            self._files.call("file", self._file.record_uses, uses)
            problem = ""
        except (OSError, DevFailed) as error:
            problem = in_one_line(error) if isinstance(error, DevFailed) else str(error)
        if problem and not self._problem:
            logger.warning("the last use of API keys is not recorded: %s", problem)
        self._problem = problem
