"""The method `key`: API keys of scripts, in X-API-Key or as a Bearer token."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mtango_gevent.api.access.identity import Identity
from mtango_gevent.api.access.watched_file import Problem, WatchedFile
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import DevFailed, Unauthorized, in_one_line
from mtango_gevent.key_file import PREFIX, USE_PRECISION, ApiKey, KeyFile, digest, parse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

logger = logging.getLogger(__name__)

# Seconds after which the last uses are recorded that could not be, as another process had the lock.
_RETRY_AFTER = 1.0


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

    def problems(self) -> Iterator[Problem]:
        return self._file.problems()


def _bearer_key(header: str) -> str:
    """Return the API key of a header Authorization; an empty text for a token of another kind."""
    token = header[7:].strip() if header[:7].lower() == "bearer " else ""
    return token if token.startswith(PREFIX) else ""


class LastUses:
    """The last use of each key. Those since the last record are recorded together, at most once a minute.

    That is done in a thread, by a use that comes after the minute.
    """

    def __init__(self, file: KeyFile, client: TangoClient) -> None:
        self._file = file
        self._threads, self._spawn = client.partitions.uses, client.concurrency.spawn
        self._uses: dict[str, float] = {}  # since the last record
        self._due = 0.0  # the time of the next record
        self._problem = ""

    def note(self, sha256: str, now: float) -> None:
        self._uses[sha256] = now
        if now >= self._due:
            self._due = now + USE_PRECISION
            with contextlib.suppress(RuntimeError):  # a machine without a thread
                self._spawn(self._record)

    def _record(self) -> None:
        uses, self._uses = self._uses, {}
        try:
            self._threads.call("file", self._file.record_uses, uses)
            problem = ""
        except (OSError, DevFailed) as error:
            problem = in_one_line(error) if isinstance(error, DevFailed) else str(error)
            self._uses = {**uses, **self._uses}
            if isinstance(error, BlockingIOError):  # another process has the lock, which is no problem by itself
                self._due, problem = time.time() + _RETRY_AFTER, ""
        if problem and not self._problem:
            logger.warning("the last use of API keys is not recorded: %s", problem)
        self._problem = problem
