"""Authentication: the methods of MTANGO_AUTH, asked in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from mtango_gevent.api.access.basic import Basic
from mtango_gevent.api.access.bearer import Bearer
from mtango_gevent.api.access.identity import ANONYMOUS, Identity
from mtango_gevent.api.access.keys import Keys
from mtango_gevent.api.access.trusted_header import TrustedHeader
from mtango_gevent.api.access.watched_file import Problem
from mtango_gevent.api.recent import Recent
from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError, Unauthorized

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Method(Protocol):
    """A method of MTANGO_AUTH. Its class is created with (config, client), and raises ConfigError where it cannot work.

    challenge: of the header WWW-Authenticate, such as `Basic realm="mtango-gevent"`.
    """

    @property
    def challenge(self) -> str: ...

    def authenticate(self, environ: WSGIEnvironment) -> Identity | None:
        """Return the user of a request; None for a request without credentials of this kind.

        Raises Unauthorized for wrong credentials. A header WWW-Authenticate of it takes the place of `challenge`.
        """
        ...

    def problems(self) -> Iterator[Problem]:
        """Yield why the method works with old data, or does not work, for /readyz."""
        ...


_METHODS: dict[str, Callable[[Config, TangoClient], Method]] = {
    "basic": Basic,
    "bearer": Bearer,
    "key": Keys,
    "trusted-header": TrustedHeader,
}

# The methods in the words of rc3's `x-auth-method`; the others have none there.
_RC3_WORDS = {"bearer": "oauth2"}


class Authentication:
    """The methods of an application. The first one that finds credentials of its kind decides.

    Raises ConfigError for a method that cannot work.
    """

    def __init__(self, config: Config, client: TangoClient) -> None:
        self._methods = [_METHODS[name](config, client) for name in config.auth]
        self._recent = Recent[tuple[str | None, str | None], Identity]()
        self._keeps = "trusted-header" not in config.auth  # whose user depends on the peer as well
        self.rc3_name = ", ".join(_RC3_WORDS.get(name, name) for name in config.auth) or "none"

    def authenticate(self, environ: WSGIEnvironment) -> Identity:
        """Return the user of a request, anonymous without credentials. Raises Unauthorized for wrong credentials."""
        credentials = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY")
        identity = self._recent.get(credentials)
        if identity is None:
            identity = self._verify(environ)
            if self._keeps:
                self._recent.keep(credentials, identity)
        return identity

    def _verify(self, environ: WSGIEnvironment) -> Identity:
        for method in self._methods:
            try:
                identity = method.authenticate(environ)
            except ApiError as refusal:
                raise self._with_challenges(refusal, method) from None
            if identity is not None:
                return identity
        return ANONYMOUS

    def required(self, description: str) -> ApiError:
        """Return the refusal of an anonymous client that has to authenticate; 403 where there is no method to do so."""
        if not self._methods:
            return ApiError(403, "MTANGO_Forbidden", description)
        return self._with_challenges(Unauthorized(description))

    def challenges(self) -> list[str]:
        """Return the values of WWW-Authenticate, none without a method."""
        return list(dict.fromkeys(method.challenge for method in self._methods))

    def problems(self) -> Iterator[Problem]:
        for method in self._methods:
            yield from method.problems()

    def _with_challenges(self, refusal: ApiError, origin: Method | None = None) -> ApiError:
        """Return a refusal, one with status 401 with the challenges of all methods. origin: the method that raised it.

        It is a new one, as several requests may share that of the method.
        """
        new = refusal.copy()
        if new.status == 401:
            given = new.headers.get("WWW-Authenticate")
            challenges = [given if given and method is origin else method.challenge for method in self._methods]
            new.headers["WWW-Authenticate"] = list(dict.fromkeys(map(str, challenges)))
        return new
