"""The gateway, whose figures cannot be published."""

from __future__ import annotations

from typing import NoReturn

from mtango_gevent import create_app

application = create_app()


def _fail(*_: object) -> NoReturn:
    raise ValueError("no figures")


client = application.extensions["mtango"].client
client.publish = client.metrics.publish = _fail
