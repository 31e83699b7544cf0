"""OIDC discovery: the configuration that a provider publishes."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from typing import Any

from mtango_gevent.api.access.fetch import fetch_json
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import DevFailed, in_one_line
from mtango_gevent.redaction import redact

logger = logging.getLogger(__name__)

# Seconds after which the configuration is fetched again; and after a fetch that failed.
_REFRESH_AFTER, _REFRESH_AFTER_FAILURE = 600.0, 5.0


def discover(issuer: str) -> dict[str, Any]:
    """Return the configuration of an issuer. Raises ValueError, OSError."""
    found = fetch_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise ValueError(f"its configuration names the issuer {str(found.get('issuer'))[:200]!r}")
    return found


class Discovery:
    """The configuration of a provider, fetched in a thread. problem: why the last fetch failed, empty if it did not."""

    def __init__(self, issuer: str, client: TangoClient) -> None:
        self._issuer = issuer
        self._threads, self._spawn = client.partitions.keys, client.concurrency.spawn
        self._found: dict[str, Any] = {}
        self._due = -math.inf  # when the next fetch in the background begins
        self.problem = ""

    def current(self) -> dict[str, Any]:
        """Return the configuration, empty before the first fetch, which this call begins. Never waits."""
        now = time.monotonic()
        if now > self._due:
            self._due = now + _REFRESH_AFTER_FAILURE
            with contextlib.suppress(RuntimeError):  # the machine has no thread: later
                self._spawn(self._refresh)
        return self._found

    def fetched(self) -> dict[str, Any]:
        """Return the configuration, fetched now if it is not known. Call it in a thread. Raises ValueError, OSError."""
        self._found = self._found or discover(self._issuer)
        return self._found

    def _refresh(self) -> None:
        try:
            self._found = self._threads.call("keys", discover, self._issuer)
        except DevFailed as failure:
            self._fail(in_one_line(failure))
        except Exception as error:  # whatever the document makes of the parser
            self._fail(str(error) if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {error}")
        else:
            self.problem, self._due = "", time.monotonic() + _REFRESH_AFTER

    def _fail(self, problem: str) -> None:
        """Note a problem, and log it once."""
        text = redact(f"cannot fetch the configuration of {self._issuer}: {problem}")
        if text != self.problem:
            logger.error("%s", text.encode("unicode_escape").decode("ascii"))
        self.problem = text
