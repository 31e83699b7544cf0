"""Pages of other origins in a real browser: what they can do to the gateway, whatever they try."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE
from tests.live.conftest import COMMAND, Gateway, served

from .conftest import PageServer

# 127.0.0.1 and localhost are other sites; another port of the same host is another origin of the same site.
HOSTS = ["127.0.0.1", "localhost"]

PAGE = """<!doctype html>
<meta charset="utf-8">
<iframe name="frame"></iframe>
<form id="form" method="post" target="frame" action="$DEVICE/properties">
<input name="cross_site" value="changed"></form>
<script>
const device = "$DEVICE", options = {credentials: "include", headers: {Authorization: "Basic dTpw"}};

async function attempt(url, more) {
  try {
    const answer = await fetch(url, {...options, ...more});
    const text = await answer.text();
    return {status: answer.status, reason: text.includes("reason") ? JSON.parse(text).errors[0].reason : ""};
  } catch (failure) {
    return {status: 0, reason: failure.name};
  }
}

const loaded = element => new Promise(done => { element.onload = element.onerror = done; });

async function image(url) {
  const element = new Image(), end = loaded(element);
  element.src = url;
  await end;
}

async function submit() {
  const end = loaded(document.querySelector("iframe"));
  document.querySelector("#form").submit();
  await end;
}

(async () => {
  const found = {
    read: await attempt(`${device}/attributes/double_scalar/value`),
    several: await attempt(`${device}/attributes/value?attr=double_scalar&attr=State`),
    write: await attempt(`${device}/attributes/double_scalar/value?v=77`, {method: "PUT"}),
    command: await attempt(`${device}/commands/DevVoid`, {method: "PUT"}),
    remove: await attempt(`${device}/properties/none`, {method: "DELETE"}),
    clean: await attempt("$BASE/sys/clean/devices"),
  };
  await attempt(`${device}/properties`, {method: "POST", mode: "no-cors", headers: {}, body: "cross_site=changed"});
  await submit();
  await image("$BASE/sys/clean/devices");
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
})();
</script>
"""


def attempts(gateway: Gateway, pages: PageServer, host_path: str, host: str, folder: Path) -> dict[str, Any]:
    """Return what a page of another origin reports of its attempts."""
    page = PAGE.replace("$BASE", gateway.base).replace("$DEVICE", f"{gateway.base}{host_path}/devices/{DEMO_DEVICE}")
    return pages.report(page, host, folder / "profile")


def prepare(gateway: Gateway, host_path: str) -> None:
    """Set a value and a property, and have a device proxy in the cache."""
    device = f"{host_path}/devices/{DEMO_DEVICE}"
    gateway.put(f"{device}/properties?cross_site=first")
    gateway.put(f"{device}/attributes/double_scalar/value?v=1")


def cross_site(gateway: Gateway, host_path: str) -> object:
    return gateway.get(f"{host_path}/devices/{DEMO_DEVICE}/properties/cross_site")


def proxies(gateway: Gateway) -> int:
    cache: Any = gateway.get("/sys/cache/devices")
    return cache["currsize"]


@pytest.fixture(autouse=True)
def _without_property(host_path: str, gateway: Gateway) -> Any:
    yield
    url = f"{gateway.base}{host_path}/devices/{DEMO_DEVICE}/properties/cross_site"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()


@pytest.mark.parametrize("host", HOSTS)
def test_page_of_another_origin_may_read_and_change_nothing(
    gateway: Gateway, pages: PageServer, host_path: str, host: str, tmp_path: Path
) -> None:
    prepare(gateway, host_path)
    before = cross_site(gateway, host_path)
    found = attempts(gateway, pages, host_path, host, tmp_path)
    refused = {"status": 403, "reason": "MTANGO_CrossSite"}
    assert found == {
        "read": {"status": 200, "reason": ""},
        "several": {"status": 200, "reason": ""},
        "write": refused,
        "command": refused,
        "remove": refused,
        "clean": refused,
    }
    assert proxies(gateway) > 0
    assert cross_site(gateway, host_path) == before
    value: Any = gateway.get(f"{host_path}/devices/{DEMO_DEVICE}/attributes/double_scalar/value")
    assert value["value"] != 77


@pytest.mark.parametrize("host", HOSTS)
def test_listed_page_may_do_everything(
    tango_system: EmbeddedTango, pages: PageServer, host_path: str, host: str, tmp_path: Path
) -> None:
    origin = f"http://{host}:{pages.port}"
    with served(COMMAND, tmp_path / "log", MTANGO_CORS_ORIGINS=origin) as gateway:
        prepare(gateway, host_path)
        before = cross_site(gateway, host_path)
        found = attempts(gateway, pages, host_path, host, tmp_path)
        assert {name: answer["reason"] for name, answer in found.items()} == dict.fromkeys(found, "")
        assert all(answer["status"] in (200, 204) for answer in found.values())
        assert proxies(gateway) == 0
        assert cross_site(gateway, host_path) != before


@pytest.mark.parametrize("host", HOSTS)
def test_page_that_is_not_listed_reads_nothing_but_the_refusal(
    tango_system: EmbeddedTango, pages: PageServer, host_path: str, host: str, tmp_path: Path
) -> None:
    with served(COMMAND, tmp_path / "log", MTANGO_CORS_ORIGINS="http://panel.example") as gateway:
        found = attempts(gateway, pages, host_path, host, tmp_path)
        assert all(answer == {"status": 403, "reason": "MTANGO_CrossSite"} for answer in found.values())
