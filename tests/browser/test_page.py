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
@pytest.mark.parametrize("width", [360, 1280])
def test_page_has_no_serious_fault(
    page_at: PageAt, check_accessibility: Callable[[Page], None], scheme: str, width: int
) -> None:
    page = page_at(color_scheme=scheme, viewport={"width": width, "height": 800})
    expect(page.get_by_role("heading", name="mtango-gevent")).to_be_visible()
    check_accessibility(page)
    if width == 360:
        page.get_by_role("button", name="Menu").click()
        expect(page.get_by_role("link", name="Health").first).to_be_visible()
        check_accessibility(page)
        page.get_by_role("button", name="Devices").click()
    page.get_by_role("searchbox").fill("tg_test")
    expect(page.get_by_text("1 of ")).to_be_visible()
    check_accessibility(page)


def test_colours_are_kept(page_at: PageAt) -> None:
    page = page_at(color_scheme="dark")
    root = page.locator("html")
    switch = page.get_by_role("switch", name="Dark colours")
    expect(switch).to_be_checked()
    switch.click()
    expect(switch).not_to_be_checked()
    page.reload()
    expect(switch).not_to_be_checked()
    expect(root).to_have_attribute("data-theme", "light")
    switch.press("Space")
    expect(switch).to_be_checked()
    expect(root).to_have_attribute("data-theme", "dark")


def test_unknown_view_says_so(page_at: PageAt) -> None:
    page = page_at("#/nothing/of/this?kind=1")
    expect(page.get_by_role("alert")).to_contain_text("there is no view “nothing”")


def test_link_that_was_cut_off_is_shown_as_it_is(page_at: PageAt, watch: PageWatch) -> None:
    watch.expect("status of 4")
    page = page_at("#/device/sys/tg_test/%E2%82")
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_contain_text("%E2%82")


def test_recent_devices_are_on_the_first_view(page_at: PageAt) -> None:
    page = page_at("#/device/demo/motor/1")
    expect(page.get_by_role("heading", name="demo/motor/1")).to_be_visible()
    page.goto("/#/device/demo/camera/1")
    expect(page.get_by_role("heading", name="demo/camera/1")).to_be_visible()
    page.get_by_role("link", name="Start").click()
    links = page.get_by_role("main").get_by_role("listitem").get_by_role("link", name="demo/")
    expect(links).to_have_text(["demo/camera/1", "demo/motor/1"])


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
