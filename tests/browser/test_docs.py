"""Swagger UI at /docs in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from mtango_gevent.api.pages import SWAGGER

from .conftest import PageAt


@pytest.fixture
def docs(page_at: PageAt) -> Page:
    return page_at("docs")


def choose(docs: Page, name: str) -> None:
    """Choose a specification, and wait until it is shown."""
    docs.get_by_label("Select a definition").select_option(label=name)
    expect(docs.locator(".info a").first).to_contain_text(f"/swagger/{name}.yml")
    expect(docs.locator(".opblock").first).to_be_visible()


def test_all_specifications_are_shown(docs: Page) -> None:
    expect(docs.get_by_label("Select a definition").locator("option")).to_have_text(list(SWAGGER))
    for name in SWAGGER:
        choose(docs, name)


def test_request_is_tried_with_the_credentials_of_the_page(docs: Page) -> None:
    docs.evaluate("sessionStorage.setItem('mtango.authorization', 'Bearer of-the-page')")
    choose(docs, "sys")
    operation = docs.locator(".opblock", has_text="/whoami")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    with docs.expect_request("**/sys/whoami*") as sent:
        operation.get_by_role("button", name="Execute").click()
    assert sent.value.headers["authorization"] == "Bearer of-the-page"
    expect(operation.locator(".live-responses-table .response-col_status").last).to_have_text("200")
    expect(operation).not_to_contain_text("of-the-page")
