"""Events over HTTP: requests that wait for the next one. Here each waits in a thread; tests/live has greenlets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from webtest import TestApp

from tests.conftest import SENDER_DEVICE, TYPES_DEVICE
from tests.live.conftest import wait_until
from tests.pytango_process import PyTango

KINDS = ("change", "periodic", "user", "archive", "alarm")


@pytest.fixture
def attributes(host_url: str, sender: str) -> str:
    """The URL of the sender's attributes."""
    return f"{host_url}/devices/{sender}/attributes"


@pytest.fixture
def listening(make_client: Callable[..., TestApp]) -> Iterator[Callable[..., TestApp]]:
    """A client of an application that listens to nothing yet, nor after the test."""
    made: list[TestApp] = []

    def make(**settings: Any) -> TestApp:
        made.append(make_client(**settings))
        return made[-1]

    yield make
    for client in made:
        client.get("/tango/rest/sys/clean/devices", status=204)


@pytest.fixture
def app_client(listening: Callable[..., TestApp]) -> TestApp:
    """It often reads what sends no events."""
    return listening(event_poll_period=0.05)


class Waiting:
    """Requests that wait, each in a thread."""

    def __init__(self, client: TestApp, threads: ThreadPoolExecutor) -> None:
        self._client = client
        self._threads = threads
        self._begun = 0

    def begin(self, url: str, **options: Any) -> Future[Any]:
        """Returns once the request listens."""
        self._begun += 1
        request = self._threads.submit(self._client.get, url, **options)
        wait_until(lambda: figures(self._client)["listeners"] == self._begun or request.done())
        return request


def figures(client: TestApp) -> dict[str, int]:
    return client.get("/tango/rest/sys/stats").json["events"]


def send(client: TestApp, pytango: PyTango, command: str, argument: str | None = None) -> None:
    """Have the sender send one event, and wait until the gateway has it."""
    came = figures(client)["received"]
    pytango.run(SENDER_DEVICE, command, argument)
    wait_until(lambda: figures(client)["received"] == came + 1)


@pytest.fixture
def waiting(app_client: TestApp) -> Iterator[Waiting]:
    with ThreadPoolExecutor(8) as threads:
        yield Waiting(app_client, threads)


@pytest.mark.parametrize("kind", ["change", "user", "archive"])
def test_the_next_event_is_answered(
    waiting: Waiting, attributes: str, sender: str, pytango: PyTango, kind: str
) -> None:
    before = int(time.time() * 1000)
    request = waiting.begin(f"{attributes}/sent0/{kind}")
    pytango.run(sender, "SendOne", kind)
    event = request.result(30).json
    assert event == {"name": "sent0", "value": 1, "quality": "ATTR_VALID", "timestamp": event["timestamp"]}
    assert before <= event["timestamp"] <= time.time() * 1000


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, kind) for name in ("Position", "State") for kind in ("change", "user", "archive")],
        ("Position", "alarm"),  # the State has no other quality
    ],
)
def test_events_have_the_spelling_of_the_device(
    waiting: Waiting, attributes: str, sender: str, pytango: PyTango, name: str, kind: str
) -> None:
    request = waiting.begin(f"{attributes}/{name.upper()}/{kind}")
    pytango.run(sender, "SendPosition", kind)
    assert request.result(30).json["name"] == name


@pytest.mark.parametrize("kind", KINDS)
def test_the_value_of_now_has_the_spelling_of_the_device(app_client: TestApp, attributes: str, kind: str) -> None:
    assert app_client.get(f"{attributes}/POSITION/{kind}?state=INITIAL").json["name"] == "Position"
    failure = app_client.get(f"{attributes}/POSITION/user?timeout=1").json["errors"][0]
    assert failure["description"].startswith("no user event of test/sender/1/Position ")


def test_an_alarm_event_is_a_change_of_the_quality(
    waiting: Waiting, app_client: TestApp, attributes: str, sender: str, pytango: PyTango
) -> None:
    request = waiting.begin(f"{attributes}/Position/alarm")
    pytango.run(sender, "SendPosition", "change")
    pytango.run(sender, "SendPosition", "change")
    pytango.run(sender, "SendPosition", "alarm")
    event = request.result(30).json
    assert (event["value"], event["quality"]) == (3, "ATTR_ALARM")
    assert figures(app_client)["polled"] == 0


