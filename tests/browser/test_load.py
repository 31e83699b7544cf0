"""The load of live values on the browser."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import DEMO_DEVICE
from tests.pytango_process import PyTango

from .conftest import PageAt, wait_for

VALUES, HERTZ, SECONDS = 200, 10, 10

# The milliseconds at which the demo's own TangoTest polls the attribute.
POLLED = 1000

# Each value is a subscription of its own, as the greatest rates are different.
SHOW_VALUES = """async ([device, count]) => {
  const load = name => import(document.querySelector("script").src.replace("main.js", name));
  const { html, render } = await load("vendor/htm-preact-3.1.1.module.js");
  const { useFollow, Value } = await load("views/value.js");
  window.updates = 0;
  function Cell({ number }) {
    const record = useFollow(device, "double_scalar", true, { maxHz: 20 + number / 1000 });
    updates += 1;
    return html`<td class=${`quality-${record?.quality}`}>${record &&
      html`<${Value} value=${record.value} configuration=${record.configuration} />`}</td>`;
  }
  const rows = Array.from({ length: count / 10 }, (_, row) => html`<tr>${Array.from({ length: 10 }, (_, column) =>
    html`<${Cell} number=${row * 10 + column} />`)}</tr>`);
  render(html`<table>${rows}</table>`, document.querySelector("main"));
}"""


@pytest.fixture
def fast_attribute(pytango: PyTango) -> Iterator[None]:
    """An attribute that changes ten times a second."""
    pytango.poll(DEMO_DEVICE, "double_scalar", 1000 // HERTZ)
    yield
    pytango.poll(DEMO_DEVICE, "double_scalar", POLLED)


def processor_seconds() -> Counter[str]:
    """Return the processor time of the browser's processes by their kind."""
    found = Counter[str]()
    for process in psutil.Process(os.getpid()).children(recursive=True):
        kind = next((part for part in process.cmdline() if part.startswith("--type=")), "")
        if kind:
            times = process.cpu_times()
            found[kind.removeprefix("--type=")] += times.user + times.system  # type: ignore[assignment]
    return found


def updates(page: Page) -> int:
    return page.evaluate("updates")


@pytest.mark.timing
def test_two_hundred_live_values_take_less_than_a_third_of_a_core(page_at: PageAt, fast_attribute: None) -> None:
    """The bound is three times what was measured."""
    page = page_at()
    expect(page.get_by_role("heading", name="mtango-gevent")).to_be_visible()
    page.evaluate(SHOW_VALUES, [DEMO_DEVICE, VALUES])
    wait_for(page, f"updates > {3 * VALUES}")
    before, first = processor_seconds(), updates(page)
    page.wait_for_timeout(1000 * SECONDS)
    after, last = processor_seconds(), updates(page)
    share = {kind: (after[kind] - before[kind]) / SECONDS for kind in after}
    print(f"{(last - first) / SECONDS} updates per second, {share} of a core")  # pytest -s
    assert last - first > 0.7 * VALUES * HERTZ * SECONDS
    assert share["renderer"] < 0.9
