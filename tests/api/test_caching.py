"""For how long answers may be used again, and 304 for who has them already."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import numpy
import pytest
from webtest import TestApp

from tests.api.test_fast_values import of_version
from tests.conftest import DEMO_DEVICE, HAS_PIPES
from tests.hub_thread import in_hub_thread
from tests.live.conftest import wait_until
from tests.metric_values import metric_value
from tests.pytango_process import PyTango


@pytest.fixture
def caching(make_client: Callable[..., TestApp]) -> TestApp:
    """A client of an application whose answers may be used again for a while."""
    return make_client(value_max_age=60.0, metadata_max_age=120.0)


@pytest.fixture
def sender_url(host_url: str, sender: str) -> str:
    return f"{host_url}/devices/{sender}"


VALUES = ["/attributes/ampli/value", "/attributes/value?attr=ampli&attr=State", "/state"]
METADATA = [
    "",
    "/attributes",
    "/attributes/ampli",
    "/attributes/ampli/info",
    "/commands",
    "/commands/DevVoid",
    "/properties",
]


def age(answer: Any) -> int:
    """Seconds for which an answer says that it may be used again."""
    return int(answer.headers["Cache-Control"].removeprefix("max-age="))


def test_without_an_age_nothing_is_used_again(client: TestApp, demo_url: str) -> None:
    for path in VALUES + METADATA:
        answer = client.get(demo_url + path, headers={"If-None-Match": "*"}, status=200)
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "ETag" not in answer.headers


def test_a_value_is_answered_again_until_it_is_too_old(
    make_client: Callable[..., TestApp], sender_url: str, sender: str, pytango: PyTango
) -> None:
    client, url = make_client(value_max_age=2.0), f"{sender_url}/attributes/silent/value"
    before = time.monotonic()
    first = client.get(url)
    pytango.write(sender, "silent", 7.0)
    second = client.get(url)
    if time.monotonic() < before + 2:
        assert second.json == first.json
    wait_until(lambda: client.get(url).json["value"] == 7.0)
    assert time.monotonic() >= before + 2
    assert reads_of(client) == 2


def reads_of(client: TestApp) -> int:
    """Return how often the application of a client has read from Tango; others may follow the same attribute."""
    return int(metric_value(client.app.extensions["mtango"].metrics, "mtango_tango_calls_total", kind="read"))


@pytest.mark.slow
def test_what_is_left_of_the_age_of_a_value_is_told(make_client: Callable[..., TestApp], sender_url: str) -> None:
    client, url = make_client(value_max_age=3.0), f"{sender_url}/attributes/silent/value"
    began = time.monotonic()
    first = client.get(url)
    assert age(first) < 3
    assert -1 <= parsedate_to_datetime(first.headers["Expires"]).timestamp() - time.time() <= 2
    value = first.json
    told = []
    while (answer := client.get(url)).json == value:
        told.append(answer.headers["Cache-Control"])
        left = 3 - (time.monotonic() - began)
        assert answer.headers["Cache-Control"] == "no-cache" or age(answer) <= left + 0.5
    assert {"max-age=1", "no-cache"} <= set(told) <= {"max-age=2", "max-age=1", "no-cache"}
    assert told == sorted(told, key=["max-age=2", "max-age=1", "no-cache"].index)


@pytest.mark.slow
@in_hub_thread
def test_large_value_has_no_tag_where_no_thread_is_free(
    make_client: Callable[..., TestApp], types_url: str, fresh_types: str, pytango: PyTango
) -> None:
    pytango.write(fresh_types, "double_image", numpy.full((600, 600), 0.1))
    client = make_client(value_max_age=60.0, queue_timeout=0.05)
    partitions = client.app.extensions["mtango"].client.partitions
    for partition in (partitions.pictures, partitions.hashes):
        while partition.semaphore.try_acquire():
            pass
    for version in ("rc3", "v11"):
        path = of_version(version, f"{types_url}/attributes/double_image/value")
        for headers in ({}, {"Accept": "application/octet-stream"}, {"If-None-Match": '""'}):
            answer = client.get(path, headers=headers, status=200)
            assert len(answer.body) > 1 << 20
            assert "ETag" not in answer.headers
    partitions.hashes.semaphore.release()
    assert client.get(path, headers={"Accept": "application/octet-stream"}).headers["ETag"]


def test_an_age_below_a_second_is_none_to_http(make_client: Callable[..., TestApp], sender_url: str) -> None:
    answer = make_client(value_max_age=0.9).get(f"{sender_url}/attributes/silent/value")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["ETag"]


@pytest.mark.parametrize("path", VALUES + METADATA)
def test_who_has_an_answer_already_is_told_so(caching: TestApp, demo_url: str, path: str) -> None:
    answer = caching.get(demo_url + path)
    tag = answer.headers["ETag"]
    assert tag.startswith('"')
    for has in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        for ask in (caching.get, caching.head):
            same = ask(demo_url + path, headers={"If-None-Match": has}, status=304)
            assert same.body == b""
            assert (same.headers["ETag"], age(same) > 0) == (tag, True)
            assert same.headers.get("Vary") == answer.headers.get("Vary")
            assert "Expires" in same.headers
            assert "Content-Length" not in same.headers
    assert caching.head(demo_url + path).headers["ETag"] == tag
    for has in ('"other"', tag.strip('"')[1:], "", ",,"):
        assert caching.get(demo_url + path, headers={"If-None-Match": has}, status=200).body == answer.body


def test_a_date_alone_is_never_enough(caching: TestApp, demo_url: str) -> None:
    """HTTP's dates are whole seconds; a value may change a hundred times in one."""
    url = f"{demo_url}/attributes/ampli/value"
    modified = caching.get(url).headers["Last-Modified"]
    caching.get(url, headers={"If-Modified-Since": modified}, status=200)
    caching.get(url, headers={"If-Modified-Since": modified, "If-None-Match": '"other"'}, status=200)