def test_listening_to_alarms_leaves_the_values_of_change_events_right(
    waiting: Waiting, app_client: TestApp, attributes: str, pytango: PyTango
) -> None:
    """Which they are not after a subscription to Tango's alarm events."""
    app_client.get(f"{attributes}/sent0/alarm?state=INITIAL")
    cursor = app_client.get(f"{attributes}/sent0/change?state=INITIAL").headers["X-Event-Cursor"]
    for value in (1, 2, 3):
        pytango.run(SENDER_DEVICE, "SendOne", "change")
        answer = app_client.get(f"{attributes}/sent0/change?last={cursor}")
        assert answer.json["value"] == value
        cursor = answer.headers["X-Event-Cursor"]


def test_periodic_events_come_by_themselves(app_client: TestApp, host_url: str) -> None:
    url = f"{host_url}/devices/demo/motor/1/attributes/position/periodic"
    first, second = app_client.get(url).json, app_client.get(url).json
    assert first["name"] == second["name"] == "position"
    assert second["timestamp"] > first["timestamp"]


def test_all_who_wait_have_the_event_from_one_subscription(
    waiting: Waiting, app_client: TestApp, attributes: str, sender: str, pytango: PyTango
) -> None:
    pytango.fill_black_box("dserver/Slow/sender")
    requests = [waiting.begin(f"{attributes}/{name}/change") for name in ("sent0", "SENT0", "sent0", "Sent0")]
    assert figures(app_client)["subscriptions"] == 1
    pytango.run(sender, "SendOne", "change")
    assert [request.result(30).json["value"] for request in requests] == [1] * 4
    assert [request.result(30).json["name"] for request in requests] == ["sent0"] * 4
    assert pytango.count_in_black_box("dserver/Slow/sender", "ZmqEventSubscriptionChange") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_initial_is_the_value_of_now(app_client: TestApp, attributes: str, kind: str) -> None:
    event = app_client.get(f"{attributes}/sent0/{kind}?state=INITIAL").json
    assert (event["name"], event["value"], event["quality"]) == ("sent0", 0, "ATTR_VALID")
    assert figures(app_client)["subscriptions"] == 1


def test_continuation_waits(app_client: TestApp, attributes: str) -> None:
    failure = app_client.get(f"{attributes}/sent0/change?state=continuation&timeout=1").json
    assert failure["errors"][0]["reason"] == "API_EventTimeout"


def test_nothing_is_lost_between_two_requests(app_client: TestApp, attributes: str, pytango: PyTango) -> None:
    url = f"{attributes}/sent0/change"
    last = app_client.get(f"{url}?state=INITIAL").json["timestamp"]
    for _ in range(3):
        send(app_client, pytango, "SendOne", "change")
    for value in (1, 2, 3):
        event = app_client.get(f"{url}?last={last}").json
        assert event["value"] == value
        last = event["timestamp"]
    assert "errors" in app_client.get(f"{url}?last={last}&timeout=1").json
    assert "errors" in app_client.get(f"{url}?timeout=1").json


def test_a_failure_is_told_once_and_what_comes_behind_it_is_not_lost(
    app_client: TestApp, attributes: str, pytango: PyTango
) -> None:
    url = f"{attributes}/sent0/change"
    last = app_client.get(f"{url}?state=INITIAL").json["timestamp"]
    send(app_client, pytango, "SendFailure")
    send(app_client, pytango, "SendOne", "change")
    failure = app_client.get(f"{url}?last={last}").json
    assert failure["errors"][0]["reason"] == "Sender_Broken"
    assert app_client.get(f"{url}?last={failure['timestamp']}").json["value"] == 1


def test_a_cursor_continues_behind_each_kind_of_answer(app_client: TestApp, attributes: str, pytango: PyTango) -> None:
    url = f"{attributes}/sent0/change"
    cursor = app_client.get(f"{url}?state=INITIAL").headers["X-Event-Cursor"]
    send(app_client, pytango, "SendFailure")
    send(app_client, pytango, "SendOne", "change")
    send(app_client, pytango, "SendOne", "change")
    found = []
    for _ in range(5):
        answer = app_client.get(f"{url}?last={cursor}&timeout=1")
        found.append(answer.json.get("value") or answer.json["errors"][0]["reason"])
        cursor = answer.headers["X-Event-Cursor"]
        assert "X-Event-Lost" not in answer.headers
    assert found == ["Sender_Broken", 1, 2, "API_EventTimeout", "API_EventTimeout"]
    send(app_client, pytango, "SendOne", "change")
    assert app_client.get(f"{url}?last={cursor}").json["value"] == 3


