"""The operator's page and its static files: URLs, caching, compression, access."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import gevent
import pytest
from flask import Flask
from webtest import TestApp

from mtango_gevent import __version__, create_app
from mtango_gevent.api import pages
from mtango_gevent.api.static_files import Build
from mtango_gevent.config import Config
from tests.hub_thread import in_hub_thread

PAGE = Path(str(resources.files("mtango_gevent") / "page"))

# Bytes of all static files of the operator's page together, compressed; tests/browser/test_size.py bounds each view.
ALL_FILES = 97_000


@pytest.fixture
def assets(client: TestApp) -> str:
    """The URL of the static files."""
    return client.get("/").html.find("script")["src"].removesuffix("/main.js")


def test_page_names_the_api_and_its_static_files(client: TestApp) -> None:
    page = client.get("/")
    assert page.content_type == "text/html"
    assert page.html.find("meta", {"name": "base"})["content"] == "/tango/rest"
    assert page.html.find("meta", {"name": "version"})["content"] == __version__
    loaded = [page.html.find("script")["src"], *(link["href"] for link in page.html.find_all("link"))]
    for url in loaded:
        assert re.match("/page/[0-9a-f]{12}/", url)
        client.get(url, status=200)


@pytest.mark.parametrize("url", ["/", "/docs"])
def test_page_has_no_script_and_no_style_in_its_markup(client: TestApp, url: str) -> None:
    page = client.get(url).html
    assert all(script.has_attr("src") and not script.text for script in page.find_all("script"))
    assert not page.find_all("style")
    assert not [each for each in page.find_all(True) if {"style", "onload", "onclick"} & each.attrs.keys()]


@pytest.mark.parametrize(
    ("settings", "environment", "prefix", "base"),
    [
        ({"app_base": "/elsewhere"}, {}, "", "/elsewhere"),
        ({}, {"SCRIPT_NAME": "/behind"}, "/behind", "/behind/tango/rest"),
        ({}, {"SCRIPT_NAME": '/be"hind'}, "/be%22hind", "/be%22hind/tango/rest"),
        ({"trusted_proxies": 1}, {"HTTP_X_FORWARDED_PREFIX": "/behind"}, "/behind", "/behind/tango/rest"),
    ],
)
def test_page_works_at_another_path(
    settings: dict[str, Any], environment: dict[str, str], prefix: str, base: str
) -> None:
    page = TestApp(create_app(Config(**settings))).get("/", extra_environ=environment).html
    assert page.find("meta", {"name": "base"})["content"] == base
    assert page.find("script")["src"].startswith(f"{prefix}/page/")
    assert all(link["href"].startswith(f"{prefix}/") for link in page.find_all("a"))


@pytest.mark.parametrize("url", ["/", "/docs"])
def test_page_without_scripts_leads_to_the_api(client: TestApp, url: str) -> None:
    links = client.get(url).html.find("body").find_all("a")
    assert len(links) >= 3
    for link in links:
        assert client.get(link["href"]).status_int == 200


@pytest.mark.parametrize(
    ("name", "mimetype"), [("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")]
)
def test_static_file_is_kept_for_ever(client: TestApp, assets: str, name: str, mimetype: str) -> None:
    answer = client.get(f"{assets}/{name}")
    assert 0 < len(answer.body) <= (PAGE / name).stat().st_size  # without comments
    assert answer.content_type == mimetype
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("url", ["{assets}/style.css", "/", "/docs"])
def test_file_is_compressed_for_clients_that_accept_it(app: Flask, assets: str, url: str) -> None:
    client, url = app.test_client(), url.format(assets=assets)  # TestApp expands what is compressed
    plain = client.get(url)
    answer = client.get(url, headers={"Accept-Encoding": "br, gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data) == plain.data
    for each in (plain, answer):
        assert set(each.headers["Vary"].split(", ")) == {"Accept-Encoding", "Origin"}
    assert answer.headers["ETag"] != plain.headers["ETag"]
    assert "Content-Encoding" not in client.get(url, headers={"Accept-Encoding": "gzip;q=0"}).headers


@pytest.mark.parametrize("url", ["{assets}/main.js", "/", "/docs"])
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_file_that_the_client_has_is_304(client: TestApp, assets: str, url: str, encoding: str) -> None:
    headers, url = {"Accept-Encoding": encoding}, url.format(assets=assets)
    tag = client.get(url, headers=headers).headers["ETag"]
    answer = client.get(url, headers={**headers, "If-None-Match": tag}, status=304)
    assert answer.body == b""
    assert answer.headers["ETag"] == tag


@pytest.mark.parametrize("url", ["/", "/docs"])
def test_page_is_checked_before_it_is_shown_again(client: TestApp, url: str) -> None:
    assert client.get(url).headers["Cache-Control"] == "no-cache"


def test_file_of_another_build_is_the_present_one_and_not_kept(client: TestApp, assets: str) -> None:
    for name in ("main.js", "views/tree.js"):
        answer = client.get(f"/page/0123456789ab/{name}", status=200)
        assert answer.body == client.get(f"{assets}/{name}").body
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/page/000000000000/nope.js",
        "/page/000000000000/",
        "{assets}/index.html",
        "{assets}/nope.js",
        "{assets}/../../pages.py",
        "{assets}/..%2f..%2f__init__.py",
        "{assets}//etc/passwd",
        "{assets}/%00",
        "{assets}/main.js/",
    ],
)
def test_other_paths_are_404(client: TestApp, assets: str, path: str) -> None:
    client.get(path.replace("{assets}", assets), status=404)


def test_page_is_free_and_the_api_is_not(make_client: Callable[..., TestApp], assets: str, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("")
    client = make_client(auth=("basic",), auth_basic_file=str(users))
    for headers in ({}, {"Authorization": "Basic bm86bm8="}):
        assert "WWW-Authenticate" not in client.get("/", headers=headers, status=200).headers
        client.get(f"{assets}/main.js", headers=headers, status=200)
        client.get("/swagger/rc3.yml", headers=headers, status=401)


@in_hub_thread
def test_requests_at_the_same_time_load_the_files_once(
    make_client: Callable[..., TestApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, load, loaded = make_client(), Build.load, list[str]()

    def note(package: str, *others: str) -> Build:
        loaded.append(package)
        return load(package, *others)

    monkeypatch.setattr(Build, "load", note)
    answers = [gevent.spawn(client.get, "/") for _ in range(5)]
    gevent.joinall(answers)
    assert {answer.get().status_int for answer in answers} == {200}
    assert loaded == ["mtango_gevent"]


@pytest.mark.parametrize("url", ["/", "/docs", "/page/0123456789ab/main.js"])
@in_hub_thread
def test_page_that_cannot_be_loaded_has_its_status(make_client: Callable[..., TestApp], url: str) -> None:
    client = make_client(queue_timeout=0.05)
    files = client.app.extensions["mtango"].client.partitions.files
    assert files.semaphore.try_acquire()
    answer = client.get(url, status=503)
    assert answer.json["errors"][0]["reason"] == "MTANGO_PoolExhausted"
    assert answer.headers["Retry-After"]
    assert answer.headers["Cache-Control"] == "no-store"
    files.semaphore.release()
    client.get(url, status=200)


def test_size_of_all_files_is_bounded() -> None:
    files = Build.load("mtango_gevent", "page", "vendor/").files
    loaded = {path: len(file.compressed) for path, file in files.items() if not path.endswith(".txt")}  # licences
    assert sum(loaded.values()) <= ALL_FILES, loaded


def test_every_module_that_is_imported_is_served(client: TestApp, assets: str) -> None:
    imported = re.compile(r"""^(?:import|export)\b[^"';=]*["'](\.[^"']+)["']""", re.MULTILINE)
    for file in PAGE.rglob("*.js"):
        folder = f"{assets}/{file.relative_to(PAGE).parent.as_posix()}"
        for path in imported.findall(file.read_text("utf-8")):
            assert (file.parent / path).is_file(), f"{file}: {path}"
            assert client.get(f"{assets}/{(file.parent / path).resolve().relative_to(PAGE)}").status_int == 200, folder


# --- the page of the API ---


def test_page_of_the_api_loads_swagger_ui(client: TestApp) -> None:
    page = client.get("/docs")
    loaded = [script["src"] for script in page.html.find_all("script")]
    assert [url.rpartition("/")[2] for url in loaded] == [
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "docs.js",
    ]
    for url in [*loaded, *(link["href"] for link in page.html.find_all("link"))]:
        assert client.get(url, status=200).headers["Cache-Control"].endswith("immutable")
    assert "img-src 'self' data:" in page.headers["Content-Security-Policy"]
    assert "data:" not in client.get("/").headers["Content-Security-Policy"]


def test_page_of_the_api_says_that_swagger_ui_is_not_installed(
    client: TestApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = client.get("/docs").html.find("script")["src"]
    monkeypatch.setattr(pages, "_HAS_SWAGGER_UI", False)
    page = client.get("/docs")
    assert "pip install 'mtango-gevent[docs]'" in page.html.text
    assert not page.html.find_all("script")
    assert {link.text for link in page.html.find_all("a")} == set(pages.SWAGGER)
    client.get(url, status=404)
