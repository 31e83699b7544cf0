"""Live values of the operator's page: the connection, its loss and return, server-sent events in place of it."""

from __future__ import annotations

import contextlib
import itertools
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from mtango_gevent.demo.embedded import EmbeddedTango, free_port
from mtango_gevent.key_file import KeyFile
from tests.api.access.conftest import DENY_ALL
from tests.api.access.credentials import new_key
from tests.conftest import DEMO_DEVICE
from tests.live.conftest import COMMAND, Gateway, served
from tests.waiting import wait_until

from .conftest import PageAt, PageWatch, wait_for

# A server without gevent answers handshakes with 501.
WITHOUT_WEBSOCKETS = [
    *(sys.executable, "-m", "waitress", "--threads=16", "--listen=127.0.0.1:PORT"),
    "wsgi:application",
]

FOLLOW = """async ([device, attribute, options]) => {
  const live = await import(document.querySelector("script").src.replace("main.js", "live.js"));
  window.live = live;
  window.records ??= [];
  window.stop = live.follow(device, attribute, record => records.push(record), options);
}"""


def follow(page: Page, attribute: str, device: str = DEMO_DEVICE, **options: Any) -> None:
    """Follow an attribute, with its records in the page's `records`."""
    page.evaluate(FOLLOW, [device, attribute, options])


def records(page: Page) -> list[Any]:
    return page.evaluate("records.map(each => ({...each, value: each.value?.data ? 'image' : each.value}))")


def wait_for_records(page: Page, number: int) -> list[Any]:
    wait_for(page, f"records.length >= {number}")
    return records(page)


def test_record_has_value_quality_time_and_configuration(page_at: PageAt) -> None:
    page = page_at()
    follow(page, "double_scalar")
    wait_for(page, "records.at(-1)?.configuration")
    last = records(page)[-1]
    assert last["quality"] == "ATTR_VALID"
    assert (last["errors"], last["stale"]) == (None, False)
    assert abs(last["time"] / 1000 - page.evaluate("Date.now() / 1000")) < 60
    assert last["configuration"]["data_type"] == "DevDouble"


def test_unknown_attribute_has_errors_and_is_stale(page_at: PageAt) -> None:
    page = page_at()
    follow(page, "no_such_attribute")
    last = wait_for_records(page, 1)[-1]
    assert last["stale"]
    assert last["errors"][0]["reason"]


@pytest.mark.parametrize("attribute", ["double_spectrum", "long_image"])
def test_binary_values_are_typed_arrays(page_at: PageAt, attribute: str) -> None:
    page = page_at()
    follow(page, attribute, binary=True)
    wait_for(page, "records.at(-1)?.value")
    kind = page.evaluate("(records.at(-1).value.data ?? records.at(-1).value).constructor.name")
    assert kind == ("Float64Array" if attribute == "double_spectrum" else "Int32Array")


def test_followers_of_the_same_source_share_a_subscription(page_at: PageAt, watch: PageWatch) -> None:
    page = page_at()
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda payload: sent.append(str(payload))))
    page.reload()
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
    for _ in range(3):
        follow(page, "double_scalar")
    wait_for_records(page, 3)
    assert sum(frame.count('"attribute"') for frame in sent) == 1


def test_source_without_followers_is_no_longer_subscribed(page_at: PageAt) -> None:
    page = page_at()
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda payload: sent.append(str(payload))))
    page.reload()
    follow(page, "double_scalar")
    wait_for_records(page, 1)
    page.evaluate("stop()")
    wait_until(lambda: page.evaluate("0") == 0 and any("unsubscribe" in frame for frame in sent))


def test_thousand_subscriptions_are_begun_together(page_at: PageAt) -> None:
    page = page_at()
    page.evaluate(
        """async (device) => {
          const live = await import(document.querySelector("script").src.replace("main.js", "live.js"));
          window.seen = new Set();
          for (let n = 1; n <= 1000; n += 1)
            live.follow(device, "double_scalar", () => seen.add(n), {maxHz: 0.5 + n / 1000});
        }""",
        DEMO_DEVICE,
    )
    wait_for(page, "seen.size === 1000")


def test_gateway_is_lost_and_comes_back(
    page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect_lost_gateway()
    port = free_port()
    with served(COMMAND, tmp_path / "log", port=port) as gateway:
        page = page_at(of=gateway)
        page.evaluate("window.isSamePage = true")
        follow(page, "double_scalar")
        wait_for_records(page, 1)
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.wait(30)
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        wait_for(page, "records.at(-1).stale")
    with served(COMMAND, tmp_path / "log", port=port):
        wait_for(page, "!records.at(-1).stale")
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
        assert page.evaluate("isSamePage")


def test_subscription_continues_where_it_was(page_at: PageAt) -> None:
    """The new subscription has the time of the last record."""
    page = page_at()
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda payload: sent.append(str(payload))))
    page.add_init_script(
        "const Own = WebSocket; window.sockets = []; window.WebSocket = class extends Own {"
        " constructor(...given) { super(...given); sockets.push(this); } };"
    )
    page.reload()
    follow(page, "double_scalar")
    wait_for_records(page, 1)
    page.evaluate("sockets.at(-1).close()")
    wait_for(page, "records.some(each => each.stale)")
    wait_for(page, "!records.at(-1).stale")
    assert any('"after"' in frame for frame in sent)