def test_each_form_of_a_value_has_a_tag_of_its_own(caching: TestApp, demo_url: str) -> None:
    url = f"{demo_url}/attributes/uchar_image_ro/value"
    json, png = caching.get(url), caching.get(url, headers={"Accept": "image/png"})
    part = caching.get(f"{url}?filter=value")
    assert png.content_type == "image/png"
    assert len({answer.headers["ETag"] for answer in (json, png, part)}) == 3
    assert {answer.headers["Vary"] for answer in (json, png, part)} == {"Accept, Origin"}
    headers = {"Accept": "image/png", "If-None-Match": json.headers["ETag"]}
    assert caching.get(url, headers=headers, status=200).body == png.body
    caching.get(url, headers={"Accept": "image/png", "If-None-Match": png.headers["ETag"]}, status=304)


def test_an_answer_is_kept_for_one_origin_only(caching: TestApp, demo_url: str) -> None:
    url = f"{demo_url}/commands"
    for headers in ({}, {"Origin": "http://panel"}):
        assert caching.get(url, headers=headers).headers.getall("Vary") == ["Origin"]
    exposed = caching.get(url, headers={"Origin": "http://panel"}).headers["Access-Control-Expose-Headers"]
    assert "ETag" in exposed.split(", ")


def test_a_part_of_a_collection_has_no_tag(caching: TestApp, demo_url: str) -> None:
    part = caching.get(f"{demo_url}/commands?range=0-2", headers={"If-None-Match": "*"}, status=206)
    assert age(part) == 120
    assert "ETag" not in part.headers
    assert caching.get(f"{demo_url}/commands?range=0-1000", status=200).headers["ETag"]


def test_what_a_write_answers_is_never_used_again(caching: TestApp, types_url: str, fresh_types: str) -> None:
    puts = [
        caching.put(f"{types_url}/attributes/long_scalar/value?v=1"),
        caching.put(f"{types_url}/attributes/value?long_scalar=1"),
        caching.put_json(f"{types_url}/attributes/long_scalar/info", {"label": "Long"}),
        caching.put(f"{types_url}/commands/Init"),
        caching.post(f"{types_url}/properties?kept=no"),
    ]
    for answer in puts:
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
    caching.delete(f"{types_url}/properties/kept")


