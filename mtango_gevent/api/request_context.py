"""The request context: id, timing and outcome of the request that the current greenlet or thread serves."""

from __future__ import annotations

import dataclasses
import random
import re
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request

from mtango_gevent.api.access import ANONYMOUS, AccessControl, Audit, Change, Need, Target
from mtango_gevent.api.failed_requests import FailedRequests
from mtango_gevent.api.static_files import Build
from mtango_gevent.api.subscription_store import SubscriptionStore
from mtango_gevent.config import Config
from mtango_gevent.control.access_control import TangoAccessControl
from mtango_gevent.control.calls import measure_calls
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError
from mtango_gevent.metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# A request id of the client is repeated in a header and a log line.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)


@dataclasses.dataclass(frozen=True)
class AppState:
    """State of one application: settings, Tango client, access control, audit log, subscriptions, metrics.

    in_force: values of settings that gunicorn's command line has changed; the worker fills it in.
    builds: the static files of pages that have been loaded.
    """

    config: Config
    client: TangoClient
    access: AccessControl
    audit: Audit
    subscriptions: SubscriptionStore
    failed_requests: FailedRequests
    tango_access: TangoAccessControl | None = None  # None where the settings do not ask for it
    in_force: dict[str, object] = dataclasses.field(default_factory=dict)
    builds: dict[str, Build] = dataclasses.field(default_factory=dict)

    @property
    def metrics(self) -> Metrics:
        return self.client.metrics


class Checked(NamedTuple):
    """A target that was checked. device: the one of the target; in_database: as for Need."""

    target: Target
    device: Device | None = None
    in_database: bool = False


class View(NamedTuple):
    """The view that answers a request, without its function.

    endpoint: empty where there is no such URL; need: None where it is free; values: the parts of the URL for it.
    """

    endpoint: str
    need: Need | None
    values: dict[str, Any]

    @property
    def device(self) -> Device | None:
        return self.values.get("device")


class RequestContext:
    """A request from its arrival until its response begins.

    id: the client's X-Request-ID, or a random one; began: time of arrival (time.perf_counter()).
    tango_time: the time that its Tango calls have taken; outcome: `ok`, or why the request failed.
    error: reason and description of the failure with which it was answered.
    request: headers, query and body: Flask's own request, or one without Flask; view: that answers it.
    Both are set when the request is routed.
    route: the URL rule, `none` without one; device: full name of the device in the URL, `-` without one.
    identity: the authenticated user; refusal: why the client could not be authenticated.
    failure: an error from before Flask was called, which Flask has to answer.
    form: the body as a form, None until it is parsed.
    changes: what the request changes, for the audit log; checked: what the client was allowed.
    timestamp_unit: unit of timestamps in the response, in milliseconds.
    """

    __slots__ = (
        "began",
        "changes",
        "checked",
        "device",
        "environ",
        "error",
        "failure",
        "form",
        "id",
        "identity",
        "outcome",
        "refusal",
        "request",
        "route",
        "state",
        "tango_time",
        "timestamp_unit",
        "view",
    )

    request: Request
    view: View

    def __init__(self, state: AppState, environ: WSGIEnvironment) -> None:
        given = environ.get("HTTP_X_REQUEST_ID")
        self.id = given if given and _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"
        self.state, self.environ = state, environ
        self.began = time.perf_counter()
        self.tango_time = measure_calls()
        self.outcome, self.route, self.device = "ok", "none", "-"
        self.form: MultiDict[str, str] | None = None
        self.error: tuple[str, str] = ("", "")
        self.identity = ANONYMOUS
        self.refusal: ApiError | None = None
        self.failure: Exception | None = None
        self.changes: list[Change] = []
        self.checked: list[Checked] = []
        self.timestamp_unit = 1 if state.config.rc3_timestamps == "ms" else 1000


_current: ContextVar[RequestContext] = ContextVar("request_context")

# Return the context of the request that the current greenlet or thread serves.
current = _current.get


def begin(state: AppState, environ: WSGIEnvironment) -> RequestContext:
    """Create the context of a request, and make it the current one."""
    request = RequestContext(state, environ)
    _current.set(request)
    return request


def app_state() -> AppState:
    return current().state


def http_request() -> Request:
    return current().request


def config() -> Config:
    return current().state.config


def request_started() -> float:
    """Return when the request arrived, before anything was read for it (time.perf_counter())."""
    return current().began
