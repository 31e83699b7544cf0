"""mtango-py's system API."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import pytest
import tango
from webtest import TestApp

from mtango_gevent import __version__
from mtango_gevent.config import SETTINGS
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import list_hosts
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.hub_thread import in_hub_thread
from tests.waiting import wait_until

BASE = "/tango/rest/sys"


@pytest.fixture
def client(make_client: Callable[..., TestApp]) -> TestApp:
    """With counts of its own."""
    return make_client()


def test_the_entry_point_has_mtango_pys_links_and_ours(client: TestApp) -> None:
    url = f"http://localhost{BASE}"
    assert client.get(BASE).json == {
        "stats": f"{url}/stats",
        "devices": f"{url}/devices",
        "streams": f"{url}/streams",
        "gc": [f"{url}/clean/devices", f"{url}/clean/attributes"],
        "active": [f"{url}/active/devices", f"{url}/active/attributes"],
        "config": f"{url}/config",
        "whoami": f"{url}/whoami",
        "login": f"{url}/login",
        "failures": f"{url}/failures",
        "version": f"mtango-gevent {__version__}",
    }


def test_every_request_is_counted_and_every_response(client: TestApp, demo_url: str) -> None:
    for url in (BASE, f"{demo_url}/state", "/nope", "/tango/rest/rc3/hosts/h/x"):
        client.get(url, expect_errors=True)
    figures = client.get(f"{BASE}/stats").json
    assert (figures["requests"], figures["responses"], figures["failures"]) == (5, 4, 2)
    assert "errors" not in {*figures, *figures["workers"][0]}
    assert figures["workers"][0]["failures"] == 2
    assert figures["running_since"] <= figures["time"]
    assert figures["proxies"]["device"] >= 1
    assert figures["resource"]["max_resident_mem"] > 0
    assert set(figures["resource"]) == {
        *("user_time", "system_time", "max_resident_mem", "shared_mem", "unshared_mem", "unshared_stack_mem"),
        *("sent_msgs", "recv_msgs", "page_faults", "swap_out", "block", "signals", "context_switch"),
    }


def test_caches_fill_and_are_cleaned(client: TestApp, demo_url: str) -> None:
    for _ in range(2):
        client.get(f"{demo_url}/attributes/ampli/value")
        client.put(f"{demo_url}/attributes/ampli/value?v=1")  # checked against the configuration, which is kept
    for cache in ("devices", "attributes"):
        figures = client.get(f"{BASE}/cache/{cache}").json
        assert figures == client.get(f"{BASE}/active/{cache}").json
        assert set(figures) == {"hits", "misses", "currsize", "maxsize"}
        assert figures["hits"] > 0
        assert figures["currsize"] > 0
    client.get(f"{BASE}/clean/attributes", status=204)
    assert client.get(f"{BASE}/cache/attributes").json["currsize"] == 0
    assert client.get(f"{BASE}/cache/devices").json["currsize"] > 0
    cleaned = client.get(f"{BASE}/clean/devices", status=204)
    assert cleaned.body == b""
    assert client.get(f"{BASE}/cache/devices").json["currsize"] == 0


def test_the_config_shows_every_setting(client: TestApp, tango_system: EmbeddedTango) -> None:
    config = client.get(f"{BASE}/config").json
    java_settings = {"dynamicValueExpirationDelay", "staticValueExpirationDelay", "capacity", "cacheEnabled"}
    assert set(config) == {*SETTINGS, *java_settings, "version", "TANGO_HOST"}
    assert config["version"] == __version__
    assert config["TANGO_HOST"] == tango_system.tango_host
    assert config["app_base"] == "/tango/rest"


def test_an_unknown_cache_is_404(client: TestApp) -> None:
    for path in ("cache", "active", "clean"):
        assert "devices" in client.get(f"{BASE}/{path}/nope", status=404).json["errors"][0]["description"]


def test_devices_that_were_asked_are_listed_with_their_circuits(client: TestApp, demo_url: str) -> None:
    client.get(f"{demo_url}/attributes/ampli/value")
    client.get(f"{demo_url}/attributes/nope/value")
    (device,) = [row for row in client.get(f"{BASE}/devices").json if row["name"] == "sys/tg_test/1"]
    assert (device["state"], device["server"], device["timeouts"]) == ("closed", "MtangoDemo/demo", 0)
    assert device["calls"] >= 2
    assert 0 < device["mean_time"] < 5
    assert "nope" in device["last_error"]
    assert not device["in_flight"]


def test_names_that_nobody_has_are_no_devices(client: TestApp, host_url: str) -> None:
    client.get(f"{host_url}/devices/no/such/device/state")
    assert "no/such/device" not in {row["name"] for row in client.get(f"{BASE}/devices").json}


def test_open_streams_are_shown_with_their_client_and_attributes(client: TestApp, sender: str) -> None:
    tango_client = client.app.extensions["mtango"].client
    assert client.get(f"{BASE}/streams").json == []
    stream = tango_client.streams.open("sse", "ada", "10.0.0.1")
    stream.add("a", functools.partial(Device(list_hosts(tango_client)[0], sender).listen, "sent0", "change", True))
    wait_until(lambda: stream.take(1))
    (row,) = client.get(f"{BASE}/streams").json
    assert row["feeds"][0].pop("since") >= row.pop("since")
    assert row == {
        "id": stream.id,
        "worker": os.getpid(),
        "transport": "sse",
        "user": "ada",
        "address": "10.0.0.1",
        "sent": 1,
        "dropped": 0,
        "lag": 0,
        "attributes": 1,
        "feeds": [{"source": f"change of {sender}/sent0", "sent": 1, "dropped": 0, "failure": None}],
    }
    stream.close()
    assert client.get(f"{BASE}/streams").json == []
    tango_client.events.clear()
    wait_until(lambda: not tango_client.events.info()["subscriptions"])


def test_cache_settings_of_java_server_are_reported(make_client: Callable[..., TestApp]) -> None:
    config = make_client(value_max_age=0.1, metadata_max_age=1.0).get(f"{BASE}/config").json
    assert (config["dynamicValueExpirationDelay"], config["staticValueExpirationDelay"]) == (100, 1000)
    assert (config["capacity"], config["cacheEnabled"]) == (1024, True)
    assert make_client().get(f"{BASE}/config").json["cacheEnabled"] is False


def test_failed_requests_are_found_by_their_id(client: TestApp, demo_url: str) -> None:
    headers = {"X-Request-ID": "of-a-test", "User-Agent": "x"}
    answer = client.get(f"{demo_url}/attributes/nope/value?token=secret", headers=headers)
    client.get("/nope", expect_errors=True)
    client.get(f"{BASE}/stats")
    newest, oldest = client.get(f"{BASE}/failures").json
    assert (newest["status"], newest["reason"], newest["url"]) == (404, "MTANGO_Http404", "/nope")
    (row,) = client.get(f"{BASE}/failures?request=of-a-test").json
    assert row == oldest
    assert row["url"].endswith("/attributes/nope/value?token=***")
    assert (row["id"], row["status"], row["worker"]) == (answer.headers["X-Request-ID"], 200, os.getpid())
    assert (row["reason"], row["method"], row["device"]) == ("API_AttrNotFound", "GET", "sys/tg_test/1")
    assert "nope" in row["description"]
    assert 0 < row["tango"] < row["duration"]
    assert client.get(f"{BASE}/failures?request=another").json == []


def test_texts_of_a_failed_request_are_cut(client: TestApp) -> None:
    client.get(f"/{'x' * 1000}", extra_environ={"REMOTE_ADDR": "a" * 1000}, status=404)
    (row,) = client.get(f"{BASE}/failures").json
    assert {name for name, value in row.items() if isinstance(value, str) and len(value) > 500} == set()
    assert row["address"] == "a" * 500


def test_the_last_failed_requests_are_kept(client: TestApp) -> None:
    for number in range(205):
        client.get("/nope", headers={"X-Request-ID": str(number)}, expect_errors=True)
    rows = client.get(f"{BASE}/failures").json
    assert [row["id"] for row in rows] == [str(number) for number in range(204, 4, -1)]


@in_hub_thread
def test_failed_requests_are_published_later_where_no_thread_is_free(make_client: Callable[..., TestApp]) -> None:
    client = make_client(queue_timeout=0.05)
    state = client.app.extensions["mtango"]
    files = state.client.partitions.files.semaphore
    client.get("/nope", headers={"X-Request-ID": "of-a-test"}, status=404)
    assert files.try_acquire()
    with pytest.raises(tango.DevFailed, match="MTANGO_PoolExhausted"):
        state.failed_requests.publish()
    files.release()
    state.failed_requests.publish()
    assert [row["id"] for row in state.client.metrics.scoreboard.read_failures()] == ["of-a-test"]


def test_statistics_have_the_streams_and_the_delay_of_the_loop(client: TestApp) -> None:
    figures = client.get(f"{BASE}/stats").json
    for part in (figures, figures["workers"][0]):
        assert part["streams"] == {"open": 0, "feeds": 0, "sent": 0, "dropped": 0, "lag": 0.0}
        assert part["hub"] == {"lag": 0.0}


def test_failures_of_devices_are_counted(client: TestApp, demo_url: str) -> None:
    def failures() -> int:
        (device,) = [row for row in client.get(f"{BASE}/devices").json if row["name"] == "sys/tg_test/1"]
        return device["failures"]

    client.get(f"{demo_url}/attributes/ampli/value")
    before = failures()
    client.get(f"{demo_url}/attributes/throw_exception/value")
    assert failures() == before + 1
