"""What a browser loads for a view of the operator's page."""

from __future__ import annotations

import pytest

from .conftest import PageAt

DEVICE = "sys/tg_test/1"
LARGEST = 60_000

# Bytes of the page and its static files as they come, which are compressed.
LOADED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ name }) => !new URL(name).pathname.startsWith("/tango/"))
    .map(({ name, encodedBodySize }) => [new URL(name).pathname, encodedBodySize])"""


@pytest.mark.parametrize(
    "view",
    [
        "#/",
        f"#/device/{DEVICE}",
        f"#/plot?s={DEVICE}/double_scalar&s={DEVICE}/long_scalar",
        "#/panel?image=demo/camera/1/image",
        "#/ill",
        "#/login",
    ],
)
def test_no_view_loads_more_than_sixty_kilobytes(page_at: PageAt, view: str) -> None:
    page = page_at(view)
    page.get_by_role("main").wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_function("!document.querySelector('main').innerText.includes('Loading')")
    loaded = page.evaluate(LOADED)
    assert len(loaded) > 10
    assert all(size for _, size in loaded)
    assert sum(size for _, size in loaded) < LARGEST, loaded
