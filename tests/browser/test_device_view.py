"""The view of a device: live values, writes, commands, properties, what is lost and comes back."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from tests.conftest import DEMO_DEVICE
from tests.live.conftest import COMMAND, served
from tests.odd_devices import LONG, MARKUP, RIGHT_TO_LEFT
from tests.pytango_process import PyTango
from tests.waiting import wait_until

from .conftest import PageAt, PageWatch, wait_for

MARKUP_DEVICE, LOST_DEVICE = "test/markup/1", "test/markup/2"
MOTOR, SUPPLY, TYPES = "demo/motor/1", "demo/powersupply/1", "demo/types/1"

# What the browser says of a request that is refused.
REFUSED = "status of 40[0-9]"


def _markup_server(tango_system: EmbeddedTango, instance: str, device: str) -> ServerProcess:
    command = [sys.executable, str(Path(__file__).parents[1] / "odd_devices.py"), instance]
    return tango_system.add_server(command, f"Odd/{instance}", {device: "Markup"})


@pytest.fixture(scope="session")
def _markup(tango_system: EmbeddedTango) -> ServerProcess:
    return _markup_server(tango_system, "markup", MARKUP_DEVICE)


@pytest.fixture(scope="session")
def _lost(tango_system: EmbeddedTango) -> ServerProcess:
    return _markup_server(tango_system, "lost", LOST_DEVICE)


@pytest.fixture
def lost_server(_lost: ServerProcess) -> ServerProcess:
    """A server that a test may kill."""
    if not _lost.running:
        _lost.start()
    return _lost


@pytest.fixture
def markup_page(page_at: PageAt, _markup: ServerProcess) -> Page:
    return device_page(page_at, MARKUP_DEVICE)


def device_page(page_at: PageAt, device: str, **options: object) -> Page:
    page = page_at(f"#/device/{device}", **options)
    expect(page.get_by_role("heading", name="Attributes")).to_be_visible()
    return page


def row(page: Page, label: str) -> Locator:
    """The row of the attribute with that label."""
    return page.locator("li.attribute").filter(has=page.get_by_role("checkbox", name=f"Select {label}", exact=True))


def command(page: Page, name: str) -> Locator:
    return page.locator("form.command").filter(has=page.get_by_text(name, exact=True).and_(page.locator("b *")))


def set_value(page: Page, label: str, text: str) -> None:
    """Enter a value and write it by the Enter key."""
    page.get_by_role("button", name=f"Set {label}", exact=True).click()
    page.get_by_label(f"New value of {label}").fill(text)
    page.keyboard.press("Enter")


def test_value_of_an_attribute_moves_and_has_unit_and_format(page_at: PageAt) -> None:
    page = device_page(page_at, DEMO_DEVICE)
    value = row(page, "double_scalar").locator(".value")
    expect(value).to_have_text(re.compile(r"^-?\d+\.\d\d$"))
    before = value.inner_text()
    expect(value).not_to_have_text(before)
    page.goto(f"#/device/{MOTOR}")
    expect(row(page, "Position")).to_contain_text(re.compile(r"\d\.\d{4} mm"))


def test_configurations_come_with_one_request(page_at: PageAt, watch: PageWatch) -> None:
    page = device_page(page_at, TYPES)
    expect(row(page, "limited_scalar").or_(row(page, "Limited scalar"))).to_be_attached()
    asked = [request for request in watch.requests if "/demo/types/1/attributes" in request]
    assert len(asked) == 1, asked


def test_head_shows_state_status_and_server(page_at: PageAt) -> None:
    page = device_page(page_at, TYPES)
    head = page.locator(".device-head")
    expect(head.get_by_role("heading")).to_have_text(TYPES)
    expect(head.locator(".state")).to_have_text("ON")
    for text in ("The device is in ON state.", "MtangoDemo/demo", "Types"):
        expect(head).to_contain_text(text)


def test_groups_are_shown_and_qualities_have_texts(page_at: PageAt) -> None:
    page = device_page(page_at, TYPES)
    for title in ("Scalars", "Spectra", "Images"):
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    for quality in ("invalid", "alarm", "changing", "warning"):
        row(page, f"quality_{quality}").scroll_into_view_if_needed()
        expect(row(page, f"quality_{quality}").locator(".quality")).to_have_text(quality)
    expect(row(page, "nan_scalar").locator(".value")).to_have_text("NaN")
    expect(row(page, "empty_string").locator(".value")).to_have_text("empty")
    row(page, "empty_spectrum").scroll_into_view_if_needed()
    expect(row(page, "empty_spectrum").locator(".value")).to_have_text("[0]")


def test_qualities_have_colours(page_at: PageAt) -> None:
    page = device_page(page_at, TYPES)
    colours = set()
    for quality in ("invalid", "alarm", "changing", "warning"):
        row(page, f"quality_{quality}").scroll_into_view_if_needed()
        expect(row(page, f"quality_{quality}").locator(".value")).to_have_class(f"value quality-{quality}")
        colours.add(row(page, f"quality_{quality}").locator(".value").evaluate("each => getComputedStyle(each).color"))
    row(page, "boolean_scalar").scroll_into_view_if_needed()
    colours.add(row(page, "boolean_scalar").locator(".value").evaluate("each => getComputedStyle(each).color"))
    assert len(colours) == 5


def test_only_attributes_in_view_are_followed(page_at: PageAt) -> None:
    page = device_page(page_at, TYPES)
    expect(row(page, "boolean_scalar").locator(".value")).to_be_visible()
    expect(row(page, "nonfinite_spectrum").locator(".value")).to_have_count(0)
    row(page, "nonfinite_spectrum").scroll_into_view_if_needed()
    expect(row(page, "nonfinite_spectrum").locator(".value")).to_contain_text("NaN, Infinity, -Infinity, 1.50")


def test_link_selects_attributes(page_at: PageAt) -> None:
    page = device_page(page_at, f"{MOTOR}?attr=velocity")
    expect(page.locator("li.attribute")).to_have_count(1)
    page.get_by_role("button", name="Show all attributes").click()
    expect(row(page, "Position")).to_be_visible()
    row(page, "Position").get_by_role("checkbox").check()
    expect(page.get_by_role("button", name="Plot 1 selected")).to_be_visible()
    page.get_by_role("button", name="Show only these").click()
    expect(page.locator("li.attribute")).to_have_count(1)
    assert page.url.endswith("?attr=position")


def test_selection_becomes_a_plot_and_a_panel(page_at: PageAt) -> None:
    page = device_page(page_at, MOTOR)
    for label in ("Position", "Velocity"):
        row(page, label).get_by_role("checkbox").check()
    page.get_by_role("button", name="Plot 2 selected").click()
    expect(page).to_have_url(re.compile(r"#/plot\?s=demo%2Fmotor%2F1%2Fposition&s=demo%2Fmotor%2F1%2Fvelocity"))
    page.go_back()
    row(page, "Position").get_by_role("checkbox").check()
    page.get_by_role("button", name="Panel of 1 selected").click()
    expect(page).to_have_url(re.compile(r"#/panel\?value=demo%2Fmotor%2F1%2Fposition"))


def test_spectrum_and_image_are_shown_on_demand(page_at: PageAt) -> None:
    page = device_page(page_at, "demo/camera/1")
    row(page, "Image").get_by_role("button", name="Show").click()
    expect(row(page, "Image").get_by_role("img")).to_be_visible()
    row(page, "Image").get_by_role("button", name="Hide").click()
    expect(row(page, "Image").get_by_role("img")).to_have_count(0)
    page.goto(f"#/device/{TYPES}")
    row(page, "double_spectrum").get_by_role("button", name="Show").click()
    expect(row(page, "double_spectrum").locator("canvas")).to_be_visible()


# --- writes ---


def test_written_value_is_read_back_and_focus_returns(page_at: PageAt) -> None:
    page = device_page(page_at, MOTOR)
    set_value(page, "Velocity", "7.5")
    expect(row(page, "Velocity").locator(".value")).to_have_text("7.50")
    expect(row(page, "Velocity").locator(".set-value")).to_have_text("set 7.50")
    expect(page.get_by_role("button", name="Set Velocity")).to_be_focused()
    set_value(page, "Velocity", "5")
    expect(row(page, "Velocity").locator(".value")).to_have_text("5.00")


def test_integers_of_64_bits_keep_all_digits(page_at: PageAt) -> None:
    page = device_page(page_at, TYPES)
    for number in ("9223372036854775807", "-9223372036854775807"):
        set_value(page, "long64_scalar", number)
        expect(row(page, "long64_scalar").locator(".value")).to_have_text(number)


@pytest.mark.parametrize(
    ("label", "text", "shown"),
    [
        ("boolean_scalar", None, "false"),
        ("state_scalar", "FAULT", "FAULT"),
        ("enum_scalar", "VERY HIGH", "VERY HIGH"),
        ("string_scalar", "<b>'x'</b>", "<b>'x'</b>"),
        ("short_spectrum", "1\n-2, 3", "[3] 1, -2, 3"),
        ("string_spectrum", "a, b\nc", "[2] a, b, c"),
    ],
)
def test_editor_is_made_from_the_type(page_at: PageAt, label: str, text: str | None, shown: str) -> None:
    page = device_page(page_at, TYPES)
    page.get_by_role("button", name=f"Set {label}", exact=True).click()
    field = page.get_by_label(f"New value of {label}")
    if text is None:
        field.set_checked(False)
    elif field.evaluate("each => each.tagName") == "SELECT":
        field.select_option(text)
    else:
        field.fill(text)
    page.get_by_role("button", name="Write", exact=True).click()
    expect(row(page, label).locator(".value")).to_have_text(shown)


def test_number_is_sent_as_a_number_however_it_is_written(page_at: PageAt) -> None:
    page = device_page(page_at, SUPPLY)
    page.get_by_role("button", name="Set Current", exact=True).click()
    page.get_by_label("New value of Current").fill("1.50e1")
    with page.expect_request(lambda request: request.method == "PUT") as sent:
        page.get_by_role("button", name="Write", exact=True).click()
    assert sent.value.post_data == "15"
    expect(row(page, "Current").locator(".set-value")).to_have_text("set 15.000")


def test_value_beyond_limits_is_refused_in_words_of_tango(page_at: PageAt, watch: PageWatch) -> None:
    watch.expect(REFUSED)
    page = device_page(page_at, SUPPLY)
    set_value(page, "Current", "600")
    failure = row(page, "Current").get_by_role("alert")
    expect(failure).to_contain_text("above the maximum authorized")
    expect(failure.get_by_text("API_AttributeFailed")).to_be_hidden()
    failure.locator("summary").click()
    expect(failure.get_by_text("API_AttributeFailed")).to_be_visible()
    href = failure.get_by_role("link").get_attribute("href") or ""
    assert re.fullmatch(r"#/ill\?request=[0-9a-f]+", href)
    page.get_by_label("New value of Current").press("Escape")
    expect(failure).to_have_count(0)
    expect(page.get_by_role("button", name="Set Current")).to_be_focused()


def test_value_beyond_a_warning_limit_is_confirmed(page_at: PageAt) -> None:
    page = device_page(page_at, SUPPLY)
    set_value(page, "Current", "420")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("above the warning limit 400")
    page.keyboard.press("Enter")  # the focus is on Cancel
    expect(dialog).to_have_count(0)
    page.get_by_label("New value of Current").press("Enter")
    dialog.get_by_role("button", name="Write").click()
    expect(row(page, "Current").locator(".set-value")).to_have_text("set 420.000")
    set_value(page, "Current", "0")
    expect(row(page, "Current").locator(".set-value")).to_have_text("set 0.000")


def test_outcome_of_a_write_is_shown_whatever_is_pressed_before(page_at: PageAt, watch: PageWatch) -> None:
    watch.expect("status of 503")
    page = device_page(page_at, MOTOR)
    held: list[Route] = []
    page.route("**/attributes/velocity/value", lambda route: held.append(route))
    set_value(page, "Velocity", "6")
    expect(row(page, "Velocity").get_by_role("button", name="Writing…")).to_be_visible()
    expect(row(page, "Velocity").get_by_role("button", name="Cancel")).to_be_disabled()
    page.get_by_label("New value of Velocity").press("Escape")
    page.get_by_label("New value of Velocity").press("Enter")
    wait_until(lambda: page.evaluate("0") == 0 and held)
    (write,) = held
    write.fulfill(status=503, json={"errors": [{"reason": "Lost", "description": "the write is lost"}]})
    expect(row(page, "Velocity").get_by_role("alert")).to_contain_text("the write is lost")


def test_expert_attribute_is_folded_and_confirmed(markup_page: Page) -> None:
    page = markup_page
    expect(row(page, "Trim")).to_be_hidden()
    page.get_by_text("Expert attributes (1)").click()
    expect(row(page, "Trim").locator(".value")).to_be_visible()
    set_value(page, "Trim", "2")
    expect(page.get_by_role("dialog")).to_contain_text("for experts")
    page.get_by_role("dialog").get_by_role("button", name="Write").click()
    expect(row(page, "Trim").locator(".value")).to_have_text("2.00")


# --- commands ---


def test_command_without_argument_runs_and_is_confirmed_where_it_interrupts(page_at: PageAt) -> None:
    page = device_page(page_at, SUPPLY)
    page.get_by_role("button", name="Run On", exact=True).click()
    expect(command(page, "On")).to_contain_text("done in")
    expect(page.locator(".device-head .state")).to_have_text("ON")
    page.get_by_role("button", name="Run Off", exact=True).click()
    page.keyboard.press("Escape")
    expect(page.locator(".device-head .state")).to_have_text("ON")
    page.get_by_role("button", name="Run Off", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Run").click()
    expect(page.locator(".device-head .state")).to_have_text("OFF")


def test_question_names_the_device_and_ends_with_its_view(page_at: PageAt, watch: PageWatch) -> None:
    page = page_at("#/plot")
    page.goto(f"/#/device/{SUPPLY}")
    page.get_by_role("button", name="Run Off", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Run Off of {SUPPLY}?")
    page.go_back()
    expect(page.get_by_role("heading", name="Plot")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not [request for request in watch.requests if request.startswith("PUT")]


def test_names_of_commands_that_are_confirmed(page_at: PageAt) -> None:
    names = ["Init", "ResetAlarm", "OffAll", "KillServer", "DevRestart", "RESET", "reset_alarm", "Clear2"]
    others = ["Offset", "Initialised", "Stop", "Abort", "SetOff", "Deletion"]
    confirmed = page_at().evaluate(
        """async (names) => {
        const { asks } = await import(new URL("views/commands.js", document.querySelector("script[type=module]").src));
        return names.filter(asks);
    }""",
        [*names, *others],
    )
    assert confirmed == names


def test_command_is_run_once_by_a_double_click(page_at: PageAt, watch: PageWatch) -> None:
    page = device_page(page_at, TYPES)
    held: list[Route] = []
    page.route("**/commands/*", lambda route: held.append(route))
    page.get_by_label("Argument of EchoDevLong", exact=True).fill("1")
    page.get_by_role("button", name="Run EchoDevLong", exact=True).dblclick()
    expect(command(page, "EchoDevLong")).to_contain_text("Running")
    page.get_by_label("Argument of EchoDevLong", exact=True).press("Enter")
    held[0].continue_()
    expect(command(page, "EchoDevLong")).to_contain_text("done in")
    assert len([request for request in watch.requests if request.startswith("PUT")]) == 1


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("EchoDevLong64", "-9223372036854775808", "-9223372036854775808"),
        ("EchoDevString", "<b>two</b> words", "<b>two</b> words"),
        ("EchoDevBoolean", None, "true"),
        ("EchoDevState", "MOVING", "MOVING"),
        ("EchoDevVarULong64Array", "1 18446744073709551615", "#value01118446744073709551615"),
        ("EchoDevVarStringArray", "a b\nc", "#value0a b1c"),
    ],
)
def test_form_of_a_command_is_made_from_the_type(page_at: PageAt, name: str, text: str | None, shown: str) -> None:
    page = device_page(page_at, TYPES)
    field = page.get_by_label(f"Argument of {name}", exact=True)
    if text is None:
        field.check()
    elif field.evaluate("each => each.tagName") == "SELECT":
        field.select_option(text)
    else:
        field.fill(text)
    page.get_by_role("button", name=f"Run {name}", exact=True).click()
    output = command(page, name).get_by_role("status")
    expect(output).to_contain_text("done in")
    assert re.sub(r"\s*done in [\d.]+ s\s*|[\n\t]", "", output.inner_text()) == shown


def test_command_takes_numbers_and_texts(page_at: PageAt) -> None:
    page = device_page(page_at, TYPES)
    form = command(page, "EchoDevVarDoubleStringArray")
    form.get_by_label("numbers").fill("1.5\n2")
    form.get_by_label("texts").fill("one\ntwo")
    form.get_by_role("button", name="Run").click()
    for text in ("1.5", "two"):
        expect(form.get_by_role("cell", name=text, exact=True)).to_be_visible()


def test_long_list_is_cut_and_shown_whole_on_demand(page_at: PageAt) -> None:
    page = device_page(page_at, TYPES)
    form = command(page, "EchoDevVarLongArray")
    form.get_by_role("textbox").fill(" ".join(map(str, range(1000, 1100))))
    form.get_by_role("button", name="Run").click()
    expect(form.get_by_role("row")).to_have_count(21)
    form.get_by_role("button", name="Show all 100 items").click()
    expect(form.locator("pre")).to_contain_text("1099")


def test_running_command_tells_so(markup_page: Page) -> None:
    form = command(markup_page, "Wait")
    form.get_by_role("spinbutton").fill("1.5")
    form.get_by_role("button", name="Run").click()
    expect(form.get_by_role("button")).to_be_disabled()
    expect(form.get_by_role("button")).to_contain_text("Running")
    expect(form).to_contain_text(re.compile(r"done in 1\.[5-9]|done in [2-9]"))
    expect(form.get_by_role("button")).to_be_enabled()


def test_expert_command_is_folded_and_confirmed(markup_page: Page) -> None:
    page = markup_page
    expect(page.get_by_role("button", name="Run Calibrate")).to_be_hidden()
    page.get_by_text("Expert commands (1)").click()
    page.get_by_role("button", name="Run Calibrate").click()
    expect(page.get_by_role("dialog")).to_contain_text("for experts")
    page.get_by_role("dialog").get_by_role("button", name="Run").click()
    expect(command(page, "Calibrate")).to_contain_text("done in")


def test_failure_of_a_command_is_shown(page_at: PageAt, watch: PageWatch) -> None:
    watch.expect(REFUSED)
    page = device_page(page_at, TYPES)
    page.get_by_label("Argument of EchoDevShort", exact=True).fill("70000")
    page.get_by_role("button", name="Run EchoDevShort", exact=True).click()
    expect(command(page, "EchoDevShort").get_by_role("alert")).to_contain_text("expected a whole number")


# --- properties ---


def test_property_is_added_changed_and_deleted(page_at: PageAt) -> None:
    page = device_page(page_at, MOTOR)
    page.get_by_role("heading", name="Properties").click()
    page.get_by_label("name", exact=True).fill("remark")
    page.get_by_label("values").fill("first\n<b>second</b>")
    page.get_by_role("button", name="Add").click()
    item = page.locator(".properties > li").filter(has_text="remark")
    expect(item).to_contain_text("<b>second</b>")
    item.get_by_role("button", name="Edit").click()
    expect(item.get_by_role("textbox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(item.get_by_role("button", name="Edit")).to_be_focused()
    page.keyboard.press("Enter")
    item.get_by_role("textbox").fill("third")
    item.get_by_role("button", name="Save").click()
    expect(item).to_contain_text("third")
    expect(item).not_to_contain_text("first")
    item.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(item).to_have_count(0)


@pytest.mark.parametrize("values", [["a\nb", "c"], ["last", ""], [""], ["a\rb"], ["plain", "[1]"]])
def test_saving_a_property_keeps_values_that_are_no_lines(page_at: PageAt, pytango: PyTango, values: list[str]) -> None:
    pytango.put_properties(MOTOR, odd=values)
    page = device_page(page_at, MOTOR)
    page.get_by_role("heading", name="Properties").click()
    item = page.locator(".properties > li").filter(has_text="odd")
    item.get_by_role("button", name="Edit").click()
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        item.get_by_role("button", name="Save").click()
    expect(item.get_by_role("button", name="Edit")).to_be_visible()
    assert pytango.get_property(MOTOR, "odd") == values
    pytango.put_properties(MOTOR, odd=[])


# --- what the user may do ---


def test_read_only_gateway_offers_no_change(page_at: PageAt, tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with served(COMMAND, tmp_path / "log", MTANGO_READ_ONLY="1") as gateway:
        page = device_page(page_at, MOTOR, of=gateway)
        expect(page.get_by_text("This gateway is read-only")).to_have_count(1)
        expect(row(page, "Position").locator(".value")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("^(Set|Run|Add)"))).to_have_count(0)
        page.close()


def test_only_what_the_user_may_do_is_offered(
    page_at: PageAt, tango_system: EmbeddedTango, pytango: PyTango, tmp_path: Path
) -> None:
    pytango.put_properties(MOTOR, remark=["kept"])
    rules = '[[rule]]\nanyone = true\nmay = ["write"]\ndevices = ["demo/motor/1"]\nattributes = ["velocity"]\n'
    rules += '[[rule]]\nanyone = true\nmay = ["read"]\n'
    (tmp_path / "access.toml").write_text(rules)
    with served(COMMAND, tmp_path / "log", MTANGO_RULES=str(tmp_path / "access.toml")) as gateway:
        page = device_page(page_at, MOTOR, of=gateway)
        expect(page.get_by_role("button", name="Set Velocity")).to_be_visible()
        expect(row(page, "Position")).to_contain_text("may not write")
        expect(page.get_by_role("button", name="Set Position")).to_have_count(0)
        expect(command(page, "Stop")).to_contain_text("not allowed")
        page.get_by_role("heading", name="Properties").click()
        expect(page.locator(".properties > li").first).to_contain_text("may not change: ")
        expect(page.get_by_role("button", name=re.compile("^(Edit|Delete|Add)"))).to_have_count(0)
        page.close()
    pytango.put_properties(MOTOR, remark=[])


def test_attribute_that_the_user_may_not_read_is_no_failure_of_the_device(
    page_at: PageAt, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    denied = (
        '[[rule]]\nanyone = true\nmay_not = ["read"]\ndevices = ["demo/motor/1"]\nattributes = ["State", "velocity"]\n'
    )
    (tmp_path / "access.toml").write_text(denied)
    with served(COMMAND, tmp_path / "log", MTANGO_RULES=str(tmp_path / "access.toml")) as gateway:
        page = device_page(page_at, MOTOR, of=gateway)
        expect(page.get_by_role("heading", name="Not all may be shown to you")).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("denied by rule 1")
        expect(row(page, "Velocity")).to_contain_text("denied by rule 1")
        expect(row(page, "Position").locator(".value")).to_be_visible()
        page.close()


# --- lost and back ---


def test_list_that_fails_at_first_is_asked_for_again(page_at: PageAt, watch: PageWatch) -> None:
    watch.expect("status of 503")
    page = page_at("#/plot")
    page.route("**/attributes?*", lambda route: route.fulfill(status=503))
    page.goto(f"/#/device/{MOTOR}")
    expect(page.get_by_role("alert")).to_contain_text("the gateway answered 503")
    expect(page.locator(".device-head .state")).to_be_visible()
    page.unroute("**/attributes?*")
    expect(row(page, "Velocity").locator(".value")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.usefixtures("_markup")
def test_outcome_of_a_command_is_unknown_when_the_gateway_is_lost(
    page_at: PageAt, tango_system: EmbeddedTango, tmp_path: Path, watch: PageWatch
) -> None:
    watch.expect_lost_gateway()
    with served(COMMAND, tmp_path / "log") as gateway:
        page = device_page(page_at, MARKUP_DEVICE, of=gateway)
        command(page, "Wait").get_by_role("spinbutton").fill("3")
        command(page, "Wait").get_by_role("button").click()
        expect(command(page, "Wait")).to_contain_text("Running…")
        worker = gateway.get("/sys/stats")["workers"][0]["pid"]  # type: ignore[index]
        gateway.process.kill()  # before the worker: a new one would get the command again, from the browser itself
        os.kill(worker, signal.SIGKILL)
        expect(command(page, "Wait").get_by_role("alert")).to_contain_text("the outcome is unknown")
        expect(command(page, "Wait").get_by_role("button")).to_be_enabled()
        page.close()


def test_device_server_is_lost_and_comes_back(page_at: PageAt, lost_server: ServerProcess, watch: PageWatch) -> None:
    watch.expect("status of (400|404|503)")
    page = device_page(page_at, LOST_DEVICE)
    expect(row(page, "Whole").locator(".value")).to_have_text(str(2**63 - 1))
    lost_server.kill()
    expect(row(page, "Whole").locator(".stale-mark")).to_have_text("stale")
    expect(page.locator(".device-head .state")).to_have_class("state old")
    expect(page.get_by_role("heading", name="The device does not answer")).to_be_visible()
    expect(page.get_by_text(re.compile("^(The server of the device|No events come any more)"))).to_be_visible()
    expect(row(page, "Whole").locator(".value")).to_have_text(str(2**63 - 1))
    lost_server.start()
    expect(row(page, "Whole").locator(".stale-mark")).to_have_count(0)
    expect(page.get_by_role("heading", name="The device does not answer")).to_have_count(0)


def test_page_of_a_lost_device_shows_it_once_it_is_there(
    page_at: PageAt, lost_server: ServerProcess, watch: PageWatch
) -> None:
    watch.expect("status of (400|404|503)")
    lost_server.kill()
    page = page_at(f"#/device/{LOST_DEVICE}")
    expect(page.get_by_role("heading", name="The device does not answer")).to_be_visible()
    lost_server.start()
    expect(row(page, "Whole").locator(".value")).to_have_text(str(2**63 - 1))
    expect(page.get_by_role("heading", name="The device does not answer")).to_have_count(0)


def test_age_of_a_value_goes_on_when_its_device_is_lost(
    page_at: PageAt, lost_server: ServerProcess, watch: PageWatch
) -> None:
    watch.expect("status of (400|404|503)")
    page = page_at(f"#/panel?value={LOST_DEVICE}/whole")
    value, quality, age = (page.locator("table.values td").nth(column) for column in range(3))
    expect(quality).to_have_text("valid")
    expect(age).to_have_text(re.compile(r"^[5-9] s ago"))
    lost_server.kill()
    expect(quality).not_to_have_text(re.compile("^(valid|stale)$"))
    assert not re.match("[0-4] s ago", age.inner_text())
    expect(value).to_have_text(str(2**63 - 1))


def test_value_out_of_sight_is_stale_after_the_gateway_was_lost(
    page_at: PageAt, tango_system: EmbeddedTango, tmp_path: Path, watch: PageWatch
) -> None:
    watch.expect_lost_gateway()
    with served(COMMAND, tmp_path / "log") as gateway:
        page = device_page(page_at, TYPES, of=gateway)
        first, last = row(page, "boolean_scalar"), row(page, "nonfinite_spectrum")
        expect(first.locator(".value")).to_be_visible()
        last.scroll_into_view_if_needed()
        expect(last.locator(".value")).to_be_visible()
        page.wait_for_timeout(1000)  # until the first one is no longer subscribed
        gateway.process.terminate()
        expect(last.locator(".stale-mark")).to_have_text("stale")
        first.scroll_into_view_if_needed()
        expect(first.locator(".stale-mark")).to_have_text("stale")
        page.close()


def test_unknown_device_is_explained(page_at: PageAt, watch: PageWatch) -> None:
    watch.expect("status of (400|404|503)")
    page = page_at("#/device/no/such/device")
    expect(page.get_by_text("The Tango database has no device of this name.").first).to_be_visible()


# --- hostile texts ---


def test_texts_of_devices_do_nothing_but_show(markup_page: Page, watch: PageWatch) -> None:
    page = markup_page
    label = f"<b>Text</b> {RIGHT_TO_LEFT}"
    expect(row(page, label).locator(".value")).to_have_text(MARKUP)
    expect(row(page, label).locator(".unit")).to_have_text("<i>")
    row(page, label).get_by_role("button", name="Details").click()
    expect(row(page, label).locator(".facts")).to_contain_text(MARKUP)
    expect(row(page, "Fails")).to_contain_text(MARKUP)
    expect(row(page, "Choice").locator(".value")).to_have_text("<b>one</b>")
    expect(row(page, label).locator(".attribute-name bdi").first).to_have_text(label)
    expect(command(page, "Echo")).to_contain_text(MARKUP)
    command(page, "Echo").get_by_role("textbox").fill(MARKUP)
    command(page, "Echo").get_by_role("button").click()
    expect(command(page, "Echo").get_by_role("status")).to_contain_text(MARKUP)
    page.locator(".device-status summary").click()
    expect(page.locator(".device-status bdi")).to_contain_text(MARKUP)
    expect(page.locator("main").locator("script, img[src], bdi b, bdi i")).to_have_count(0)
    assert page.evaluate("window.hurt") is None
    assert watch.foreign() == []


def test_text_of_a_megabyte_is_cut_and_shown_whole_on_demand(markup_page: Page) -> None:
    value = row(markup_page, "Long").locator(".value")
    expect(value).to_be_visible()
    assert len(value.inner_text()) < 1000
    value.get_by_role("button", name="Show all 1,000,000 characters").click()
    wait_for(markup_page, f"document.querySelector('pre.full-text')?.textContent.length === {len(LONG)}")
    value.get_by_role("button", name="Show less").click()
    expect(markup_page.locator("pre")).to_have_count(0)


# --- for everybody ---


def test_keyboard_alone_writes_and_runs(page_at: PageAt) -> None:
    page = device_page(page_at, MOTOR)
    expect(page.get_by_role("button", name="Set Velocity")).to_be_visible()
    page.get_by_role("searchbox", name="Filter attributes").focus()
    _tab_to(page, "Set Velocity")
    page.keyboard.press("Enter")
    expect(page.get_by_label("New value of Velocity")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("6")
    page.keyboard.press("Enter")
    expect(row(page, "Velocity").locator(".value")).to_have_text("6.00")
    expect(page.get_by_role("button", name="Set Velocity")).to_be_focused()
    _tab_to(page, "Run Stop")
    page.keyboard.press("Enter")
    expect(command(page, "Stop")).to_contain_text("done in")


def _tab_to(page: Page, name: str) -> None:
    button = page.get_by_role("button", name=name, exact=True)
    for _ in range(60):
        if button.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by the Tab key")


@pytest.mark.usefixtures("_markup")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [SUPPLY, TYPES, MARKUP_DEVICE])
def test_view_has_no_serious_fault(
    page_at: PageAt,
    check_accessibility: Callable[[Page], None],
    name: str,
    scheme: str,
) -> None:
    page = device_page(page_at, name, color_scheme=scheme)
    expect(page.locator(".value").first).to_be_visible()
    page.get_by_role("heading", name="Properties").click()
    page.get_by_role("button", name=re.compile("^Set ")).first.click()
    page.get_by_role("button", name=re.compile("^Details of ")).first.click()
    check_accessibility(page)


@pytest.mark.usefixtures("_markup")
@pytest.mark.parametrize("name", [MOTOR, TYPES, MARKUP_DEVICE])
def test_view_fits_a_narrow_screen(page_at: PageAt, name: str) -> None:
    page = device_page(page_at, name, viewport={"width": 360, "height": 800})
    expect(page.locator(".value").first).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
