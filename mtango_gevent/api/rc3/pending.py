"""What of rc3 is still to come: methods that write, and events. Each answers 501."""

from __future__ import annotations

from typing import Any, NoReturn

from flask import Blueprint, request

from mtango_gevent.errors import NotImplementedHere

blueprint = Blueprint("pending", __name__)

EVENTS = [f"/attributes/<attribute>/{kind}" for kind in ("change", "periodic", "user", "archive")]


def refuse(**_: Any) -> NoReturn:
    raise NotImplementedHere(f"{request.method} {request.path} is not implemented in this version")


for path in EVENTS:
    blueprint.add_url_rule(path, view_func=refuse, methods=["GET"])
