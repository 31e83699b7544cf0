"""Access control of an application: authenticates requests, and decides what their users may do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mtango_gevent.api.access.authentication import Authentication
from mtango_gevent.api.access.identity import Identity
from mtango_gevent.api.access.targets import Target
from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class AccessControl:
    """Authentication and access rules of an application. Raises ConfigError for a file that cannot be used.

    is_open: every client may read everything, and no request is authenticated.
    """

    def __init__(self, config: Config, client: TangoClient) -> None:
        self._config = config
        self.authentication = Authentication(config, client)
        self.is_open = not config.auth and not config.rules

    def authenticate(self, environ: WSGIEnvironment) -> Identity:
        """Return the user of a request, anonymous without credentials. Raises ApiError 401 for wrong credentials."""
        return self.authentication.authenticate(environ)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the files of access control, whose last good content is in force, for /readyz."""
        yield from self.authentication.problems()

    def refusal(self, identity: Identity, environ: WSGIEnvironment, target: Target) -> ApiError | None:
        """Return why a user may not do something; None where the user may.

        The refusal has status 401 for an anonymous client that may authenticate, else 403.
        """
        if target.action != "read" and self._config.read_only:
            named = target.device or target.name
            return ApiError(403, "MTANGO_ReadOnly", f"{target.action} {named}: MTANGO_READ_ONLY allows reads only")
        if self._config.auth and not self._config.rules and identity.is_anonymous:
            return self.authentication.required("expected credentials: without MTANGO_RULES only users are served")
        return None
