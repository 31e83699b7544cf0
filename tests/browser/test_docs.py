"""Swagger UI at /docs in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, expect

from mtango_gevent.api.pages import SWAGGER
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.live.conftest import Gateway

from .conftest import BROWSER


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    if BROWSER is None:
        pytest.skip("there is no browser (Debian: chromium)")
    return {"executable_path": BROWSER, "args": ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]}


@pytest.fixture(scope="session")
def base_url() -> None:
    """In place of pytest-playwright's own, of which pytest warns."""


@pytest.fixture
def docs(page: Page, gateway: Gateway) -> Iterator[Page]:
    """The page; its console has to stay empty, and its requests go to the gateway."""
    messages: list[str] = []
    elsewhere: list[str] = []

    def note_message(message: ConsoleMessage) -> None:
        messages.append(f"{message.type}: {message.text} {message.location}")

    def note_request(request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data" and url.netloc != f"127.0.0.1:{gateway.port}":
            elsewhere.append(request.url)

    page.on("console", note_message)
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", note_request)
    page.goto(f"http://127.0.0.1:{gateway.port}/docs")
    yield page
    assert messages == []
    assert elsewhere == []


def test_all_specifications_are_shown(docs: Page) -> None:
    choice = docs.get_by_label("Select a definition")
    expect(choice).to_be_visible()
    assert choice.locator("option").all_inner_texts() == list(SWAGGER)
    for name in SWAGGER:
        choice.select_option(label=name)
        expect(docs.locator(".info .link, .info a").first).to_contain_text(f"/swagger/{name}.yml")
        expect(docs.locator(".opblock").first).to_be_visible()


def test_request_is_tried_with_the_credentials_of_the_page(
    docs: Page, gateway: Gateway, tango_system: EmbeddedTango
) -> None:
    docs.evaluate("sessionStorage.setItem('mtango.authorization', 'Bearer of-the-page')")
    docs.get_by_label("Select a definition").select_option(label="sys")
    operation = docs.locator(".opblock", has_text="whoami")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    with docs.expect_request("**/sys/whoami*") as sent:
        operation.get_by_role("button", name="Execute").click()
    assert sent.value.headers["authorization"] == "Bearer of-the-page"
    expect(operation.locator(".live-responses-table .response-col_status").first).to_contain_text("200")
    expect(operation).not_to_contain_text("of-the-page")