@pytest.mark.parametrize("header", [None, "X-Event-Cursor"])
def test_a_clock_that_is_behind_loses_no_event(
    app_client: TestApp, attributes: str, pytango: PyTango, header: str | None
) -> None:
    """Neither with cursors nor with the timestamps of all answers, those of the gateway's clock among them."""
    url = f"{attributes}/Position/change"

    def position(answer: Any) -> str:
        return answer.headers[header] if header else answer.json["timestamp"]

    last = position(app_client.get(f"{url}?state=INITIAL"))
    for value in (1, 2, 3):
        last = position(app_client.get(f"{url}?last={last}&timeout=1"))
        send(app_client, pytango, "SendPositionFromPast", 2.0)
        answer = app_client.get(f"{url}?last={last}&timeout=1000")
        assert answer.json["value"] == value
        last = position(answer)


def test_a_kept_failure_is_told_once_also_to_a_client_that_keeps_timestamps_of_values(
    app_client: TestApp, attributes: str, pytango: PyTango
) -> None:
    url = f"{attributes}/sent0/change"
    app_client.get(f"{url}?state=INITIAL")
    send(app_client, pytango, "SendOne", "change")
    last = app_client.get(f"{url}?last=1").json["timestamp"]
    last = app_client.get(f"{url}?last={last}").json["timestamp"]
    send(app_client, pytango, "SendFailure")
    reasons = [app_client.get(f"{url}?last={last}&timeout=1").json["errors"][0]["reason"] for _ in range(3)]
    assert reasons == ["Sender_Broken", "API_EventTimeout", "API_EventTimeout"]
    send(app_client, pytango, "SendOne", "change")
    assert app_client.get(f"{url}?last={last}").json["value"] == 2


@pytest.mark.parametrize("header", [None, "X-Event-Cursor"])
def test_what_went_before_the_client_had_it_is_counted(
    app_client: TestApp, attributes: str, pytango: PyTango, header: str | None
) -> None:
    url = f"{attributes}/sent0/change"
    answer = app_client.get(f"{url}?state=INITIAL")
    last = answer.headers[header] if header else answer.json["timestamp"]
    pytango.run(SENDER_DEVICE, "Send", [1.0, 600.0, 2000.0])
    wait_until(lambda: figures(app_client)["received"] == 600)
    answer = app_client.get(f"{url}?last={last}")
    assert (answer.json["value"], answer.headers["X-Event-Lost"]) == (345, "344")
    assert figures(app_client)["dropped"] == 344
    assert "X-Event-Lost" not in app_client.get(f"{url}?last={answer.headers['X-Event-Cursor']}").headers
    assert figures(app_client)["dropped"] == 344


def test_a_cursor_of_another_worker_continues_behind_the_same_event(
    app_client: TestApp, listening: Callable[..., TestApp], attributes: str, pytango: PyTango
) -> None:
    url, other = f"{attributes}/sent0/change", listening(event_poll_period=0.05)
    for client in (app_client, other):
        client.get(f"{url}?state=INITIAL")
    for _ in range(4):
        send(other, pytango, "SendOne", "change")
    wait_until(lambda: figures(app_client)["received"] == 4)
    last = app_client.get(f"{url}?last=1").headers["X-Event-Cursor"]
    for value, client in enumerate((app_client, other, app_client, other), 1):
        answer = client.get(f"{url}?last={last}")
        assert answer.json["value"] == value
        assert ("X-Event-Lost" in answer.headers) is False
        last = answer.headers["X-Event-Cursor"]


def test_a_cursor_that_is_not_known_gives_what_has_come_since_and_says_so(
    app_client: TestApp, listening: Callable[..., TestApp], attributes: str, pytango: PyTango
) -> None:
    """As after a restart of the gateway."""
    url, old = f"{attributes}/sent0/change", listening()
    cursor = old.get(f"{url}?state=INITIAL").headers["X-Event-Cursor"]
    pytango.run(SENDER_DEVICE, "SendOne", "change")
    answer = app_client.get(f"{url}?last={cursor}")
    assert (answer.json["value"], answer.headers["X-Event-Lost"]) == (1, "unknown")
    answer = app_client.get(f"{url}?last={answer.headers['X-Event-Cursor']}&timeout=1")
    assert "errors" in answer.json
    assert "X-Event-Lost" not in answer.headers


def test_a_failure_to_listen_has_a_cursor_too(app_client: TestApp, attributes: str) -> None:
    answer = app_client.get(f"{attributes}/nope/change?last=e0123456789ab.1.1.1")
    assert answer.headers["X-Event-Cursor"] == "e0123456789ab.1.1.1"
    answer = app_client.get(f"{attributes}/nope/change")
    assert answer.json["errors"][0]["reason"] == "API_AttrNotFound"
    again = app_client.get(f"{attributes}/sent0/change?timeout=1000&last={answer.headers['X-Event-Cursor']}")
    assert (again.json["value"], again.headers["X-Event-Lost"]) == (0, "unknown")


