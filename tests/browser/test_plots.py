"""Time plots, spectra, images and panels of the operator's page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import orjson
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.live.conftest import COMMAND, Gateway, served
from tests.waiting import wait_until

from .conftest import PageAt, PageWatch, wait_for

DOUBLE, LONG = f"{DEMO_DEVICE}/double_scalar", f"{DEMO_DEVICE}/long_scalar"
CAMERA, SPECTRUM = "demo/camera/1/image", f"{DEMO_DEVICE}/double_spectrum_ro"


def plot_link(*sources: str, **params: int) -> str:
    return f"#/plot?{urlencode([('s', source) for source in sources])}&{urlencode(params)}"


def wait_for_params(page: Page, **expected: str) -> None:
    """Wait until the link has the parameters, given as regular expressions."""
    for name, pattern in expected.items():
        expect(page).to_have_url(re.compile(rf"[?&]{name}=({pattern})(&|$)"))


def params(page: Page) -> dict[str, list[str]]:
    return parse_qs(page.url.split("?", 1)[1])


def legend(page: Page, source: str) -> Locator:
    return page.locator("table.legend tr").filter(has=page.get_by_role("link", name=source, exact=True))


def plot(page: Page) -> Locator:
    """Return the area of the first plot, when it is there."""
    area = page.locator(".u-over").first
    expect(area).to_be_visible()
    return area


def drag(page: Page, area: Locator, start: float, end: float) -> None:
    """Drag from one part of the width of a plot to another one."""
    box = area.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + end) / 2 * box["width"], middle)
    page.mouse.move(box["x"] + end * box["width"], middle)
    page.mouse.up()


def oldest_time(page: Page, source: str) -> str:
    """Return the time of the oldest point of a series, from the table of the data."""
    summary = page.get_by_text("Data as a table")
    summary.click()
    rows = page.locator(".data-table tbody tr")
    expect(rows.first).to_be_visible()
    time = rows.filter(has_text=source).last.get_by_role("cell").first.inner_text()
    summary.click()
    return time


# --- time plots ---


def test_plot_of_two_begins_with_their_history(gateway: Gateway, page_at: PageAt) -> None:
    time.sleep(1.5)  # so that the device has polled before the page begins
    opened = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime())
    page = page_at(plot_link(DOUBLE, LONG, last=60))
    plot(page)
    for source in (DOUBLE, LONG):
        expect(legend(page, source).get_by_role("cell").first).to_have_text(re.compile(r"\d"))
    for source in (DOUBLE, LONG):
        wait_until(lambda source=source: oldest_time(page, source) < opened)
    expect(page.get_by_role("application")).to_have_attribute("aria-label", re.compile(f"{DOUBLE} .* from .* to "))


def test_value_in_the_legend_moves(page_at: PageAt) -> None:
    page = page_at(plot_link(DOUBLE, last=60))
    cell = legend(page, DOUBLE).get_by_role("cell").first
    expect(cell).to_have_text(re.compile(r"\d"))
    expect(cell).not_to_have_text(cell.inner_text())


def test_states_and_booleans_are_plotted_and_texts_are_not(page_at: PageAt) -> None:
    page = page_at(plot_link("demo/motor/1/State", "demo/motor/1/lower_limit_switch", f"{DEMO_DEVICE}/string_scalar"))
    plot(page)
    expect(legend(page, "demo/motor/1/State")).to_contain_text(re.compile("ON|MOVING|ALARM"))
    expect(legend(page, "demo/motor/1/lower_limit_switch")).to_contain_text(re.compile("true|false"))
    expect(legend(page, f"{DEMO_DEVICE}/string_scalar")).to_contain_text("Only numbers")


def test_attribute_without_history_says_so(page_at: PageAt) -> None:
    page = page_at(plot_link(f"{DEMO_DEVICE}/float_scalar"))
    expect(legend(page, f"{DEMO_DEVICE}/float_scalar")).to_contain_text("No history (the attribute is not polled)")


def test_pan_stops_and_live_goes_on(page_at: PageAt) -> None:
    page = page_at(plot_link(DOUBLE, last=60))
    live = page.get_by_role("button", name="Live")
    area = plot(page)
    expect(live).to_have_attribute("aria-pressed", "true")
    drag(page, area, 0.3, 0.8)
    expect(live).to_have_attribute("aria-pressed", "false")
    wait_for_params(page, s=re.escape(DOUBLE.replace("/", "%2F")), to=r"\d+")
    found = {name: int(value) for name, [value] in params(page).items() if name != "s"}
    assert found["to"] - found["from"] == pytest.approx(60_000, abs=2)
    assert found["to"] < (time.time() - 20) * 1000
    live.click()
    wait_for_params(page, last="60")


def test_zoom_by_wheel_keys_and_selection(page_at: PageAt) -> None:
    page = page_at(plot_link(DOUBLE, last=1000))
    area = plot(page)
    area.hover()
    page.mouse.wheel(100, 0)  # sideways, which does nothing
    page.mouse.wheel(0, -100)
    wait_for_params(page, last="800")
    page.get_by_role("application").focus()
    page.keyboard.press("-")
    wait_for_params(page, last="1000")
    page.keyboard.press("ArrowLeft")
    wait_for_params(page, **{"from": r"\d+"})
    page.keyboard.press("End")
    wait_for_params(page, last="1000")
    page.keyboard.down("Shift")
    drag(page, area, 0.25, 0.75)
    page.keyboard.up("Shift")
    wait_for_params(page, **{"from": r"\d+"})
    found = params(page)
    assert int(found["to"][0]) - int(found["from"][0]) == pytest.approx(500_000, rel=0.05)


def test_link_restores_series_and_range(page_at: PageAt) -> None:
    page = page_at(f"{plot_link(DOUBLE, LONG)}&from=1700000000000&to=1700000060000")
    plot(page)
    expect(page.locator("table.legend tbody tr")).to_have_count(2)
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("application")).to_have_attribute("aria-label", re.compile("from 2023-11-1[45] "))


def test_series_of_a_device_is_added_up_to_now(page_at: PageAt) -> None:
    page = page_at(f"{plot_link(DOUBLE)}&from=1700000000000&to=1700000060000")
    plot(page)
    page.goto("/#/device/demo/motor/1")
    page.get_by_role("button", name="Plot Position").click()
    expect(page.locator("table.legend tbody tr")).to_have_count(2)
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "true")
    assert params(page)["s"] == [DOUBLE, "demo/motor/1/position"]


def test_series_are_added_and_removed(page_at: PageAt) -> None:
    page = page_at("#/plot")
    search = page.get_by_role("combobox", name="Attribute")
    search.fill("tg_te")
    expect(page.locator(f"datalist option[value='{DEMO_DEVICE}/']")).to_be_attached()
    search.fill(f"{DEMO_DEVICE}/double_sc")
    expect(page.locator(f"datalist option[value='{DOUBLE}']")).to_be_attached()
    for source in (DOUBLE.upper(), LONG):
        search.fill(source)
        search.press("Enter")
    plot(page)
    expect(page.locator("table.legend tbody tr")).to_have_count(2)
    page.get_by_role("button", name=f"Remove {LONG}").click()
    expect(page.locator("table.legend tbody tr")).to_have_count(1)
    assert params(page)["s"][0].lower() == DOUBLE
    for wrong, text in ((f"{DEMO_DEVICE}/absent", "has no attribute absent"), (SPECTRUM, "expected a scalar")):
        search.fill(wrong)
        search.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(text)


def test_values_have_a_gap_while_the_gateway_is_lost(
    tango_system: EmbeddedTango, tmp_path: Path, page_at: PageAt, watch: PageWatch
) -> None:
    with served(COMMAND, tmp_path / "log") as own:
        page = page_at(plot_link(DOUBLE, last=60), of=own)
        expect(legend(page, DOUBLE)).to_contain_text("valid")
        watch.expect_lost_gateway()
        own.process.terminate()
        expect(legend(page, DOUBLE)).to_contain_text("stale")
        page.get_by_text("Data as a table").click()
        expect(page.locator(".data-table tbody tr").first).to_contain_text("no value")


FOLLOW = """async (source) => {
  const { Series } = await import(new URL("views/series.js", document.querySelector("script[type=module]").src));
  const load = Series.prototype.loadHistory;
  Series.prototype.loadHistory = function () { return load.call(this).then(() => (window.isLoaded = true)); };
  window.series = new Series(source, () => {});
}"""


def test_history_that_comes_late_ends_before_the_first_event(page_at: PageAt) -> None:
    page, held = page_at(), list[Route]()
    page.route("**/history?*", lambda route: held.append(route))
    page.evaluate(FOLLOW, DOUBLE)
    wait_for(page, "series.times.length > 3")
    before = page.evaluate("series.times.length")
    held[0].continue_()
    wait_for(page, "window.isLoaded")
    times = page.evaluate("series.times")
    assert times == sorted(set(times))
    assert len(times) > before


FILL = """async () => {
  const views = document.querySelector("script[type=module]").src.replace("main.js", "views/");
  const { LIMIT, Series } = await import(`${views}series.js`);
  const series = Object.assign(Object.create(Series.prototype), {times: [], values: []});
  for (let time = 1; time <= 3 * LIMIT; time++) series.add(time, time);
  series.add(3 * LIMIT + 1, null);
  const [times, values] = series.slice(3 * LIMIT - 2, 3 * LIMIT + 10);
  return [LIMIT, series.times.length, times.at(-1), values.at(-1), times.length];
}"""


def test_points_of_a_series_are_limited(page_at: PageAt) -> None:
    limit, count, newest, last, shown = page_at("#/panel").evaluate(FILL)
    assert limit * 0.9 <= count <= limit
    assert (newest, last, shown) == (3 * limit + 1, None, 4)


# --- spectra and images ---


def test_spectrum_moves_until_it_is_frozen(page_at: PageAt) -> None:
    page = page_at(f"#/panel?spectrum={SPECTRUM}")
    figures = page.get_by_text("256 elements: minimum")
    expect(figures).to_be_visible()
    expect(figures).not_to_have_text(figures.inner_text())
    page.get_by_role("button", name="Freeze").click()
    frozen = figures.inner_text()
    time.sleep(2.5)
    assert figures.inner_text() == frozen
    page.get_by_role("button", name="Freeze").click()
    expect(figures).not_to_have_text(frozen)
    page.get_by_label("Logarithmic").check()
    page.get_by_label("Fixed range").check()
    page.get_by_label("to", exact=True).fill("1000")
    plot(page)


def test_frozen_spectrum_says_that_the_gateway_is_lost(
    tango_system: EmbeddedTango, tmp_path: Path, page_at: PageAt, watch: PageWatch
) -> None:
    watch.expect_lost_gateway()
    with served(COMMAND, tmp_path / "log") as own:
        page = page_at(f"#/panel?spectrum={SPECTRUM}", of=own)
        expect(page.get_by_text("256 elements: minimum")).to_be_visible()
        freeze, lost = (
            page.get_by_role("button", name="Freeze"),
            page.get_by_text("Connection lost: the last value is shown"),
        )
        freeze.click()
        own.process.terminate()
        expect(lost).to_be_visible()
        freeze.click()
        expect(page.get_by_text("frozen", exact=True)).to_have_count(0)
        expect(lost).to_be_visible()


def test_spectrum_of_zeros_has_a_logarithmic_axis(page_at: PageAt) -> None:
    page = page_at(f"#/panel?spectrum={DEMO_DEVICE}/double_spectrum")
    expect(page.get_by_text("256 elements: minimum")).to_be_visible()
    page.get_by_label("Logarithmic").check()
    page.get_by_label("Fixed range").check()
    page.get_by_label("from", exact=True).fill("-5")
    page.get_by_label("to", exact=True).fill("-2")
    plot(page)


def test_spectrum_of_labels_is_a_table(page_at: PageAt) -> None:
    page = page_at(f"#/panel?spectrum={DEMO_DEVICE}/enum_spectrum_ro")
    expect(page.get_by_role("region", name="Elements").get_by_role("cell", name="LABEL2")).to_be_visible()


BRIGHTNESS = """() => {
  const canvas = document.querySelector(".image canvas"), copy = document.createElement("canvas");
  Object.assign(copy, {width: canvas.width, height: canvas.height});
  const context = copy.getContext("2d", {willReadFrequently: true});
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  return [canvas.width, canvas.height, pixels.reduce((sum, value) => sum + value, 0) / pixels.length];
}"""


def test_contrast_of_the_camera_changes_its_pixels(page_at: PageAt) -> None:
    page = page_at(f"#/panel?image={CAMERA}")
    page.get_by_label("Colours").select_option("grey")
    expect(page.get_by_text("Contrast from")).to_be_visible()
    brightest, darkest = page.get_by_label("Brightest value"), page.get_by_label("Darkest value")
    page.get_by_role("button", name="Full range").click()
    expect(page.get_by_role("button", name="Full range")).to_have_attribute("aria-pressed", "true")
    width, height, whole = page.evaluate(BRIGHTNESS)
    assert (width, height) == (320, 240)
    brightest.fill("10")
    expect(page.get_by_role("button", name="Full range")).to_have_attribute("aria-pressed", "false")
    wait_until(lambda: page.evaluate(BRIGHTNESS)[2] > whole + 10)
    darkest.fill("1000")
    wait_until(lambda: page.evaluate(BRIGHTNESS)[2] < whole)
    page.get_by_role("button", name="Auto-contrast").click()
    wait_until(lambda: page.evaluate(BRIGHTNESS)[2] > whole)


def test_pixel_of_the_camera_is_told_at_the_pointer_and_by_keys(page_at: PageAt) -> None:
    page = page_at(f"#/panel?image={CAMERA}")
    canvas = page.get_by_role("img", name=f"Image {CAMERA}, 320 \u00d7 240")
    canvas.hover()
    expect(page.get_by_text(re.compile(r"^x \d+, y \d+: \d+ counts")).first).to_be_visible()
    canvas.focus()
    for key in ("ArrowLeft",) * 400:
        canvas.press(key)
    page.get_by_role("button", name="1:1").click()
    assert (canvas.bounding_box() or {})["width"] == 320


@pytest.mark.parametrize(
    ("attribute", "size"),
    [(f"{DEMO_DEVICE}/double_image_ro", "251 \u00d7 251"), ("demo/camera/1/image_encoded", "320 \u00d7 240")],
)
def test_images_of_other_types_are_shown(page_at: PageAt, attribute: str, size: str) -> None:
    page = page_at(f"#/panel?image={attribute}")
    expect(page.get_by_role("img", name=f"Image {attribute}, {size}")).to_be_visible()
    expect(page.get_by_text("Contrast from")).to_be_visible()


# --- panels ---


def make_panel(page: Page, name: str, *attributes: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="New panel").click()
    search = page.get_by_role("combobox", name="Attribute")
    for number, attribute in enumerate(attributes, 1):
        search.fill(attribute)
        search.press("Enter")
        expect(page.locator(".panel-editor li")).to_have_count(number)


def test_panel_is_kept_over_a_reload(page_at: PageAt) -> None:
    page = page_at("#/panel")
    make_panel(page, "My <b>panel</b>", DOUBLE, LONG, SPECTRUM)
    page.get_by_role("button", name=f"Move {LONG} up").click()
    page.get_by_label(f"Show {DOUBLE} as").select_option("plot")
    page.reload()
    expect(page.get_by_role("heading", name="My <b>panel</b>")).to_be_visible()
    expect(page.locator("table.values tbody tr")).to_have_count(1)
    expect(page.get_by_role("row", name=LONG).get_by_role("cell").first).to_have_text(re.compile(r"\d"))
    expect(page.locator(".time-plot .u-over")).to_be_visible()
    expect(page.get_by_text("256 elements: minimum")).to_be_visible()
    page.get_by_role("button", name="Edit").click()
    expect(page.locator(".panel-editor li").first).to_contain_text(LONG)
    page.get_by_label("Name", exact=True).fill("Other")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="Other")).to_be_visible()
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Panels")).to_be_visible()
    expect(page.locator(".panels li")).to_have_count(0)


def test_panel_of_another_tab_is_shown(page_at: PageAt) -> None:
    page = page_at("#/panel")
    other = page.context.new_page()
    other.goto(page.url)
    make_panel(other, "Magnets", LONG)
    page.get_by_role("link", name="Magnets").click()
    expect(page.get_by_role("link", name=LONG, exact=True)).to_be_visible()
    other.get_by_role("button", name=f"Remove {LONG}").click()
    expect(page.get_by_text("The panel is empty")).to_be_visible()


def test_panel_is_exported_and_imported(page_at: PageAt, tmp_path: Path) -> None:
    page = page_at(f"#/panel?value={DOUBLE}&plot={LONG}")
    page.get_by_label("Name", exact=True).fill("Shift")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_role("heading", name="Shift")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert orjson.loads(file.read_bytes()) == {
        "mtango_panel": 1,
        "name": "Shift",
        "items": [{"show": "value", "attribute": DOUBLE}, {"show": "plot", "attribute": LONG}],
    }
    link = page.get_by_role("link", name="Link to this panel").get_attribute("href")
    other = page_at("#/panel")
    other.get_by_label("Import a file").set_input_files(file)
    other.get_by_role("link", name="Shift").click()
    expect(other.locator("table.values tbody tr")).to_have_count(1)
    colleague = page_at(link or "")
    expect(colleague.locator("table.values tbody tr")).to_have_count(1)


def test_time_range_of_a_panel_is_in_its_link(page_at: PageAt) -> None:
    page = page_at(f"#/panel?plot={LONG}&last=600")
    span = page.get_by_role("group", name="Time range").get_by_role("combobox")
    span.select_option("60")
    wait_for_params(page, plot=LONG.replace("/", "%2F"), last="60")
    expect(page.get_by_role("link", name="Link to this panel")).to_have_attribute("href", re.compile("&last=60$"))
    page.reload()
    expect(span).to_have_value("60")
    page.get_by_label("Name", exact=True).fill("Shift")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_role("heading", name="Shift")).to_be_visible()
    span.select_option("3600")
    expect(page).to_have_url(re.compile(r"#/panel/Shift\?last=3600$"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "expected a panel in JSON"),
        (b"[1]", 'expected a panel with "mtango_panel": 1'),
        (b'{"mtango_panel": 1, "name": "", "items": []}', "expected a name of 1 to 100 characters"),
        (b'{"mtango_panel": 1, "name": "a", "items": {}}', 'expected a list as "items"'),
        (b'{"mtango_panel": 1, "name": "a", "items": [{"show": "constructor", "attribute": ""}]}', "expected one of"),
        (b'{"mtango_panel": 1, "name": "a", "items": [{"show": "value", "attribute": "<b>"}]}', "device/attribute"),
    ],
)  # fmt: skip
def test_file_that_is_no_panel_is_refused(page_at: PageAt, tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "panel.json"
    file.write_bytes(content)
    page = page_at("#/panel")
    page.get_by_label("Import a file").set_input_files(file)
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.locator(".panels li")).to_have_count(0)


def test_two_hundred_values_are_live(page_at: PageAt, gateway: Gateway, host_path: str) -> None:
    names = [
        f"{device}/{each['name']}"
        for device in (DEMO_DEVICE, TYPES_DEVICE, "demo/motor/1", "demo/powersupply/1", "demo/camera/1")
        for each in gateway.get(f"{host_path}/devices/{device}/attributes")  # type: ignore[attr-defined]
    ][:200]
    page = page_at(f"#/panel?{urlencode([('value', name) for name in names])}")
    rows = page.locator("table.values tbody tr")
    expect(rows).to_have_count(len(names))
    wait_until(lambda: page.locator("table.values td:nth-child(3):empty").count() == 0)
    cell = page.get_by_role("row", name=DOUBLE).get_by_role("cell").first
    expect(cell).not_to_have_text(cell.inner_text())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "link", [plot_link(DOUBLE, LONG), f"#/panel?value={DOUBLE}&spectrum={SPECTRUM}&image={CAMERA}", "#/panel"]
)
def test_plots_have_no_serious_fault(
    page_at: PageAt, check_accessibility: Callable[[Page], None], link: str, scheme: str
) -> None:
    page = page_at(link, color_scheme=scheme)
    expect(page.get_by_role("heading").first).to_be_visible()
    if link != "#/panel":
        plot(page)
        page.get_by_text("Data as a table").first.click()
    check_accessibility(page)


@pytest.mark.parametrize(
    "link",
    [plot_link(DOUBLE, LONG), f"#/panel?value={DOUBLE}&plot={LONG}&spectrum={SPECTRUM}", f"#/panel?image={CAMERA}"],
)
def test_plots_fit_a_narrow_screen(page_at: PageAt, link: str) -> None:
    page = page_at(link, viewport={"width": 360, "height": 800})
    expect(page.locator("canvas").first).to_be_visible()
    for part in ("main", "html"):
        assert page.locator(part).evaluate("each => each.scrollWidth") <= 360
