"""Access control of an application: authenticates requests, and decides what their users may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtango_gevent.api.access.cross_site import CrossSite
from mtango_gevent.api.access.identity import ANONYMOUS, Identity
from mtango_gevent.api.access.targets import Target
from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class AccessControl:
    """Authentication and access rules of an application. Raises ConfigError for a file that cannot be used.

    is_open: every client may read everything, and no request is authenticated.
    cross_site: the rules for pages of other origins; reads_are_open: every client and every page may read everything.
    """

    def __init__(self, config: Config, client: TangoClient) -> None:
        self._config = config
        self.is_open = not config.auth and not config.rules
        self.cross_site = CrossSite(config)
        self.reads_are_open = self.is_open and self.cross_site.reads_are_open

    def authenticate(self, environ: WSGIEnvironment) -> Identity:
        """Return the user of a request, anonymous without credentials. Raises ApiError 401 for wrong credentials."""
        return ANONYMOUS

    def refusal(self, identity: Identity, environ: WSGIEnvironment, target: Target) -> ApiError | None:
        """Return why a user may not do something; None where the user may.

        The refusal has status 401 for an anonymous client that may authenticate, else 403.
        """
        if target.action != "read" and self._config.read_only:
            named = target.device or target.name
            return ApiError(403, "MTANGO_ReadOnly", f"{target.action} {named}: MTANGO_READ_ONLY allows reads only")
        return None