def test_pages_of_other_origins_see_the_cursor(app_client: TestApp, attributes: str) -> None:
    answer = app_client.get(f"{attributes}/sent0/change?timeout=1", headers={"Origin": "http://panel.example"})
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"X-Event-Cursor", "X-Event-Lost"} <= set(exposed.split(", "))


def test_last_is_in_the_unit_of_the_timestamps(listening: Callable[..., TestApp], attributes: str) -> None:
    client = listening(rc3_timestamps="s")
    url = f"{attributes}/sent0/change"
    now = client.get(f"{url}?state=INITIAL").json["timestamp"]
    assert client.get(f"{url}?last={now - 10}").json["value"] == 0
    assert "errors" in client.get(f"{url}?last={now + 1}&timeout=1").json


def test_nothing_in_time_is_a_failure_that_says_what_was_waited_for(app_client: TestApp, attributes: str) -> None:
    failure = app_client.get(f"{attributes}/sent0/change?timeout=50").json
    (error,) = failure["errors"]
    assert failure["quality"] == "FAILURE"
    assert error["reason"] == "API_EventTimeout"
    assert error["description"] == "no change event of test/sender/1/sent0 within 0.05 s"


def test_nothing_in_time_is_no_failure_of_the_gateway(listening: Callable[..., TestApp], attributes: str) -> None:
    client = listening(rc3_errors="http")
    before = client.get("/tango/rest/sys/stats").json["failures"]
    answer = client.get(f"{attributes}/sent0/change?timeout=1", status=200)
    assert answer.json["errors"][0]["origin"] == "mtango-gevent"
    assert "Retry-After" not in answer.headers
    assert "http_status" not in answer.json
    assert client.get("/tango/rest/sys/stats").json["failures"] == before


def test_the_longest_wait_is_a_setting(listening: Callable[..., TestApp], attributes: str) -> None:
    client = listening(event_timeout=1)
    failure = client.get(f"{attributes}/sent0/change?timeout=100000000").json
    assert failure["errors"][0]["description"].endswith("within 1 s")


def test_an_event_that_is_a_failure_is_that_failure(
    waiting: Waiting, attributes: str, sender: str, pytango: PyTango
) -> None:
    request = waiting.begin(f"{attributes}/sent0/change")
    pytango.run(sender, "SendFailure")
    failure = request.result(30).json
    assert failure["quality"] == "FAILURE"
    assert failure["errors"][0]["reason"] == "Sender_Broken"


@pytest.mark.parametrize("kind", ["change", "periodic", "archive"])
def test_what_sends_no_events_is_read(
    waiting: Waiting, app_client: TestApp, attributes: str, sender: str, pytango: PyTango, kind: str
) -> None:
    requests = [waiting.begin(f"{attributes}/silent/{kind}") for _ in range(4)]
    assert figures(app_client)["polled"] == 1
    pytango.write(sender, "silent", 2.5)
    if kind == "periodic":  # comes also when nothing has changed
        assert all(request.result(30).json["value"] in (0.0, 2.5) for request in requests)
    else:
        assert [request.result(30).json["value"] for request in requests] == [2.5] * 4


def test_it_is_read_once_for_all_who_wait(
    listening: Callable[..., TestApp], attributes: str, sender: str, pytango: PyTango
) -> None:
    client = listening(event_poll_period=0.5)
    with ThreadPoolExecutor(8) as threads:
        begin = time.monotonic()
        requests = [threads.submit(client.get, f"{attributes}/silent/change?timeout=2000") for _ in range(8)]
        assert all("errors" in request.result(30).json for request in requests)
        periods = (time.monotonic() - begin) / 0.5
    # Eight separate readers would read eight times per period. Listeners of earlier tests may add some reads.
    assert 2 <= pytango.read(sender, "reads") <= 2 * periods + 2


def test_reading_it_fails_and_recovers(
    waiting: Waiting, app_client: TestApp, attributes: str, sender: str, pytango: PyTango
) -> None:
    url = f"{attributes}/silent/change"
    request = waiting.begin(url)
    pytango.run(sender, "Break", True)
    assert "broken" in request.result(30).json["errors"][0]["description"]
    pytango.run(sender, "Break", False)
    wait_until(lambda: app_client.get(url).json.get("value") == 0.0)


