"""The hooks of a Flask application: the fast path may replace Flask only where all of them are the gateway's."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, signals

_SIGNALS = (
    signals.request_started,
    signals.request_finished,
    signals.request_tearing_down,
    signals.got_request_exception,
    signals.appcontext_pushed,
    signals.appcontext_popped,
    signals.appcontext_tearing_down,
)


class FlaskHooks:
    """The hooks that Flask calls for some endpoints. Create it after the gateway has registered its own.

    A program that embeds the gateway may add hooks at any time: functions before and after a request, receivers of
    signals, other view functions, trusted hosts.
    """

    def __init__(self, app: Flask, endpoints: Sequence[str]) -> None:
        blueprints = {
            endpoint.rsplit(".", depth)[0] for endpoint in endpoints for depth in range(1, endpoint.count(".") + 1)
        }
        self._app, self._endpoints, self._scopes = app, endpoints, (None, *blueprints)
        self._own = self._registered()

    def are_own(self) -> bool:
        """Return whether Flask would call the gateway's hooks only."""
        return self._registered() == self._own and not any(
            signal.receivers and signal.has_receivers_for(self._app) for signal in _SIGNALS
        )

    def _registered(self) -> list[object]:
        app = self._app
        before, after = (app.url_value_preprocessors, app.before_request_funcs), app.after_request_funcs
        found = [app.config["TRUSTED_HOSTS"], *app.teardown_appcontext_funcs]
        found += map(app.view_functions.get, self._endpoints)
        for hooks in (*before, after, app.teardown_request_funcs):
            for scope in self._scopes:
                found += hooks.get(scope, ())
        return found


def _blueprints(endpoint: str) -> list[str]:
    """Return the names of the nested blueprints of an endpoint."""
    *names, _ = endpoint.split(".")
    return [".".join(names[:depth]) for depth in range(1, len(names) + 1)]
