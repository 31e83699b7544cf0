"""The entry point: the URLs of the versions of the API."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent.api import access, reply, urls

blueprint = Blueprint("entry", __name__)


@blueprint.get("")
@access.needs("read", "gateway", "api")
def list_versions() -> Response:
    return reply.metadata({version: urls.base(version) for version in ("rc3", "v10", "v11", "sys")})