def test_events_take_the_place_of_a_websocket_that_is_refused(
    page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect(r"WebSocket connection to .* failed: .* 501")
    with served(WITHOUT_WEBSOCKETS, tmp_path / "log") as gateway:
        page = page_at(of=gateway)
        follow(page, "double_scalar")
        follow(page, "no_such_attribute")
        wait_for(page, "records.filter(each => !each.errors).length > 2")
        wait_for(page, "records.some(each => each.configuration?.data_type === 'DevDouble')")
        wait_for(page, "records.some(each => each.errors)")
        expect(page.get_by_role("status").filter(has_text="live, by events")).to_be_visible()
        follow(page, "long_scalar")
        wait_for(page, "records.some(each => each.configuration?.name === 'long_scalar')")
        page.goto("about:blank")  # so that no stream holds up the end of the gateway


# --- credentials ---


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@contextlib.contextmanager
def protected(command: list[str], keys: Path, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that only the owner of the key in key.txt may use."""
    (tmp_path / "key.txt").write_text(new_key(keys, "ada"))
    (tmp_path / "access.toml").write_text('[[rule]]\nusers = ["ada"]\nmay = ["read"]\n\n' + DENY_ALL)
    settings = {"MTANGO_AUTH": "key", "MTANGO_AUTH_KEY_FILE": str(keys), "MTANGO_RULES": str(tmp_path / "access.toml")}
    with served(command, tmp_path / "log", **settings) as gateway:
        yield gateway


@pytest.fixture
def with_keys(tango_system: EmbeddedTango, keys: Path, tmp_path: Path) -> Iterator[Gateway]:
    with protected(COMMAND, keys, tmp_path) as gateway:
        yield gateway


STATUS_WITH_KEY = """async () => (await fetch("/tango/rest/v11", {
  headers: {Authorization: sessionStorage.getItem("mtango.authorization")}, credentials: "omit"})).status"""


def page_with_key(page_at: PageAt, gateway: Gateway, **options: Any) -> Page:
    page = page_at(of=gateway, **options)
    key = (gateway.log.parent / "key.txt").read_text()
    page.evaluate("key => sessionStorage.setItem('mtango.authorization', `Bearer ${key}`)", key)
    page.goto("/#/")
    page.reload()
    return page


def test_token_opens_the_stream_and_is_renewed(with_keys: Gateway, page_at: PageAt, watch: PageWatch) -> None:
    watch.expect("status of 401")
    page = page_with_key(page_at, with_keys)
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda payload: sent.append(str(payload))))
    page.clock.install()
    page.reload()
    follow(page, "double_scalar")
    wait_for_records(page, 2)
    page.clock.fast_forward("13:00")
    wait_until(lambda: page.evaluate("0") == 0 and any('"token"' in frame for frame in sent))
    number = len(records(page))
    wait_for_records(page, number + 2)
    assert page.evaluate("live.connection.state") == "open"


def test_key_that_is_not_valid_any_more_needs_a_new_login(
    with_keys: Gateway, page_at: PageAt, watch: PageWatch, keys: Path
) -> None:
    watch.expect("status of 401")
    page = page_with_key(page_at, with_keys)
    page.clock.install()
    page.reload()
    follow(page, "double_scalar")
    wait_for_records(page, 1)
    KeyFile(str(keys)).revoke("ada")
    wait_until(lambda: page.evaluate(STATUS_WITH_KEY) == 401)
    page.clock.fast_forward("13:00")  # when the token of the stream is renewed
    expect(page.get_by_role("heading", name="Log in", exact=True)).to_be_visible()


def test_events_take_a_token(
    page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, keys: Path, tmp_path: Path
) -> None:
    watch.expect(r"status of 401|WebSocket connection to .* failed: .* 501")
    with protected(WITHOUT_WEBSOCKETS, keys, tmp_path) as gateway:
        page = page_with_key(page_at, gateway)
        follow(page, "double_scalar")
        wait_for(page, "records.filter(each => !each.stale).length > 2")
        assert page.evaluate("live.connection.state") == "fallback"
        page.goto("about:blank")  # so that no stream holds up the end of the gateway


# --- the page ---


def test_gateway_that_does_not_answer_pings_is_lost(
    page_at: PageAt, watch: PageWatch, tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    watch.expect_lost_gateway()
    with served(COMMAND, tmp_path / "log") as gateway:
        page = page_at(of=gateway)
        page.clock.install()
        page.reload()
        follow(page, "double_scalar")
        wait_for_records(page, 1)
        worker = gateway.worker()
        worker.suspend()
        try:
            page.clock.fast_forward("00:11")
            page.wait_for_timeout(1000)
            page.clock.fast_forward("00:11")
            wait_for(page, "live.connection.state === 'lost' && records.at(-1).stale")
        finally:
            worker.resume()
        page.clock.fast_forward("00:30")
        wait_for(page, "live.connection.state === 'open' && !records.at(-1).stale")
        page.goto("about:blank")


def test_hidden_page_takes_values_seldom_and_all_when_it_is_shown(page_at: PageAt) -> None:
    page = page_at()
    hide = "hidden => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden}); }"
    shown = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(
        """async (device) => {
          const live = await import(document.querySelector("script").src.replace("main.js", "live.js"));
          window.calls = [];
          for (let n = 1; n <= 20; n += 1) live.follow(device, "double_scalar", () => calls.push(Date.now()),
            {maxHz: n});
        }""",
        DEMO_DEVICE,
    )
    wait_for(page, "calls.length >= 40")
    page.evaluate(hide, True)
    page.evaluate("calls.length = 0")
    wait_for(page, "calls.length >= 40")
    times = page.evaluate("[...new Set(calls)]")
    gaps = [later - earlier for earlier, later in itertools.pairwise(times) if later - earlier > 50]
    assert all(gap > 900 for gap in gaps)
    page.evaluate(hide, False)
    page.evaluate(shown)
    number = page.evaluate("calls.length")
    wait_for(page, f"calls.length > {number + 20}")
