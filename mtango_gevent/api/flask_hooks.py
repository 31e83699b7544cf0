"""The hooks of a Flask application: Flask may be passed by only where all of them are the gateway's."""

from __future__ import annotations

import operator

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

# The settings of Flask that refuse requests; Flask 3.0 does not have all of them.
_LIMITS = ("TRUSTED_HOSTS", "MAX_CONTENT_LENGTH", "MAX_FORM_MEMORY_SIZE")


# The steps of Flask that a program may replace in an application.
_STEPS = {"dispatch_request", "full_dispatch_request", "preprocess_request", "process_response", "session_interface"}


class FlaskHooks:
    """The hooks and the view functions of an application.

    Create it after the gateway has registered its own: a program that embeds the gateway may add hooks at any time.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._registered = [
            app.url_value_preprocessors,
            app.before_request_funcs,
            app.after_request_funcs,
            app.teardown_request_funcs,
            {None: app.teardown_appcontext_funcs},
        ]
        self._own = [{scope: list(functions) for scope, functions in hooks.items()} for hooks in self._registered]
        self._own_views = dict(app.view_functions)
        self._limits = operator.itemgetter(*(name for name in _LIMITS if name in app.config))
        self._own_limits = self._limits(app.config)

    def are_own(self) -> bool:
        """Return whether there are no hooks but the gateway's."""
        return (
            self._registered == self._own
            and self._limits(self._app.config) == self._own_limits
            and vars(self._app).keys().isdisjoint(_STEPS)
            and not any(_RECEIVERS)
        )

    def has_own_view(self, endpoint: str) -> bool:
        """Return whether the view of an endpoint is the gateway's, and not one that was added or replaced."""
        own = self._own_views.get(endpoint)
        return own is not None and self._app.view_functions.get(endpoint) is own
