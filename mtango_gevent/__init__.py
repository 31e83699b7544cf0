"""HTTP gateway to Tango Controls: the Tango REST API on Flask, gunicorn and gevent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtango_gevent.tango_environment import prepare_environment

if TYPE_CHECKING:
    from flask import Flask

    from mtango_gevent.config import Config

prepare_environment()

__version__ = "0.2.0"


def create_app(config: Config | None = None) -> Flask:
    """Make the WSGI application; see :func:`mtango_gevent.app.create_app`.

    Imported on the first call: gunicorn reads its configuration, and with it this package, before the fork
    and before gevent patches the standard library, and neither Flask nor PyTango belongs there.
    """
    from mtango_gevent.app import create_app

    return create_app(config)
