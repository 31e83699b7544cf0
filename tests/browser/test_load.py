"""What live values take of the processor, in the browser."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import pytest
from playwright.sync_api import CDPSession, expect

from tests.pytango_process import PyTango

from .conftest import PageAt

VALUES, HERTZ, SECONDS = 200, 10, 8


def processor_seconds(session: CDPSession) -> float:
    """Return the seconds that the page's thread has worked."""
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return metrics["TaskDuration"]


@pytest.mark.slow
def test_two_hundred_values_take_less_than_a_third_of_a_processor(
    page_at: PageAt, sender: str, pytango: PyTango
) -> None:
    # Each attribute has two rows, of one subscription: the device has a hundred attributes.
    names = [f"{sender}/{prefix}{number}" for prefix in ("sent", "SENT") for number in range(VALUES // 2)]
    page = page_at(f"#/panel?{urlencode([('value', name) for name in names])}")
    expect(page.locator("table.values tbody tr")).to_have_count(VALUES)
    expect(page.get_by_role("row", name=names[-1]).get_by_role("cell").nth(1)).to_have_text("valid")
    pytango.run(sender, "Send", [VALUES // 2, HERTZ * (SECONDS + 4), HERTZ])
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    time.sleep(2)
    began, worked = time.monotonic(), processor_seconds(session)
    time.sleep(SECONDS)
    share = (processor_seconds(session) - worked) / (time.monotonic() - began)
    assert share < 0.3, f"{share:.1%}"
