"""The operator's page with values, links, files and storage that are not as expected, and behind a proxy that errs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE
from tests.live.conftest import served

from .conftest import PageAt, PageWatch
from .test_live import WITHOUT_WEBSOCKETS

DEVICE = "test/traps/1"

# Texts in the storage that are no list, no object, or no JSON.
GARBAGE = ["5", "null", "[1, null, {}]", "{", '{"__proto__": 1}', '"x"', '{"refresh": [], "until": "x"}']
KEYS = ["mtango.recent", "mtango.panels", "mtango.theme", "mtango.tokens", "mtango.flow", "mtango.plot"]

REFUSE_STORAGE = """for (const name of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });"""
FULL_STORAGE = 'Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };'


@pytest.fixture(scope="session")
def _traps(tango_system: EmbeddedTango) -> None:
    command = [sys.executable, str(Path(__file__).parents[1] / "odd_devices.py"), "traps"]
    tango_system.add_server(command, "Odd/traps", {DEVICE: "Traps"})


# --- values of devices ---


@pytest.mark.usefixtures("_traps")
def test_device_view_shows_values_that_javascript_does_not_format(page_at: PageAt) -> None:
    page = page_at(f"#/device/{DEVICE}")
    for name, text in {
        "many_digits": "1.50",
        "wide": "01",
        "not_hexadecimal": "[4] NaN",
        "choice": "fill",
        "large": "9223372036854775807",
    }.items():
        row = page.locator("li.attribute").filter(has=page.get_by_role("checkbox", name=f"Select {name}", exact=True))
        row.scroll_into_view_if_needed()
        expect(row.locator(".value")).to_contain_text(text)


@pytest.mark.usefixtures("_traps")
@pytest.mark.parametrize(
    ("name", "text"),
    {
        "short_grey": "expected 4294836225 bytes, got 1",
        "short_colours": "expected 805306368 bytes, got 1",
        "no_head": "Offset is outside the bounds",
        "no_jpeg": "could not be decoded",
    }.items(),
)
def test_image_that_is_too_short_says_so(page_at: PageAt, name: str, text: str) -> None:
    page = page_at(f"#/panel?image={DEVICE}/{name}")
    expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


@pytest.mark.usefixtures("_traps")
@pytest.mark.parametrize(("name", "size"), [("grey_16", "3 \u00d7 2"), ("jpeg", "8 \u00d7 8")])
def test_encoded_image_is_shown(page_at: PageAt, name: str, size: str) -> None:
    page = page_at(f"#/panel?image={DEVICE}/{name}")
    expect(page.get_by_role("img", name=f"Image {DEVICE}/{name}, {size}")).to_be_visible()
    expect(page.get_by_text("Contrast from 1 to 5")).to_have_count(int(name == "grey_16"))


@pytest.mark.usefixtures("_traps")
def test_contrast_leaves_out_a_single_pixel(page_at: PageAt) -> None:
    page = page_at(f"#/panel?image={DEVICE}/hot_pixel")
    expect(page.get_by_text("Contrast from 0.00 to 1.00")).to_be_visible()
    brightest = page.get_by_label("Brightest value")
    brightest.fill("10")
    expect(page.get_by_text(re.compile(r"Contrast from 0\.0\d to 0\.[1-9]\d"))).to_be_visible()
    page.get_by_role("button", name="Full range").click()
    expect(page.get_by_text("Contrast from 0.00 to 1000000000.00")).to_be_visible()


CONTRASTS = """async () => {
  const views = document.querySelector("script[type=module]").src.replace("main.js", "views/");
  const { Shown } = await import(`${views}image.js`);
  const shown = new Shown(() => {}, () => {});
  return [[NaN, NaN], [100, 200], [0, 1e9], [100, 200], [110, 190]].map(([low, high]) => {
    shown.picture = { numbers: Float64Array.from({ length: 1000 }, (_, n) => low + ((high - low) * n) / 999) };
    shown.measure();
    return [...shown.extent, shown.counts.reduce((sum, count) => sum + count, 0)];
  });
}"""


def test_extent_of_the_histogram_follows_the_image(page_at: PageAt) -> None:
    """It has nothing of an image without numbers, or much brighter, that came before; else it only grows."""
    assert page_at("#/panel").evaluate(CONTRASTS) == [
        [0, 1, 0],
        [100, 200, 1000],
        [0, 1e9, 1000],
        [100, 200, 1000],
        [100, 200, 1000],
    ]


HISTOGRAMS = """async () => {
  const module = new URL("views/numbers.js", document.querySelector("script[type=module]").src);
  const { histogram, percentiles } = await import(module);
  const numbers = Float64Array.from({ length: 1001 }, (_, n) => 1000 - n), some = [NaN, 5, -Infinity, 1, 2, 1e300];
  const counts = [[...histogram(some, 1, 5, 4)], [...histogram([5, 5], 5, 5, 4)]];
  return [...counts, percentiles(numbers, [0, 0.25, 1]), percentiles(some, [0, 1])];
}"""


def test_histogram_and_percentiles(page_at: PageAt) -> None:
    assert page_at().evaluate(HISTOGRAMS) == [[1, 1, 0, 1], [2, 0, 0, 0], [0, 250, 1000], [1, 1e300]]


@pytest.mark.usefixtures("_traps")
def test_long_text_is_cut_in_a_panel_and_a_plot(page_at: PageAt) -> None:
    page = page_at(f"#/panel?value={DEVICE}/long&plot={DEVICE}/long&plot={DEVICE}/large")
    for cell in (page.locator("table.values td.number"), page.locator("table.legend td.number").first):
        expect(cell).to_have_text(re.compile("^x{500}…$"))


@pytest.mark.usefixtures("_traps")
def test_values_of_server_sent_events_have_no_quality_and_all_digits(
    page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect(r"WebSocket connection to .* failed: .* 501")
    image, spectrum = "demo/camera/1/image", f"{DEMO_DEVICE}/double_spectrum_ro"
    with served(WITHOUT_WEBSOCKETS, tmp_path / "log") as gateway:
        page = page_at(f"#/device/{DEVICE}", of=gateway)
        expect(page.locator(".value").filter(has_text=re.compile(f"^{2**63 - 1}$"))).to_be_visible()
        expect(page.locator(".quality, .quality-invalid")).to_have_count(0)
        page.goto(f"/#/panel?value={DEMO_DEVICE}/short_scalar&plot={DEVICE}/large&spectrum={spectrum}&image={image}")
        expect(page.get_by_text("256 elements: minimum")).to_be_visible()
        expect(page.get_by_role("img", name=f"Image {image}, 320 \u00d7 240")).to_be_visible()
        expect(page.locator("table.values td.number")).to_have_text(re.compile(r"\d"))
        expect(page.locator("table.legend td.number").first).to_contain_text(str(2**63 - 1))
        page.get_by_label("Logarithmic").check()
        expect(page.locator("main .quality-invalid").filter(has_text=re.compile(r"\w"))).to_have_count(0)
        page.goto("about:blank")  # so that no stream holds up the end of the gateway


FORMATS = """async (numbers) => {
  const { formatValue } = await import(new URL("format.js", document.querySelector("script[type=module]").src));
  return numbers.map((number) => formatValue(number, { data_type: "DevDouble", format: "%g" }));
}"""


def test_general_format_is_that_of_c(page_at: PageAt) -> None:
    numbers = [0, 1e-3, 1e-4, 9.9999999e-5, 1e-5, -3.25e-6, 1e-10, 123456, 1234567, 1e20]
    assert page_at().evaluate(FORMATS, numbers) == [f"{number:g}" for number in numbers]


@pytest.mark.usefixtures("_traps")
def test_spectrum_of_numbers_that_have_no_hexadecimal_form(page_at: PageAt) -> None:
    page = page_at(f"#/panel?spectrum={DEVICE}/not_hexadecimal")
    expect(page.get_by_text("4 elements")).to_be_visible()
    page.get_by_text("Data as a table").click()
    expect(page.get_by_role("cell", name="Infinity")).to_be_visible()


@pytest.mark.usefixtures("_traps")
def test_integer_beyond_the_digits_of_javascript_has_a_plot(page_at: PageAt) -> None:
    page = page_at(f"#/plot?s={DEVICE}/large")
    expect(page.locator("table.legend td.number").first).to_contain_text(str(2**63 - 1))


def test_gap_by_the_clock_of_a_browser_that_is_ahead_ends_before_the_next_point(page_at: PageAt) -> None:
    points = page_at().evaluate("""async () => {
        const { Series } = await import(new URL("views/series.js", document.querySelector("script[type=module]").src));
        const series = Object.assign(Object.create(Series.prototype), { times: [], values: [] });
        for (const [time, y] of [[1000, 1], [9000, null], [2000, 2], [3000, 3]]) series.add(time, y);
        return [series.times, series.values];
    }""")
    assert points == [[1000, 2000, 2000, 3000], [1, None, 2, 3]]


# --- links and panels ---


@pytest.mark.parametrize(
    "hash",
    [
        *("#/constructor", "#/__proto__/x", "#/%00", "#/device/", "#/device/%2F%2F", "#/device/a/b"),
        *("#/device/%00/%00/%00", "#/device/tango%3A%2F%2F", "#/device/a/b/c%3Fx%23y", "#/device/../../../.."),
        *("#/plot?s=&s=%00&last=-1e99&from=x", "#/plot?s=a/b/c/d&from=1e300&to=1e308"),
        *("#/panel/__proto__", "#/panel?constructor=a/b/c/d&value=%ED%A0%80"),
        *("#/ill?request=%00'%22<b>", "#/login?next=javascript:alert(1)&action=<b>", "#?", "#//", "#/%E0%A4%A"),
    ],
)  # fmt: skip
def test_link_with_garbage_shows_a_page(page_at: PageAt, watch: PageWatch, hash: str) -> None:
    watch.expect("status of 4")
    page = page_at(hash)
    expect(page.get_by_role("link", name="Health").first).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("Loading")
    expect(page.locator("main")).not_to_be_empty()


@pytest.mark.parametrize(
    "panel",
    [
        {"mtango_panel": 1, "name": "\ud800", "items": []},
        {"mtango_panel": 1, "name": "a", "items": [{"show": "value", "attribute": "a/b/c/\ud800"}]},
        {"mtango_panel": 1, "name": "a", "items": [{"show": "constructor", "attribute": "a/b/c/d"}]},
        {"mtango_panel": 1, "name": "a", "items": [{"show": "value", "attribute": "a/b/c/d"}] * 501},
        {"mtango_panel": 1, "name": "x" * 101, "items": []},
        {"mtango_panel": {"__proto__": 1}},
        [],
        None,
    ],
)
def test_file_that_is_no_panel_is_refused(page_at: PageAt, panel: object) -> None:
    page = page_at("#/panel")
    page.get_by_label("Import a file").set_input_files(
        {"name": "x.json", "mimeType": "application/json", "buffer": json.dumps(panel).encode()}
    )
    expect(page.get_by_role("alert").filter(has_text="expected")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Panels")).to_be_visible()


def test_panel_may_have_the_name_of_a_prototype(page_at: PageAt) -> None:
    page = page_at("#/panel")
    page.get_by_role("textbox", name="Name", exact=True).fill("__proto__")
    page.get_by_role("button", name="New panel").click()
    expect(page.get_by_role("heading", name="__proto__")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="__proto__")).to_be_visible()


# --- storage ---


@pytest.fixture
def page_with(page_at: PageAt) -> Callable[[str, str], Page]:
    """Opens the page at a hash, with a script that runs before those of the page."""

    def open_page(script: str, hash: str) -> Page:
        page = page_at("#/")
        page.context.add_init_script(script)
        page.goto("about:blank")  # as a new hash alone loads nothing
        page.goto(f"/{hash}")
        return page

    return open_page


@pytest.mark.parametrize("garbage", GARBAGE)
def test_storage_with_garbage_is_taken_as_empty(
    page_with: Callable[[str, str], Page], watch: PageWatch, garbage: str
) -> None:
    watch.expect("status of 404")  # of the exchange of the token that is kept
    kept = json.dumps(garbage)
    script = f"""if (location.origin !== "null") for (const key of {KEYS})
        for (const storage of [localStorage, sessionStorage]) storage.setItem(key, {kept});"""
    page = page_with(script, "?state=1&code=2#/")
    expect(page.get_by_role("link", name="Log in").or_(page.get_by_role("heading")).first).to_be_visible()
    for hash, text in {
        f"#/device/{DEMO_DEVICE}": DEMO_DEVICE,
        "#/panel": "Panels",
        "#/plot": "Plot",
        "#/": "mtango",
    }.items():
        page.goto(f"/{hash}")
        expect(page.get_by_role("heading", name=text).first).to_be_visible()


@pytest.mark.parametrize("script", [REFUSE_STORAGE, FULL_STORAGE], ids=["refused", "full"])
def test_page_does_without_storage(page_with: Callable[[str, str], Page], script: str, watch: PageWatch) -> None:
    watch.expect("QuotaExceededError|full")
    page = page_with(script, f"#/device/{DEMO_DEVICE}")
    expect(page.get_by_role("heading", name=DEMO_DEVICE)).to_be_visible()
    expect(page.get_by_role("heading", name="Attributes")).to_be_visible()
    page.goto(f"/#/plot?s={DEMO_DEVICE}/double_scalar")
    expect(page.locator(".u-over")).to_be_visible()
    page.goto("/#/panel")
    page.get_by_role("textbox", name="Name", exact=True).fill("one")
    page.get_by_role("button", name="New panel").click()
    expect(page.get_by_role("heading", name="one").or_(page.get_by_role("alert")).first).to_be_visible()
    page.goto("/#/")
    expect(page.get_by_role("heading", name="mtango")).to_be_visible()


def test_change_of_a_panel_that_the_full_storage_refuses_is_told(page_at: PageAt) -> None:
    page = page_at("#/panel")
    page.get_by_role("textbox", name="Name", exact=True).fill("one")
    page.get_by_role("button", name="New panel").click()
    expect(page.get_by_role("heading", name="one")).to_be_visible()
    page.evaluate(f"() => {{ {FULL_STORAGE} }}")
    page.get_by_role("combobox", name="Attribute").fill(f"{DEMO_DEVICE}/double_scalar")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("full")
    page.get_by_role("switch", name="Dark colours").click()
    expect(page.get_by_role("heading", name="one")).to_be_visible()


# --- a proxy that errs ---


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", "<html><script>hurt = 1</script>Sign in"),
        (502, "text/html", "<html>Bad Gateway"),
        (500, "application/json", "null"),
        (500, "application/json", '{"errors": "x"}'),
        (403, "application/json", '{"errors": [null]}'),
        (200, "application/json", '{"cut off'),
    ],
)
def test_answers_of_a_proxy_are_told(page_at: PageAt, watch: PageWatch, status: int, kind: str, body: str) -> None:
    watch.expect(f"status of {status}")
    page = page_at()
    expect(page.get_by_role("heading", name="mtango")).to_be_visible()

    def answer(route: Route) -> None:
        route.fulfill(status=status, content_type=kind, body=body)

    page.route("**/tango/rest/v11/**", answer)
    page.goto(f"/#/device/{DEMO_DEVICE}")
    text = f"got {kind}" if status == 200 else f"the gateway answered {status}"
    expect(page.get_by_role("alert").filter(has_text=text).first).to_be_visible()
    page.route("**/tango/rest/**", answer)
    page.reload()
    expect(page.get_by_role("alert").filter(has_text=text).first).to_be_visible()