def test_a_value_that_is_not_a_number_does_not_change(app_client: TestApp, types_url: str) -> None:
    url = f"{types_url}/attributes/nan_scalar/change?timeout=300"
    assert app_client.get(url).json["errors"][0]["reason"] == "API_EventTimeout"
    assert figures(app_client)["polled"] == 1


@pytest.mark.parametrize(
    "name", ["string_spectrum", "double_image", "encoded_scalar", "enum_scalar", "State", "empty_spectrum"]
)
def test_events_have_the_shape_of_values(app_client: TestApp, types_url: str, name: str) -> None:
    event = app_client.get(f"{types_url}/attributes/{name}/periodic").json
    value = app_client.get(f"{types_url}/attributes/{name}/value").json
    assert {**event, "timestamp": 0} == {**value, "timestamp": 0}


def test_an_image_can_be_a_picture(app_client: TestApp, host_url: str) -> None:
    url = f"{host_url}/devices/demo/camera/1/attributes/image/change?state=INITIAL"
    assert app_client.get(url, headers={"Accept": "image/png"}).body.startswith(b"\x89PNG")


def test_events_are_not_to_be_used_again(listening: Callable[..., TestApp], attributes: str) -> None:
    client = listening(value_max_age=60)
    answer = client.get(f"{attributes}/sent0/change?state=INITIAL")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Last-Modified" in answer.headers


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("timeout=soon", "timeout: expected a whole number of at most 15 digits, got 'soon'"),
        ("timeout=-1", "got '-1'"),
        ("timeout=1.5", "got '1.5'"),
        ("timeout=", "got ''"),
        ("timeout=" + "9" * 16, "timeout: expected"),
        ("timeout=1&timeout=2", "timeout: expected one value, got 2"),
        ("last=x", "last: expected a whole number of at most 15 digits, got 'x'"),
        ("last=e12.1", "got 'e12.1'"),
        ("state=FINAL", "state: expected one of CONTINUATION, INITIAL, got 'FINAL'"),
        ("state=", "state: expected one of CONTINUATION, INITIAL, got ''"),
    ],
)
def test_what_cannot_be_is_refused(app_client: TestApp, attributes: str, query: str, named: str) -> None:
    error = app_client.get(f"{attributes}/sent0/change?{query}", status=400).json["errors"][0]
    assert named in error["description"]
    assert figures(app_client)["subscriptions"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_attribute_is_a_failure(app_client: TestApp, attributes: str, kind: str) -> None:
    failure = app_client.get(f"{attributes}/nope/{kind}").json
    assert failure["errors"][0]["reason"] == "API_AttrNotFound"
    assert figures(app_client)["subscriptions"] == 0


def test_an_unknown_device_and_one_that_is_not_running_are_failures(app_client: TestApp, host_url: str) -> None:
    unknown = app_client.get(f"{host_url}/devices/no/such/device/attributes/State/change").json
    assert "DB_DeviceNotDefined" in {error["reason"] for error in unknown["errors"]}


def test_an_unknown_kind_is_no_url(app_client: TestApp, attributes: str) -> None:
    app_client.get(f"{attributes}/sent0/quality", status=404)


def test_nobody_listens_any_more(listening: Callable[..., TestApp], attributes: str) -> None:
    client = listening(event_linger=0, event_poll_period=0.05)
    client.get(f"{attributes}/sent0/change?timeout=1")
    client.get(f"{attributes}/silent/change?timeout=1")
    wait_until(lambda: figures(client)["subscriptions"] == 0)


def test_cleaning_lets_go_what_nobody_listens_to(
    waiting: Waiting, app_client: TestApp, attributes: str, sender: str, pytango: PyTango
) -> None:
    request = waiting.begin(f"{attributes}/sent0/change")
    app_client.get(f"{attributes}/silent/change?state=INITIAL")
    app_client.get("/tango/rest/sys/clean/devices", status=204)
    wait_until(lambda: figures(app_client)["subscriptions"] == 1)
    pytango.run(sender, "SendOne", "change")
    assert request.result(30).json["value"] == 1
    wait_until(lambda: figures(app_client)["subscriptions"] == 0)


def test_the_device_with_one_of_everything_sends_or_is_read(app_client: TestApp, types_url: str) -> None:
    """Whatever its type, waiting for an attribute ends in an event."""
    names = [each["name"] for each in app_client.get(f"{types_url}/attributes?filter=name").json]
    assert len(names) > 50
    for name in names:
        event = app_client.get(f"{types_url}/attributes/{name}/periodic?last=1&timeout=5000").json
        assert "errors" not in event or event["errors"][0]["reason"] != "API_EventTimeout", (TYPES_DEVICE, name)
