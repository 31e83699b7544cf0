"""The hooks of a Flask application: the fast path may replace Flask only where all of them are the gateway's."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from flask import Flask, signals

_RECEIVERS = [
    signal.receivers
    for signal in (
        signals.request_started,
        signals.request_finished,
        signals.request_tearing_down,
        signals.got_request_exception,
        signals.appcontext_pushed,
        signals.appcontext_popped,
        signals.appcontext_tearing_down,
    )
]


class FlaskHooks:
    """The hooks of an application, and the view functions of some endpoints.

    Create it after the gateway has registered its own: a program that embeds the gateway may add hooks at any time.
    """

    def __init__(self, app: Flask, endpoints: Sequence[str]) -> None:
        self._app = app
        self._registered = [
            app.url_value_preprocessors,
            app.before_request_funcs,
            app.after_request_funcs,
            app.teardown_request_funcs,
            {None: app.teardown_appcontext_funcs},
        ]
        self._own = [{scope: list(functions) for scope, functions in hooks.items()} for hooks in self._registered]
        self._views = operator.itemgetter(*endpoints)
        self._own_views = self._views(app.view_functions)

    def are_own(self) -> bool:
        """Return whether there are no hooks but the gateway's."""
        return (
            self._registered == self._own
            and self._views(self._app.view_functions) == self._own_views
            and self._app.config.get("TRUSTED_HOSTS") is None  # which Flask 3.0 does not have
            and not any(_RECEIVERS)
        )
