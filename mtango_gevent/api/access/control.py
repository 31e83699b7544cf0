"""Access control of an application: authenticates requests, and decides what their users may do."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mtango_gevent.api.access.authentication import Authentication
from mtango_gevent.api.access.code_flow import CodeFlow
from mtango_gevent.api.access.commands import CommandClasses
from mtango_gevent.api.access.cross_site import CrossSite
from mtango_gevent.api.access.identity import Identity
from mtango_gevent.api.access.rules import Decision, Rules
from mtango_gevent.api.access.rules_file import parse_rules
from mtango_gevent.api.access.stream_tokens import StreamTokens
from mtango_gevent.api.access.targets import Action, Kind, Target, comparable
from mtango_gevent.api.access.watched_file import Problem, WatchedFile
from mtango_gevent.api.recent import Recent
from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError
from mtango_gevent.names import folded

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# What MTANGO_READ_ONLY refuses; `administer` changes the gateway only.
_CHANGES = ("write", "execute", "configure")

_READ_ONLY = Decision(False, "MTANGO_READ_ONLY allows reads only")
_ANONYMOUS = Decision(False, "expected credentials: without MTANGO_RULES only users are served")
_USER = Decision(True, "without MTANGO_RULES every user may do everything")
_EVERYONE = Decision(True, "without MTANGO_AUTH and MTANGO_RULES every client may do everything")


class AccessControl:
    """Authentication and access rules of an application. Raises ConfigError for a file that cannot be used.

    is_open: every client may read everything, and no request is authenticated.
    cross_site: the rules for pages of other origins; reads_are_open: every client and every page may read everything.
    code_flow: the login of the operator's page at a provider.
    tokens: of streams, signed with `secret`; by default with another one each time, so that no token is valid.
    """

    def __init__(self, config: Config, client: TangoClient, secret: Callable[[], bytes] = secrets.token_bytes) -> None:
        self._config = config
        self.authentication = Authentication(config, client)
        self.code_flow = CodeFlow(config, client)
        self._commands = CommandClasses(config)
        self.is_open = not config.auth and not config.rules
        self.cross_site = CrossSite(config)
        self.reads_are_open = self.is_open and self.cross_site.reads_are_open
        self._rules = _watch_rules(config, client) if config.rules else None
        self.tokens = StreamTokens(secret, config.app_base.removesuffix("/rest"))
        self._recent = Recent[tuple[Identity, str, tuple[Target, ...]], bool]()

    def authenticate(self, environ: WSGIEnvironment) -> Identity:
        """Return the user of a request, anonymous without credentials. Raises ApiError 401 for wrong credentials."""
        token = self.tokens.find(environ)
        if token is None:
            identity = self.authentication.authenticate(environ)
            in_cookie = self.tokens.find_in_cookie(environ) if identity.is_anonymous else None
            return self.tokens.verify(in_cookie, environ) or identity
        identity = self.tokens.verify(token, environ)
        if identity is None:
            raise self.authentication.required("the token is wrong or has expired")
        return identity

    def problems(self) -> Iterator[Problem]:
        """Yield the problems of the files of access control and of the keys of tokens, for /readyz."""
        yield from self.authentication.problems()
        if self._rules is not None:
            yield from self._rules.problems()

    def target(self, action: Action, kind: Kind, name: str, device: str, tango_hosts: tuple[str, ...]) -> Target:
        """Return a target of a device. `execute` becomes what the command does."""
        if action == "execute":
            action = self._commands.action(device, name)
        return Target(action, kind, comparable(kind, name), folded(device), tango_hosts)

    def decide(self, identity: Identity, environ: WSGIEnvironment, target: Target) -> Decision:
        """Return whether a user may do something, and why. Raises ApiError 503 where there are no rules to decide."""
        if self._config.read_only and target.action in _CHANGES:
            return _READ_ONLY
        if self._rules is not None:
            return self._rules.content().decide(identity, environ.get("REMOTE_ADDR", ""), target)
        if self._config.auth:
            return _ANONYMOUS if identity.is_anonymous else _USER
        return _EVERYONE

    def allows(self, identity: Identity, environ: WSGIEnvironment, targets: tuple[Target, ...]) -> bool:
        """Return whether a user may do all of this, or could a moment ago."""
        asked = identity, environ.get("REMOTE_ADDR", ""), targets
        allowed = self._recent.get(asked)
        if allowed is None:
            allowed = all(self.refusal(identity, environ, target) is None for target in targets)
            self._recent.keep(asked, allowed)
        return allowed

    def refusal(self, identity: Identity, environ: WSGIEnvironment, target: Target) -> ApiError | None:
        """Return why a user may not do something; None where the user may.

        The refusal has status 401 for an anonymous client that may authenticate, else 403; 503 without rules to decide.
        """
        try:
            decision = self.decide(identity, environ, target)
        except ApiError as unavailable:
            return unavailable.copy()
        if decision.allowed:
            return None
        description = f"{target}: {decision.reason}"
        if decision is _READ_ONLY:
            return ApiError(403, "MTANGO_ReadOnly", description)
        if identity.is_anonymous:
            return self.authentication.required(description)
        return ApiError(403, "MTANGO_Forbidden", description)

    def refusal_of_anonymous(self, identity: Identity) -> ApiError | None:
        """Return why an anonymous client may do nothing; None for a user, and where rules decide or access is open."""
        if identity.is_anonymous and self._config.auth and not self._config.rules:
            return self.authentication.required(_ANONYMOUS.reason)
        return None


def _watch_rules(config: Config, client: TangoClient) -> WatchedFile[Rules]:
    parse = functools.partial(parse_rules, file=Path(config.rules).name)
    return WatchedFile("MTANGO_RULES", config.rules, parse, client)
