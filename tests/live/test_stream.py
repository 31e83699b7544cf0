"""The WebSocket of a real gunicorn."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest
import websocket

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.pytango_process import PyTango
from tests.stream_client import StreamClient

from .conftest import COMMAND, Gateway, served, wait_until

KILOBYTES_OF_A_SOCKET = 60
FRAME_BYTES = 256 << 10


@pytest.fixture
def fresh(tango_system: EmbeddedTango, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of the test's own, which pings often."""
    with served(COMMAND, tmp_path / "log", MTANGO_STREAM_HEARTBEAT="0.3") as gateway:
        yield gateway


# --- records ---


def test_configuration_comes_once_and_then_only_what_changes(gateway: Gateway, sender: str, pytango: PyTango) -> None:
    with StreamClient(gateway.port) as client:
        client.follow(sender, "sent0", keep="all")
        client.receive_until(lambda: client.records)
        for _ in range(3):
            pytango.run(sender, "SendOne", "change")
        client.receive_until(lambda: client.values(1)[-1:] == [3])
    (configuration,) = client.configurations
    assert (configuration["id"], configuration["name"], configuration["data_type"]) == (1, "sent0", "DevLong")
    first, *others = client.records
    assert set(first) == {"id", "value", "quality", "time"}
    assert all(set(record) == {"id", "value", "time"} for record in others)


