"""The home page, and the Swagger files with the address of this gateway in them."""

from __future__ import annotations

import re
from importlib import resources

from flask import Blueprint, Response, render_template, request

from mtango_gevent import __version__
from mtango_gevent.api import access
from mtango_gevent.api.request_context import config
from mtango_gevent.errors import NotFound

blueprint = Blueprint("pages", __name__, template_folder="../templates")

SWAGGER = ("main", "rc3", "v11", "subscriptions", "sys")

# Pages load nothing from elsewhere, run no script, and are in no frame of another page.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
}

# The addresses in the files, of which the gateway replaces the beginning.
_WRITTEN_ADDRESS = re.compile("(?<=- url: )/tango(/rest)?")


@blueprint.after_request
def add_headers(response: Response) -> Response:
    """Add the security headers of pages."""
    response.headers.update(_HEADERS)
    return response


@blueprint.get("/")
@access.needs("read", "gateway", "pages")
def show_home() -> str:
    return render_template(
        "home.html", version=__version__, base=request.script_root + config().app_base, swagger=SWAGGER
    )


@blueprint.get("/swagger/<name>.yml")
@access.needs("read", "gateway", "pages")
def show_swagger(name: str) -> Response:
    if name not in SWAGGER:
        raise NotFound(f"no such file: {request.path}")
    text = (resources.files("mtango_gevent") / "swagger" / f"{name}.yml").read_text("utf-8")
    base = request.script_root + config().app_base
    text = _WRITTEN_ADDRESS.sub(lambda found: base if found[1] else base.removesuffix("/rest"), text, count=1)
    return Response(text, mimetype="application/yaml")
