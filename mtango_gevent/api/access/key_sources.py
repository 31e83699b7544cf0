"""Where the signing keys of `bearer` come from: a file, a JWKS URL, or the OIDC discovery of an issuer."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from mtango_gevent.api.access.discovery import discover
from mtango_gevent.api.access.fetch import check_url, fetch_json
from mtango_gevent.api.access.signing_keys import SigningKeys, parse_file, parse_jwks
from mtango_gevent.api.access.watched_file import Problem, WatchedFile
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.single_flight import Route, SingleFlight
from mtango_gevent.errors import DevFailed, in_one_line
from mtango_gevent.redaction import redact

logger = logging.getLogger(__name__)

# Seconds after which the keys are fetched again in the background; and after a fetch that failed.
_REFRESH_AFTER, _REFRESH_AFTER_FAILURE = 600.0, 30.0

# Seconds between two fetches for tokens with an unknown key; and after a fetch that failed.
_PAUSE, _PAUSE_AFTER_FAILURE = 10.0, 1.0


class KeySource(Protocol):
    @property
    def problem(self) -> str:
        """Why the known keys may not be those of now; empty where they are."""
        ...

    def problems(self) -> Iterator[Problem]:
        """Yield the problem, if there is one, for /readyz."""
        ...

    def current(self) -> SigningKeys:
        """Return the known keys, without waiting for a network."""
        ...

    def renewed(self) -> SigningKeys:
        """Return the keys for a token whose key is not among the current ones."""
        ...


def key_source(config: Config, client: TangoClient) -> KeySource:
    """Return the source that the settings name. Raises ConfigError."""
    if config.jwt_issuer:
        _check("MTANGO_JWT_ISSUER", config.jwt_issuer)
    if not config.jwt_keys:
        if not config.jwt_issuer:
            raise ConfigError(
                "MTANGO_JWT_ISSUER: expected the issuer for `bearer`, or keys in MTANGO_JWT_KEYS, got none"
            )
        return ProviderKeys(functools.partial(_fetch_keys, config.jwt_issuer), config.jwt_issuer, client)
    if "://" not in config.jwt_keys:
        return FileKeys(config.jwt_keys, client)
    _check("MTANGO_JWT_KEYS", config.jwt_keys)
    return ProviderKeys(functools.partial(fetch_json, config.jwt_keys), config.jwt_keys, client)


def _check(setting: str, url: str) -> None:
    try:
        check_url(url)
    except ValueError as error:
        raise ConfigError(redact(f"{setting} = {url!r}: {error}")) from None


def _fetch_keys(issuer: str) -> dict[str, Any]:
    """Return the JWKS document of an issuer. Raises ValueError, OSError."""
    found = discover(issuer)
    if not isinstance(found.get("jwks_uri"), str):
        raise ValueError("its configuration has no jwks_uri")
    return fetch_json(found["jwks_uri"])


class FileKeys:
    """The keys of a JWKS or PEM file."""

    def __init__(self, path: str, client: TangoClient) -> None:
        self._file = WatchedFile("MTANGO_JWT_KEYS", path, parse_file, client)
        self.current = self.renewed = self._file.content
        self.problems = self._file.problems

    @property
    def problem(self) -> str:
        return self._file.problem


class ProviderKeys:
    """The keys that a provider publishes. They stay in force while it is away.

    They are fetched in a thread: when the first token comes, every ten minutes in the background as long as tokens
    come, and for a token with an unknown key. find: fetches the JWKS document. name: of the provider, for the log.
    problem: why the last fetch failed; empty where it succeeded.
    """

    def __init__(self, find: Callable[[], dict[str, Any]], name: str, client: TangoClient) -> None:
        self.problem = ""
        self._find, self._name = find, redact(name)
        self._document: dict[str, Any] = {}
        self._keys = SigningKeys()
        self._concurrency = client.concurrency
        self._flight = SingleFlight(client.concurrency.signal)
        self._route = Route(client.partitions.keys, "keys")
        self._due = math.inf  # when the next fetch in the background begins
        self._paused_until = self._began = -math.inf  # of fetches for unknown keys; of the last fetch

    def problems(self) -> Iterator[Problem]:
        if self.problem:
            yield Problem(f"bearer: {self.problem}")

    def current(self) -> SigningKeys:
        """Return the known keys, none before the first fetch. Never waits."""
        now = time.monotonic()
        if now > self._due:
            self._due = now + _REFRESH_AFTER_FAILURE
            with contextlib.suppress(RuntimeError):  # the machine has no thread: later
                self._concurrency.spawn(self._fetch, 0.0)
        return self._keys

    def renewed(self) -> SigningKeys:
        """Return other keys, or those of a fetch that began after this call unless fetches for unknown keys pause."""
        asked, known = time.monotonic(), self._keys
        while self._keys is known and self._began < asked and time.monotonic() >= self._paused_until:
            self._fetch(_PAUSE if self._keys else 0.0)
            if self._began < asked:  # it was another request's, whose end the hub has to note
                self._concurrency.sleep(0.001)
        return self._keys

    def _fetch(self, pause: float) -> None:
        """Fetch the keys, or wait for a fetch under way. pause: seconds without fetches for unknown keys after it."""
        try:
            self._flight.do("keys", functools.partial(self._replace, pause), self._route)
        except DevFailed as failure:
            self._fail(f"cannot fetch the keys of {self._name}: {in_one_line(failure)}")

    def _replace(self, pause: float) -> bool:
        self._began = time.monotonic()
        try:
            document = self._find()
            if document != self._document:
                self._keys, self._document = parse_jwks(document), document
                logger.info("the keys of %s have been read", self._name)
        except Exception as error:  # whatever the document makes of the parser, the next fetch comes after a pause
            text = str(error) if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {error}"
            self._fail(f"cannot fetch the keys of {self._name}: {text}")
            return False
        self.problem = ""
        self._due = time.monotonic() + _REFRESH_AFTER
        self._paused_until = max(self._paused_until, time.monotonic() + pause)
        return True

    def _fail(self, problem: str) -> None:
        """Note a problem, and log it once."""
        problem = redact(problem)
        if problem != self.problem:
            logger.error("%s", problem.encode("unicode_escape").decode("ascii"))
        self.problem = problem
        self._due = time.monotonic() + _REFRESH_AFTER_FAILURE
        self._paused_until = time.monotonic() + _PAUSE_AFTER_FAILURE
