"""The operator's page: its layout, its routes, its connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .conftest import PageAt, PageWatch


def test_page_shows_the_gateway_and_loads_nothing_from_elsewhere(page_at: PageAt, watch: PageWatch) -> None:
    page = page_at()
    expect(page.get_by_role("heading", name="mtango-gevent")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
    assert len(watch.requests) > 5
    assert watch.foreign() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_serious_fault(page_at: PageAt, check_accessibility: Callable[[Page], None], scheme: str) -> None:
    page = page_at(color_scheme=scheme)
    expect(page.get_by_role("heading", name="mtango-gevent")).to_be_visible()
    check_accessibility(page)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("console.log('planted')", "console, log: planted"),
        ("setTimeout(() => { throw new Error('planted') })", "error: Error: planted"),
        ("fetch('http://elsewhere.example/').catch(() => {})", "console, error: "),
        ("void open('http://elsewhere.example/')", "GET http://elsewhere.example/"),
    ],
)
def test_watch_finds_what_a_page_must_not_do(page_at: PageAt, watch: PageWatch, script: str, found: str) -> None:
    page = page_at()
    page.evaluate(script)
    page.wait_for_timeout(500)
    assert any(text.startswith(found) for text in [*watch.unexpected(), *watch.foreign()])
    watch.expect("planted|elsewhere.example")
    watch.allow("http://elsewhere.example")
