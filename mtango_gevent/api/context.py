"""What a request finds of its application: settings, Tango, figures."""

from __future__ import annotations

import dataclasses

from flask import current_app

from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.workers import Figures


@dataclasses.dataclass(frozen=True)
class Context:
    config: Config
    client: TangoClient

    @property
    def figures(self) -> Figures:
        return self.client.figures


def context() -> Context:
    return current_app.extensions["mtango"]


def config() -> Config:
    return context().config
