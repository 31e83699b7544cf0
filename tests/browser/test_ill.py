"""The view of what is ill, and the log line of a failed request by its id."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page, expect

from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from tests.api.access.conftest import DENY_ALL
from tests.live.conftest import COMMAND, Gateway, served, wait_until

from .conftest import PageAt, PageWatch

DEVICE = "test/ill/1"


class Ill(NamedTuple):
    """A gateway with two workers, and a device of a server that can hang, be frozen and be stopped."""

    gateway: Gateway
    server: ServerProcess
    base: str

    def ask(self, path: str, method: str = "GET", body: str = "") -> str:
        """Make a request, and return its id."""
        request = urllib.request.Request(f"{self.gateway.base}{self.base}/{path}", body.encode() or None, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.headers["X-Request-ID"]
        except urllib.error.HTTPError as failure:
            return failure.headers["X-Request-ID"]


@pytest.fixture(scope="module")
def ill(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ill]:
    command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), "ill"]
    server = tango_system.add_server(command, "Slow/ill", {DEVICE: "Slow"})
    settings: dict[str, Any] = {"MTANGO_WORKERS": "2", "MTANGO_CALL_DEADLINE": "1", "MTANGO_TANGO_TIMEOUT": "0.8"}
    with served(COMMAND, tmp_path_factory.mktemp("ill") / "log", **settings) as gateway:
        host = tango_system.tango_host.replace(":", "/")
        yield Ill(gateway, server, f"/rc3/hosts/{host}/devices/{DEVICE}")
    server.thaw()
    server.stop()


@pytest.fixture
def well(ill: Ill) -> Iterator[Ill]:
    """With a device that answers, and closed circuits in both workers."""
    ill.gateway.clean()
    wait_until(lambda: all("value" in ill.gateway.get(f"{ill.base}/attributes/life/value") for _ in range(4)))  # type: ignore[operator]
    yield ill
    ill.server.thaw()
    ill.server.stop()
    ill.server.start()


def troubles(page: Page, text: str) -> None:
    expect(page.get_by_label("What is ill").get_by_text(text).first).to_be_visible()


def test_all_is_well_where_nothing_is_ill(
    page_at: PageAt,
    check_accessibility: Callable[[Page], None],
    tango_system: EmbeddedTango,
    tmp_path: Path,
    watch: PageWatch,
) -> None:
    watch.expect_lost_gateway()
    with served(COMMAND, tmp_path / "log") as gateway:
        page = page_at("#/ill", of=gateway)
        expect(page.get_by_text("All is well.")).to_be_visible()
        expect(page.get_by_role("region", name="Workers").get_by_role("row")).to_have_count(2)
        expect(page.get_by_text("Requests per second")).to_be_visible()
        assert 0 < gateway.get("/sys/stats")["hub"]["lag"] < 10  # type: ignore[index]
        check_accessibility(page)


def test_device_that_hangs_has_an_open_circuit(
    page_at: PageAt, well: Ill, check_accessibility: Callable[[Page], None]
) -> None:
    page = page_at("#/ill", of=well.gateway)
    well.ask("commands/TakeSeconds", "PUT", "20")
    for _ in range(8):  # of two workers one has three of them
        well.ask("attributes/slow/value")
    troubles(page, "The circuit has been open")
    expect(page.get_by_label("What is ill").get_by_role("link", name=DEVICE).first).to_be_visible()
    check_accessibility(page)


def test_frozen_server_is_silent(page_at: PageAt, well: Ill) -> None:
    page = page_at("#/ill", of=well.gateway)
    well.ask("attributes/life/value")
    well.server.freeze()
    for _ in range(8):
        well.ask("attributes/life/value")
    troubles(page, "The server Slow/ill has been silent")


def test_stopped_server_is_seen(page_at: PageAt, well: Ill) -> None:
    page = page_at("#/ill", of=well.gateway)
    well.ask("attributes/life/value")
    well.server.stop()
    for _ in range(4):
        well.ask("attributes/life/value")
    troubles(page, "A call failed")


def test_failed_request_is_found_by_its_id(page_at: PageAt, ill: Ill) -> None:
    ids = [ill.ask("attributes/nope/value?token=secret") for _ in range(6)]  # of both workers
    for id in ids[:2]:
        page = page_at(f"#/ill?request={id}", of=ill.gateway)
        page.get_by_role("button", name="Find").click()
        request = page.locator(".request")
        expect(request.get_by_text("API_AttrNotFound")).to_be_visible(timeout=30_000)
        expect(request.get_by_text("/attributes/nope/value?token=***")).to_be_visible()
        expect(request.get_by_text(f"grep -F '{id}'")).to_be_visible()
        assert sum(f"id={id} " in line for line in ill.gateway.log.read_text().splitlines()) == 1


def test_request_is_looked_for_again(page_at: PageAt, ill: Ill, watch: PageWatch) -> None:
    page = page_at("#/ill?request=absent", of=ill.gateway)
    expect(page.get_by_text("No worker has a failed request of this id")).to_be_visible()
    before = sum("failures?request=absent" in request for request in watch.requests)
    with page.expect_request("**/failures?request=absent"):
        page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No worker has a failed request of this id")).to_be_visible()
    assert sum("failures?request=absent" in request for request in watch.requests) > before


def test_health_fits_a_narrow_screen(page_at: PageAt, ill: Ill) -> None:
    ill.ask("attributes/nope/value")
    page = page_at("#/ill", of=ill.gateway, viewport={"width": 360, "height": 800})
    expect(page.get_by_role("region", name="Failed requests")).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_parts_that_a_user_may_not_see_say_so(
    page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect_lost_gateway()
    watch.expect("status of 403")
    rules = '[[rule]]\nanyone = true\nmay = ["read"]\ngateway = ["api", "sys/stats", "streams"]\n\n' + DENY_ALL
    (tmp_path / "access.toml").write_text(rules)
    with served(COMMAND, tmp_path / "log", MTANGO_RULES=str(tmp_path / "access.toml")) as gateway:
        page = page_at("#/ill", of=gateway)
        expect(page.get_by_text("You may not see the devices: read sys/devices: denied by rule 2")).to_be_visible()
        expect(page.get_by_text("All is well in what you may see.")).to_be_visible()
        page.wait_for_timeout(5_000)
        assert sum("/sys/devices" in request for request in watch.requests) == 1


def test_lost_gateway_is_told(page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, tmp_path: Path) -> None:
    watch.expect_lost_gateway()
    with served(COMMAND, tmp_path / "log") as gateway:
        page = page_at("#/ill", of=gateway)
        expect(page.get_by_text("All is well.")).to_be_visible()
    troubles(page, "the gateway cannot be reached")
