"""The device tree of the operator's page: search, keyboard, links, thousands of devices, hostile names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from mtango_gevent.demo.embedded import EmbeddedTango, free_port
from tests.conftest import DEMO_DEVICE
from tests.live.conftest import COMMAND, served
from tests.pytango_process import PyTango

from .conftest import PageAt, PageWatch, wait_for

DATABASE = "sys/database/2"
ALIAS = "Main-Test-Device"

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)<",
    "'\"><b>",
    "a%2F..%2Fb?c#d&e=;",
    "{{7+7}}${7+7}",
    "\xe9\x85\xad",
]


@pytest.fixture
def alias(pytango: PyTango) -> Iterator[str]:
    pytango.run(DATABASE, "DbPutDeviceAlias", [DEMO_DEVICE, ALIAS])
    yield ALIAS
    pytango.run(DATABASE, "DbDeleteDeviceAlias", ALIAS)


def search(page: Page) -> Locator:
    return page.get_by_role("searchbox", name="Find a device")


def devices(page: Page) -> Locator:
    return page.locator("[role=treeitem].device")


def is_device_view(page: Page, device: str) -> None:
    expect(page.get_by_role("main").get_by_role("heading", name=device, exact=True)).to_be_visible()


@pytest.mark.parametrize("text", ["tg_test", "SYS/TG", "tg sys"])
def test_device_is_found_by_parts_of_its_name(page_at: PageAt, text: str) -> None:
    page = page_at()
    search(page).fill(text)
    expect(devices(page)).to_have_count(1)
    devices(page).click()
    is_device_view(page, DEMO_DEVICE)
    assert page.url.endswith(f"#/device/{DEMO_DEVICE}")


def test_device_is_found_by_its_alias(page_at: PageAt, alias: str) -> None:
    page = page_at()
    search(page).fill("main-test")
    expect(devices(page)).to_have_count(1)
    expect(devices(page)).to_contain_text(alias)
    search(page).press("Enter")
    is_device_view(page, DEMO_DEVICE)


def test_link_selects_its_device(page_at: PageAt) -> None:
    page = page_at(f"#/device/{DEMO_DEVICE}")
    expect(page.get_by_role("treeitem", selected=True)).to_have_attribute("title", DEMO_DEVICE)


def test_keyboard_is_enough(page_at: PageAt) -> None:
    page = page_at()
    expect(devices(page).first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("nothing")
    page.keyboard.press("Escape")
    expect(search(page)).to_have_value("")
    page.keyboard.press("ArrowDown")
    tree = page.get_by_role("tree")
    expect(tree).to_be_focused()
    page.keyboard.press("Home")
    expect(page.locator(".active")).to_contain_text("demo")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".active")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".active")).to_contain_text("camera")
    page.keyboard.press("End")
    last = page.locator(".active.device").get_attribute("title") or ""
    page.keyboard.press("Enter")
    is_device_view(page, last)
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".active")).to_contain_text(last.split("/")[1])
    page.keyboard.type("camera")
    expect(search(page)).to_be_focused()
    expect(search(page)).to_have_value("camera")
    page.keyboard.press("Enter")
    is_device_view(page, "demo/camera/1")


def test_search_leads_to_the_first_device_and_begins_anew(page_at: PageAt) -> None:
    page = page_at()
    search(page).fill("motor")
    expect(devices(page)).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    is_device_view(page, "demo/motor/1")
    page.keyboard.press("/")
    page.keyboard.type("tg_test")
    expect(search(page)).to_have_value("tg_test")


def test_tree_is_behind_a_button_of_a_narrow_page(page_at: PageAt) -> None:
    page = page_at(viewport={"width": 360, "height": 640})
    expect(page.get_by_role("heading", name="mtango-gevent")).to_be_visible()
    expect(page.get_by_role("tree")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="Devices").click()
    search(page).fill("tg_test")
    devices(page).click()
    is_device_view(page, DEMO_DEVICE)
    expect(page.get_by_role("tree")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Start").click()
    expect(page.get_by_role("link", name=DEMO_DEVICE)).to_be_visible()


def test_escape_and_the_present_device_close_the_tree_of_a_narrow_page(page_at: PageAt) -> None:
    page = page_at(f"#/device/{DEMO_DEVICE}", viewport={"width": 360, "height": 640})
    button, tree = page.get_by_role("button", name="Devices"), page.get_by_role("tree")
    button.click()
    search(page).fill("tg_test")
    page.keyboard.press("Escape")
    expect(search(page)).to_have_value("")
    expect(tree).to_be_visible()
    page.keyboard.press("Escape")
    expect(tree).to_be_hidden()
    expect(button).to_be_focused()
    button.click()
    search(page).fill("tg_test")
    devices(page).click()
    expect(tree).to_be_hidden()
    is_device_view(page, DEMO_DEVICE)
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Health").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Health").first).to_be_hidden()
    page.keyboard.press("/")
    expect(search(page)).to_be_focused()


# --- thousands of devices ---


def thousands(route: Route) -> None:
    """Answer with 10,000 devices in place of the database's."""
    found = [
        {
            "name": f"cell{n // 500:02}/family-{n // 20 % 25}/device{n % 20}",
            **({"alias": f"alias-{n}"} if n % 3 else {}),
        }
        for n in range(10_000)
    ]
    route.fulfill(json=found)