@pytest.mark.slow
def test_configuration_comes_though_the_gateway_has_dropped_it(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with (
        served(COMMAND, tmp_path / "log", MTANGO_METADATA_LIFETIME="1") as gateway,
        StreamClient(gateway.port) as first,
        StreamClient(gateway.port) as second,
    ):
        first.follow("demo/motor/1", "velocity")
        first.receive_until(lambda: first.configurations)
        time.sleep(2)
        second.follow("demo/motor/1", "velocity")
        second.receive_until(lambda: second.configurations, 5)  # without being asked for it would take 20 s
    assert second.configurations == first.configurations


@pytest.mark.slow
def test_configuration_comes_again_when_it_changes(gateway: Gateway, host_path: str, fresh_types: str) -> None:
    with StreamClient(gateway.port) as client:
        client.follow(fresh_types, "double_scalar")
        client.receive_until(lambda: client.configurations)
        before, path = client.configurations[0], f"{host_path}/devices/{fresh_types}/attributes/double_scalar/info"
        time.sleep(1)  # until Tango tells of changes
        gateway.put(path, json.dumps({"unit": "furlong"}))
        client.receive_until(lambda: len(client.configurations) > 1)
        gateway.put(path, json.dumps({"unit": before["unit"]}))
    assert client.configurations[1] == {**before, "unit": "furlong"}


def test_failures_are_records_and_other_subscriptions_go_on(gateway: Gateway, tango_system: EmbeddedTango) -> None:
    with StreamClient(gateway.port) as client:
        client.follow(DEMO_DEVICE, "State", "no_such_attribute")
        client.follow(f"tango://{tango_system.tango_host}/{DEMO_DEVICE}", "ampli", first=3)
        client.follow("no/such/device", "State", first=4)
        client.follow(f"tango://no.such.host.invalid:10000/{DEMO_DEVICE}", "State", first=8)
        client.follow(f"tango://127.0.0.1:1/{DEMO_DEVICE}", "State", first=9)
        client.send(subscribe=[{"id": 5, "device": "nonsense", "attribute": "x"}, {"id": 6, "event": "sometimes"}, 7])
        client.receive_until(lambda: {record["id"] for record in client.records} == {1, 2, 3, 4})
        client.receive_until(lambda: len(client.failures) == 5)
    assert client.of(2)[0]["errors"][0]["reason"] == "API_AttrNotFound"
    assert client.of(4)[0]["errors"][0]["reason"] == "DB_DeviceNotDefined"
    assert [failure.get("id") for failure in client.failures] == [8, 9, 5, 6, None]
    assert {failure["errors"][0]["reason"] for failure in client.failures[:2]} == {"MTANGO_UnknownTangoHost"}


def test_unsubscribed_attribute_sends_no_more(gateway: Gateway, sender: str, pytango: PyTango) -> None:
    with StreamClient(gateway.port) as client:
        client.follow(sender, "sent0", "Position")
        client.receive_until(lambda: client.of(1) and client.of(2))
        client.send(unsubscribe=[1], ping="done")
        client.receive_until(lambda: client.pongs)
        seen = len(client.of(1))
        pytango.run(sender, "SendOne", "change")
        pytango.run(sender, "SendPosition", "change")
        client.receive_until(lambda: client.values(2)[-1:] == [1])
        assert len(client.of(1)) == seen


def test_hundred_values_of_which_ten_change_take_a_fraction_of_whole_records(
    gateway: Gateway, sender: str, pytango: PyTango
) -> None:
    rounds, v11 = 5, []
    with StreamClient(gateway.port) as client:
        client.follow(sender, *(f"sent{number}" for number in range(99)), "Position", keep="all")
        client.receive_until(lambda: len({record["id"] for record in client.records}) == 100)
        before, records = client.size, len(client.records)
        pytango.run(sender, "Send", [10.0, float(rounds), 10.0])
        client.receive_until(lambda: len(client.records) == records + 10 * rounds)
    for record in client.records[:100]:
        attribute = f"sent{record['id'] - 1}"
        whole = {"name": attribute, "host": "127.0.0.1:10000", "device": sender, "value": record["value"]}
        v11.append({**whole, "quality": record["quality"], "timestamp": record["time"] // 1000})
    assert client.size - before <= 0.3 * rounds * len(json.dumps(v11))


@pytest.mark.slow
def test_configuration_that_comes_late_is_not_that_of_another_subscription(
    tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    device, command = "test/paused/1", [sys.executable, str(Path(__file__).parents[1] / "odd_devices.py"), "paused"]
    server = tango_system.add_server(command, "Odd/paused", {device: "Markup"})
    with (
        served(COMMAND, tmp_path / "log", MTANGO_METADATA_LIFETIME="1") as gateway,
        StreamClient(gateway.port) as first,
        StreamClient(gateway.port) as second,
    ):
        first.follow(device, "trim")
        first.receive_until(lambda: first.configurations and first.records)
        time.sleep(2)
        server.freeze()
        try:
            second.follow(device, "trim")
            second.receive_until(lambda: second.records)
            second.send(unsubscribe=[1])
            second.follow("demo/motor/1", "position")
            second.receive_until(lambda: second.configurations)
        finally:
            server.thaw()
        time.sleep(1)
        second.send(ping=1)
        second.receive_until(lambda: second.pongs)
    server.stop()
    assert {found["name"] for found in second.configurations} == {"position"}


def test_records_have_the_set_value_where_the_subscription_asks_for_it(
    gateway: Gateway, host_path: str, fresh_types: str
) -> None:
    names = ["limited_scalar", "enum_scalar", "nan_scalar"]
    with StreamClient(gateway.port) as client:
        client.follow(fresh_types, *names, set_value=True)
        client.follow(fresh_types, *names, first=4)
        client.receive_until(lambda: len({record["id"] for record in client.records}) == 6)
        first = {record["id"]: record for record in reversed(client.records)}
        assert [type(first[number]["set_value"]) for number in (1, 2, 3)] == [float, str, type(None)]
        assert not any("set_value" in first[number] for number in (4, 5, 6))
        for value in (4.0, 5.0):
            gateway.put(f"{host_path}/devices/{fresh_types}/attributes/limited_scalar/value?v={value}")
            client.receive_until(
                lambda wanted=value: any(record.get("set_value") == wanted for record in client.records)
            )


@pytest.mark.parametrize("attribute", ["double_spectrum", "double_image", "ushort_image", "long_spectrum"])
def test_binary_frame_has_the_numbers_of_the_json_record(gateway: Gateway, fresh_types: str, attribute: str) -> None:
    with StreamClient(gateway.port) as client:
        client.follow(fresh_types, attribute)
        client.follow(fresh_types, attribute, first=2, binary=True)
        client.receive_until(lambda: client.binary and client.records)
    record, value = client.binary[0], client.records[0]["value"]
    assert (record.version, record.id, record.quality, record.missed) == (1, 2, 0, 0)
    if record.dimensions == 2:
        assert (record.width, record.height) == (value["width"], value["height"])
        value = value["data"]
    else:
        assert (record.width, record.height) == (len(value), 0)
    numpy.testing.assert_array_equal(record.data, value)


# --- continuing ---


def test_client_continues_behind_the_last_record(gateway: Gateway, sender: str, pytango: PyTango) -> None:
    with StreamClient(gateway.port) as client:
        client.follow(sender, "sent0", keep="all")
        client.receive_until(lambda: client.records)
        for _ in range(5):
            pytango.run(sender, "SendOne", "change")
        client.receive_until(lambda: len(client.records) == 6)  # without the value if it was the last one already
    after = next(record["time"] for record in reversed(client.records) if record.get("value") == 3)
    with StreamClient(gateway.port) as again:
        again.follow(sender, "sent0", keep="all", after=after)
        again.receive_until(lambda: again.values(1)[-1:] == [5])
    assert again.values(1) == [4, 5]
    assert not any("missed" in record for record in again.records)


def test_client_is_told_that_events_may_have_been_lost(gateway: Gateway, sender: str, pytango: PyTango) -> None:
    with StreamClient(gateway.port) as client:
        client.follow(sender, "sent0", keep="all", after=[1_700_000_000_000_000, 1_700_000_000_000_000])
        client.receive_until(lambda: client.records)
        assert client.records[0]["missed"] is None


@pytest.mark.slow
def test_slow_client_gets_the_latest_values_and_the_number_of_missed_ones(
    sender: str, pytango: PyTango, tmp_path: Path
) -> None:
    events, last = 500, "0500"
    with (
        served(COMMAND, tmp_path / "log", MTANGO_EVENT_BUFFER="16") as gateway,
        StreamClient(gateway.port, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]) as client,
    ):
        client.follow(sender, "text", keep="all")
        client.receive_until(lambda: client.records)
        pytango.run(sender, "SendTexts", [float(events), 250.0, 20_000.0])  # more than the kernel keeps
        wait_until(lambda: pytango.read(sender, "text").endswith(last))
        client.receive_until(lambda: client.records[-1]["value"].endswith(last))
    missed = sum(record.get("missed", 0) for record in client.records)
    assert missed > 0
    assert len(client.records) - 1 + missed == events


# --- the connection ---


@pytest.mark.slow
def test_ping_is_answered_by_its_pong_and_a_silent_client_is_closed(fresh: Gateway) -> None:
    with StreamClient(fresh.port) as client:
        client.send(ping={"x": 1})
        client.receive_until(lambda: client.failures)
        client.send(ping=[1])
        client.send(ping=12.5)
        client.receive_until(lambda: client.pongs == [12.5])
        client.socket.pong = lambda _data="": None
        assert client.receive_close() == (1008, "no answer to 2 pings")


@pytest.mark.slow
def test_client_that_answers_pings_stays_connected(fresh: Gateway) -> None:
    with StreamClient(fresh.port) as client:
        for turn in range(5):
            time.sleep(0.5)  # less than two pings
            client.send(ping=turn)
            client.receive_until(lambda: len(client.pongs) == turn + 1)  # noqa: B023


@pytest.mark.slow
def test_stopping_gateway_closes_with_service_restart_at_once(fresh: Gateway) -> None:
    with StreamClient(fresh.port) as client:
        client.follow(DEMO_DEVICE, "State")
        client.receive_until(lambda: client.records)
        began = time.monotonic()
        fresh.process.send_signal(signal.SIGTERM)
        assert client.receive_close() == (1012, "the gateway stops, connect again")
        assert time.monotonic() - began < 3 * 0.5
        fresh.process.wait(15)


@pytest.mark.slow
def test_client_that_never_reads_is_closed_and_others_are_served(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with (
        served(COMMAND, tmp_path / "log", MTANGO_SEND_TIMEOUT="1") as gateway,
        StreamClient(gateway.port, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]) as client,
    ):
        wishes = [{"id": n, "device": TYPES_DEVICE, "attribute": "double_image"} for n in range(1000)]
        wait_until(lambda: gateway.get("/sys/streams"))
        client.socket.settimeout(1)
        with contextlib.suppress(OSError, websocket.WebSocketException):  # when the gateway takes no more
            for _ in range(40):
                client.send(subscribe=wishes)
        wait_until(lambda: _is_closed(gateway), 30)
        assert gateway.get("")["rc3"]


def test_large_values_come_in_frames_of_bounded_size(gateway: Gateway) -> None:
    with StreamClient(gateway.port) as client:
        client.follow(DEMO_DEVICE, *["ushort_image"] * 12)
        sizes = list[int]()
        while len(client.records) < 12:
            before = client.size
            client.receive()
            sizes.append(client.size - before)
    record = len(json.dumps(client.records[0], separators=(",", ":")))
    assert max(sizes) <= FRAME_BYTES + record + 10_000


@pytest.mark.slow
def test_client_that_does_not_read_does_not_hold_up_the_stop(fresh: Gateway) -> None:
    with StreamClient(fresh.port, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]) as client:
        _fill(client, fresh)
        began = time.monotonic()
        fresh.process.send_signal(signal.SIGTERM)
        fresh.process.wait(40)
        assert time.monotonic() - began < 3 * 4


@pytest.mark.slow
def test_client_that_closes_while_it_does_not_read_gets_its_answer_and_no_traceback(fresh: Gateway) -> None:
    with StreamClient(fresh.port, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]) as client:
        _fill(client, fresh)
        client.socket.send_close(1000, b"bye")
        assert client.receive_close() == (1000, "bye")
        wait_until(lambda: _is_closed(fresh))
    assert "Traceback" not in fresh.log.read_text("utf-8")


def _fill(client: StreamClient, gateway: Gateway) -> None:
    """Have the gateway wait for a client that does not read."""
    wishes = [{"id": n, "device": DEMO_DEVICE, "attribute": "ushort_image", "binary": True} for n in range(60)]
    client.send(subscribe=wishes)
    seen = [0]
    while seen[-1] == 0 or seen[-1] != seen[-2]:
        time.sleep(0.5)
        seen.append(gateway.get("/sys/streams")[0]["sent"])  # type: ignore[index]


def _is_closed(gateway: Gateway) -> bool:
    return not gateway.get("/sys/streams")


@pytest.mark.slow
def test_idle_socket_takes_little_memory(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    number = 300
    with served(COMMAND, tmp_path / "log", MTANGO_STREAM_CLIENT_LIMIT="1000") as gateway:
        clients = _open_idle(gateway, 100)  # after which nothing is left of what the worker makes once
        before = gateway.worker().memory_full_info().uss
        clients += _open_idle(gateway, number)
        kilobytes = (gateway.worker().memory_full_info().uss - before) / number / 1000
        for client in clients:
            client.socket.close()
        wait_until(lambda: _is_closed(gateway))
    print(f"{kilobytes:.0f} kB of each idle socket")
    assert kilobytes <= KILOBYTES_OF_A_SOCKET


def _open_idle(gateway: Gateway, number: int) -> list[StreamClient]:
    clients = [StreamClient(gateway.port) for _ in range(number)]
    for client in clients:
        client.follow(DEMO_DEVICE, "ampli")
        client.receive_until(lambda client=client: client.records)
    return clients


# --- the handshake ---


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    failure: Any

    @property
    def reason(self) -> str:
        return self.failure["errors"][0]["reason"]


def handshake(gateway: Gateway, path: str = "/tango/stream", **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    usual = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    return ask(gateway, path, {**usual, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", **given})


def ask(gateway: Gateway, path: str, headers: dict[str, str]) -> Answer:
    with contextlib.closing(gateway.connection()) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read() if response.status != 101 else b"null"
        response.close()
        return Answer(response.status, response.headers, json.loads(body))


def test_bad_handshake_is_refused(gateway: Gateway) -> None:
    assert handshake(gateway, Sec_WebSocket_Version="8").status == 426
    assert handshake(gateway, Sec_WebSocket_Key="short").status == 400
    with contextlib.closing(gateway.connection()) as connection:
        connection.request("HEAD", "/tango/stream", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
        assert connection.getresponse().status == 426
    plain = ask(gateway, "/tango/stream", {})
    assert (plain.status, plain.headers["Upgrade"]) == (426, "websocket")


def test_handshake_with_a_body_is_refused(gateway: Gateway) -> None:
    assert handshake(gateway, Content_Length="0").status == 101
    assert handshake(gateway, Content_Length="4").status == 400
    assert handshake(gateway, Transfer_Encoding="chunked").status == 400


@pytest.mark.parametrize("offered", ["mtango.token.a b", "mtango.token.(a)", "mtango.token.\u00e9"])
def test_subprotocol_that_is_no_token_is_not_answered(gateway: Gateway, offered: str) -> None:
    assert handshake(gateway, Sec_WebSocket_Protocol="mtango.token.a!b").headers["Sec-WebSocket-Protocol"]
    answer = handshake(gateway, Sec_WebSocket_Protocol=offered)
    assert (answer.status, answer.headers["Sec-WebSocket-Protocol"]) == (101, None)


def test_page_of_another_origin_opens_no_stream(gateway: Gateway) -> None:
    foreign = handshake(gateway, Origin="http://evil.example.org", Sec_Fetch_Mode="websocket")
    assert (foreign.status, foreign.reason) == (403, "MTANGO_CrossSite")
    assert handshake(gateway, Origin=f"http://127.0.0.1:{gateway.port}").status == 101


@pytest.mark.slow
def test_handshake_has_a_line_in_the_access_log_and_the_headers_of_every_answer(fresh: Gateway) -> None:
    answer = handshake(fresh, X_Request_ID="the-handshake")
    assert answer.status == 101
    assert answer.headers["x-mtango"]
    assert answer.headers["Upgrade"] == "websocket"
    wait_until(lambda: '"GET /tango/stream" 101' in fresh.log.read_text("utf-8"))
    assert "id=the-handshake" in fresh.log.read_text("utf-8")


@pytest.mark.slow
def test_limit_of_streams_refuses_the_handshake(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with (
        served(COMMAND, tmp_path / "log", MTANGO_STREAM_CLIENT_LIMIT="1") as gateway,
        StreamClient(gateway.port),
    ):
        answer = handshake(gateway)
        assert (answer.status, answer.reason) == (503, "MTANGO_TooManyStreams")


@pytest.mark.slow
def test_threaded_server_says_that_it_has_no_websocket(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "waitress", "--listen=127.0.0.1:PORT", "wsgi:application"]
    with served(command, tmp_path / "log") as gateway:
        answer = handshake(gateway)
        assert (answer.status, answer.reason) == (501, "MTANGO_NotImplemented")
        assert "gevent worker" in answer.failure["errors"][0]["description"]
