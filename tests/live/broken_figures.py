"""The gateway, whose figures cannot be published."""

from __future__ import annotations

from typing import NoReturn

from mtango_gevent import create_app

application = create_app()


def _fail() -> NoReturn:
    raise ValueError("no figures")


application.extensions["mtango"].client.publish = _fail
