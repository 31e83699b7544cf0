"""The operator's page with its static files, and the Swagger files with the address of this gateway in them."""

from __future__ import annotations

import re
from importlib import resources
from urllib.parse import quote

from flask import Blueprint, Response, render_template, request
from jinja2 import PackageLoader

from mtango_gevent import __version__
from mtango_gevent.api import access
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.api.static_files import Build
from mtango_gevent.errors import NotFound

blueprint = Blueprint("pages", __name__)
# Unlike a template_folder, it reads archives.
blueprint.jinja_loader = PackageLoader("mtango_gevent", "page")  # pyright: ignore[reportAttributeAccessIssue]

SWAGGER = ("main", "rc3", "v11", "subscriptions", "sys")

# Pages load nothing from elsewhere, run no script in their markup, and are in no frame of another page.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
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


# --- the operator's page: free, so that it can ask for a login; it has no secrets ---


@blueprint.get("/")
@access.is_free
def show_home() -> str:
    root = quote(request.script_root)
    assets = f"{root}/page/{_build().name}"
    return render_template("index.html", version=__version__, base=_base(), assets=assets, root=root, swagger=SWAGGER)


@blueprint.get("/page/<build>/<path:path>")
@access.is_free
def show_file(build: str, path: str) -> Response:
    found = _build()
    file = found.files.get(path) if build == found.name else None
    if file is None:
        raise NotFound(f"no such file: {request.path}")
    return file.answer()


def _build() -> Build:
    """Return the files of the page, loaded by the first request for one of them."""
    state = app_state()
    if "page" not in state.builds:
        folder = resources.files("mtango_gevent") / "page"
        state.builds["page"] = state.client.partitions.files.call("file", Build.load, folder)
    return state.builds["page"]


# --- the specifications ---


@blueprint.get("/swagger/<name>.yml")
@access.needs("read", "gateway", "pages")
def show_swagger(name: str) -> Response:
    if name not in SWAGGER:
        raise NotFound(f"no such file: {request.path}")
    text = (resources.files("mtango_gevent") / "swagger" / f"{name}.yml").read_text("utf-8")
    base = _base()
    text = _WRITTEN_ADDRESS.sub(lambda found: base if found[1] else base.removesuffix("/rest"), text, count=1)
    return Response(text, mimetype="application/yaml")


def _base() -> str:
    """Return the path of the API as clients see it."""
    return quote(request.script_root) + config().app_base
