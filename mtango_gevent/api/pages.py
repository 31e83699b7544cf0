"""The operator's page, the page of the API, their static files, and the Swagger files with this gateway's address."""

from __future__ import annotations

import re
from importlib import resources
from importlib.util import find_spec
from urllib.parse import quote

from flask import Blueprint, Response, render_template, request
from jinja2 import PackageLoader

from mtango_gevent import __version__
from mtango_gevent.api import access, error_handlers
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.api.static_files import CHECKED, FOR_EVER, NOT_KEPT, Build, StaticFile
from mtango_gevent.errors import DevFailed, NotFound

blueprint = Blueprint("pages", __name__)
# Unlike a template_folder, it reads archives.
blueprint.jinja_loader = PackageLoader("mtango_gevent", "page")  # pyright: ignore[reportAttributeAccessIssue]

SWAGGER = ("main", "rc3", "v11", "subscriptions", "sys")

# Arguments of Build.load for the static files, by the first part of their URLs.
_FOLDERS = {"page": ("mtango_gevent", "page", "vendor/"), "docs": ("flask_swagger_ui", "dist")}
_HAS_SWAGGER_UI = find_spec("flask_swagger_ui") is not None

# Pages load nothing from elsewhere, run no script in their markup, and are in no frame of another page.
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
# The stylesheet of Swagger UI contains its icons as data: URLs.
_POLICY_OF_DOCS = f"{_POLICY}; img-src 'self' data:"

# The addresses in the files, of which the gateway replaces the beginning.
_WRITTEN_ADDRESS = re.compile("(?<=- url: )/tango(/rest)?")


@blueprint.after_request
def add_headers(response: Response) -> Response:
    """Add the security headers of pages."""
    policy = _POLICY_OF_DOCS if request.endpoint == "pages.show_docs" else _POLICY
    response.headers.update({"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"})
    return response


@blueprint.errorhandler(DevFailed)
def answer_failure(failure: DevFailed) -> Response:
    """Answer with a status, whatever it is in rc3: a browser would take the body of a 200 for the page."""
    return error_handlers.answer_with_status(failure)


# --- pages and their static files: free, so that a page can ask for a login; they have no secrets ---


@blueprint.get("/")
@access.is_free
def show_home() -> Response:
    return _render("index.html", base=_base())


@blueprint.get("/docs")
@access.is_free
def show_docs() -> Response:
    swagger_ui = _url_of_files("docs") if _HAS_SWAGGER_UI else None
    return _render("docs.html", swagger=SWAGGER, swagger_ui=swagger_ui)


def _render(template: str, **variables: object) -> Response:
    """Answer a template. Its variables are HTML paths: root of the gateway, assets of the operator's page."""
    html = render_template(
        template, version=__version__, root=quote(request.script_root), assets=_url_of_files("page"), **variables
    )
    return StaticFile.of("text/html", html.encode()).answer(CHECKED)


def _url_of_files(key: str) -> str:
    return f"{quote(request.script_root)}/{key}/{_build(key).name}"


@blueprint.get("/<any(page, docs):key>/<build>/<path:path>")
@access.is_free
def show_file(key: str, build: str, path: str) -> Response:
    """Answer a static file: the present one also for another build, as that of another gateway behind a balancer."""
    found = _build(key) if key != "docs" or _HAS_SWAGGER_UI else None
    file = found.files.get(path) if found else None
    if not found or not file:
        raise NotFound(f"no such file: {request.path}")
    return file.answer(FOR_EVER if build == found.name else NOT_KEPT)


def _build(key: str) -> Build:
    """Return static files, which the first request for one of them loads."""
    state = app_state()
    if key not in state.builds:
        state.client.partitions.files.call("file", _load, state.builds, key)
    return state.builds[key]


def _load(builds: dict[str, Build], key: str) -> None:
    if key not in builds:  # which another request has loaded, as there is one thread
        builds[key] = Build.load(*_FOLDERS[key])


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
