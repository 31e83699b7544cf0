"""The operator's page of a gateway with two Tango hosts, one of which loses its servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE
from tests.live.conftest import COMMAND, Gateway, served

from .conftest import PageAt, PageWatch, wait_for
from .test_live import follow, records
from .test_tree import devices, search


@pytest.fixture(scope="module")
def other_tango() -> Iterator[EmbeddedTango]:
    with EmbeddedTango() as system:
        yield system


@pytest.fixture(scope="module")
def of_two_hosts(
    tango_system: EmbeddedTango, other_tango: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    hosts = f"{tango_system.tango_host},{other_tango.tango_host}"
    log = Path(tmp_path_factory.mktemp("two-hosts"), "log")
    with served(COMMAND, log, MTANGO_TANGO_HOSTS=hosts) as gateway:
        yield gateway


def test_device_of_another_host_has_a_link(
    of_two_hosts: Gateway, page_at: PageAt, tango_system: EmbeddedTango, other_tango: EmbeddedTango
) -> None:
    page = page_at(of=of_two_hosts)
    search(page).fill("tg_test")  # so that the tree shows both hosts without scrolling
    for host in (tango_system.tango_host, other_tango.tango_host):
        expect(page.get_by_role("treeitem", name=host)).to_have_attribute("aria-level", "1")
    expect(devices(page)).to_have_count(2)
    devices(page).last.click()
    device = f"tango://{other_tango.tango_host}/{DEMO_DEVICE}"
    heading = page.get_by_role("main").get_by_role("heading", level=1)
    expect(heading).to_contain_text(DEMO_DEVICE)
    page.reload()
    expect(page.get_by_role("treeitem", selected=True)).to_have_attribute("title", device)
    expect(page.get_by_role("button", name="Run DevBoolean")).to_be_visible()


def test_device_server_is_lost_and_comes_back(
    of_two_hosts: Gateway, page_at: PageAt, other_tango: EmbeddedTango
) -> None:
    page = page_at(of=of_two_hosts)
    follow(page, "double_scalar", f"tango://{other_tango.tango_host}/{DEMO_DEVICE}")
    wait_for(page, "records.length > 2 && !records.at(-1).stale")
    other_tango.device_server.stop()
    try:
        wait_for(page, "records.at(-1).stale && records.at(-1).errors")
        last = records(page)[-1]
        assert last["errors"][0]["description"]
        assert isinstance(last["value"], (int, float))  # 1.0 is 1 in JavaScript
    finally:
        other_tango.device_server.start()
    wait_for(page, "!records.at(-1).stale && !records.at(-1).errors")


def test_host_without_a_database_says_so(
    of_two_hosts: Gateway, page_at: PageAt, watch: PageWatch, other_tango: EmbeddedTango
) -> None:
    watch.expect("status of 503")
    other_tango.database.stop()
    try:
        page = page_at(of=of_two_hosts)
        failure = page.get_by_role("alert").filter(has_text=other_tango.tango_host)
        expect(failure).to_be_visible()
        search(page).fill("tg_test")
        expect(devices(page)).to_have_count(1)
    finally:
        other_tango.database.start()
    failure.get_by_role("button").click()
    expect(devices(page)).to_have_count(2)