LONGEST_TASK = """() => {
  window.longest = 0;
  new PerformanceObserver(list => list.getEntries().forEach(task => { longest = Math.max(longest, task.duration); }))
    .observe({type: "longtask", buffered: true});
}"""


def test_devices_stay_in_the_tree_while_they_cannot_be_loaded_again(
    page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect_lost_gateway()
    port = free_port()
    with served(COMMAND, tmp_path / "log", port=port) as gateway:
        page = page_at(of=gateway)
        expect(devices(page).first).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.route("**/devices?filter=name*", lambda route: route.fulfill(status=503))
    with served(COMMAND, tmp_path / "log", port=port):
        expect(page.get_by_role("alert")).to_contain_text("the gateway answered 503")
        expect(devices(page).first).to_be_visible()
        page.unroute("**/devices?filter=name*")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(devices(page).first).to_be_visible()
        page.close()


def test_only_rows_in_sight_are_in_the_page(page_at: PageAt, watch: PageWatch) -> None:
    watch.expect("status of 404")  # the devices do not exist
    page = page_at()
    page.route("**/devices?*", thousands)
    page.goto("/#/device/cell07/family-3/device4")
    page.reload()
    expect(page.get_by_text("10000 of 10000 devices")).to_be_visible()
    expect(page.get_by_role("treeitem", selected=True)).to_be_visible()
    search(page).fill("alias-99")
    expect(page.get_by_text("72 of 10000 devices")).to_be_visible()
    search(page).fill("device")
    expect(page.get_by_text("10000 of 10000 devices")).to_be_visible()
    assert page.get_by_role("treeitem").count() < 100
    search(page).press("ArrowDown")
    page.keyboard.press("End")
    expect(page.locator(".active")).to_have_attribute("title", "cell19/family-24/device19")
    assert page.get_by_role("treeitem").count() < 100


@pytest.mark.timing
def test_tree_of_thousands_does_not_stutter(page_at: PageAt) -> None:
    page = page_at()
    page.route("**/devices?*", thousands)
    page.reload()
    expect(page.get_by_text("10000 of 10000 devices")).to_be_visible()
    page.evaluate(LONGEST_TASK)
    page.evaluate("longest = 0")
    search(page).press_sequentially("device1 family-2", delay=30)
    search(page).fill("")
    search(page).press_sequentially("alias-1", delay=30)
    for _ in range(30):
        page.get_by_role("tree").evaluate("tree => { tree.scrollTop += 2000; }")
        page.wait_for_timeout(20)
    longest = page.evaluate("longest")
    print(f"longest task: {longest} ms")  # pytest -s
    assert longest < 300


# --- names ---


@pytest.fixture
def hostile(tango_system: EmbeddedTango, pytango: PyTango) -> Iterator[list[str]]:
    names = [f"hostile/names/{text}" for text in HOSTILE]
    for name in names:
        pytango.run(DATABASE, "DbAddDevice", ["Hostile/test", name, "Hostile"])
    yield names
    for name in names:
        pytango.run(DATABASE, "DbDeleteDevice", name)


def test_hostile_names_do_nothing_but_show(page_at: PageAt, watch: PageWatch, hostile: list[str]) -> None:
    watch.expect(r"status of (404|400|503|500)")  # devices without a server
    page = page_at()
    search(page).fill("hostile/names")
    expect(devices(page)).to_have_count(len(hostile))
    for name in hostile:
        search(page).fill(name)
        expect(devices(page)).to_have_attribute("title", name)
        devices(page).click()
        member = name.removeprefix("hostile/names/")
        assert page.url.endswith("#/device/hostile/names/" + quote(member, safe="!'()*"))
        wait_for(page, "document.querySelector('main h1')")
        expect(page.get_by_role("treeitem", selected=True)).to_have_attribute("title", name)
    assert page.locator("img, main script").count() == 0