@pytest.mark.parametrize("errors", ["tango", "http"])
def test_a_failure_is_never_used_again(make_client: Callable[..., TestApp], demo_url: str, errors: str) -> None:
    client = make_client(value_max_age=60.0, metadata_max_age=60.0, rc3_errors=errors)
    for path in ("/attributes/nope/value", "/attributes/nope", "/commands/nope", "/commands/DevVoid/history", "/nope"):
        answer = client.get(demo_url + path, expect_errors=True)
        assert answer.json["quality"] == "FAILURE"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
    for path in ("/attributes/value?attr=ampli&attr=nope", "/attributes/info?attr=ampli&attr=nope&filter=!quality"):
        answer = client.get(demo_url + path)
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "ETag" not in answer.headers


def test_a_state_that_cannot_be_read_is_never_used_again(make_client: Callable[..., TestApp], host_url: str) -> None:
    client = make_client(value_max_age=60.0, rc3_mode="implementation")
    answer = client.get(f"{host_url}/devices/no/such/device/state")
    assert answer.json["state"] == "UNKNOWN"
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_failure_is_not_kept(caching: TestApp, sender_url: str, sender: str, pytango: PyTango) -> None:
    pytango.run(sender, "Break", True)
    for path in ("silent/value", "value?attr=silent"):
        assert "broken" in caching.get(f"{sender_url}/attributes/{path}").text
    pytango.run(sender, "Break", False)
    assert caching.get(f"{sender_url}/attributes/silent/value").json["value"] == 0.0
    assert caching.get(f"{sender_url}/attributes/value?attr=silent").json[0]["value"] == 0.0


def test_who_writes_reads_what_was_written(caching: TestApp, sender_url: str) -> None:
    url = f"{sender_url}/attributes/silent/value"
    for level in (1.0, 2.0, 3.0):
        assert caching.put(f"{url}?v={level}").json["value"] == level
        assert caching.get(url).json["value"] == level
        assert caching.get(f"{sender_url}/attributes/value?attr=Silent").json[0]["value"] == level
    caching.put(f"{url}?v=4&async", status=204)
    wait_until(lambda: caching.get(url).json["value"] == 4.0)


def test_states_and_several_values_are_kept_too(
    caching: TestApp, sender_url: str, sender: str, pytango: PyTango
) -> None:
    several = f"{sender_url}/attributes/value?attr=silent&attr=State&attr=SILENT"
    first = caching.get(several).json
    assert [item["name"] for item in first] == ["silent", "State", "silent"]
    assert caching.get(several).json == first
    assert reads_of(caching) == 1
    state = caching.get(f"{sender_url}/state")
    pytango.run(sender, "Break", False)
    assert caching.get(f"{sender_url}/state").json == state.json
    assert 50 < age(state) < 60


def test_the_first_event_is_not_a_kept_value(caching: TestApp, sender_url: str, sender: str, pytango: PyTango) -> None:
    url = f"{sender_url}/attributes/silent"
    caching.get(f"{url}/value")
    pytango.write(sender, "silent", 5.0)
    assert caching.get(f"{url}/value").json["value"] == 0.0
    initial = caching.get(f"{url}/change?state=INITIAL")
    assert (initial.json["value"], initial.headers["Cache-Control"]) == (5.0, "no-cache")
    assert initial.headers["Vary"] == "Accept, Origin"


def test_cleaning_forgets_values(caching: TestApp, sender_url: str, sender: str, pytango: PyTango) -> None:
    url = f"{sender_url}/attributes/silent/value"
    caching.get(url)
    pytango.write(sender, "silent", 5.0)
    caching.get("/tango/rest/sys/clean/devices", status=204)
    assert caching.get(url).json["value"] == 5.0


def test_figures_and_health_are_of_now(caching: TestApp) -> None:
    for url in ("/tango/rest/sys/stats", "/tango/rest/sys/cache/devices", "/healthz"):
        assert caching.get(url).headers["Cache-Control"] == "no-cache"


def test_pipes_and_histories_count_from_when_they_were_asked_for(caching: TestApp, host_url: str) -> None:
    device = f"{host_url}/devices/{DEMO_DEVICE}"
    pipes = ["/pipes/string_long_short_ro"] if HAS_PIPES else []
    for path in [*pipes, "/attributes/double_scalar/history"]:
        assert 50 < age(caching.get(device + path)) < 60
