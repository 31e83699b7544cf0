"""Sending the frames of a WebSocket to clients that read slowly, read nothing or close."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, TextMessage

from mtango_gevent.api.streams.frames import Frames, Refused
from mtango_gevent.control.calls import Concurrency
from tests.hub_thread import in_hub_thread

MORE_THAN_BUFFERS_TAKE = bytes(16 << 20)


class Peer:
    """The frames of a gateway, and the socket of their client."""

    def __init__(self, send_timeout: float = 60) -> None:
        self.server, self.client = socket.socketpair()
        self.is_stopping = False
        self.frames = Frames(self.server, Concurrency(), send_timeout, lambda: self.is_stopping)
        self.connection = Connection(ConnectionType.CLIENT)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self.client.close()

    def events(self) -> Iterator[Event]:
        while received := self.client.recv(1 << 16):
            self.connection.receive_data(received)
            yield from self.connection.events()

    def read_messages(self) -> None:
        with contextlib.suppress(Refused):
            list(self.frames.messages())

    def seconds_of_blocked_send(self, later: Callable[[], object]) -> float:
        """Return after what time a frame that cannot be sent fails; `later` is called while it is being sent."""
        gevent.spawn_later(0.05, later)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            self.frames.send_binary(MORE_THAN_BUFFERS_TAKE)
        return time.monotonic() - began


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 1 << 20])
@in_hub_thread
def test_message_of_any_size_arrives_whole(size: int) -> None:
    text = "ä" * (size // 2) + "x" * (size % 2)
    with Peer() as peer:
        sending = gevent.spawn(lambda: (peer.frames.send_text(text.encode()), peer.frames.send_binary(text.encode())))
        found, kinds = "", []
        for event in peer.events():
            assert isinstance(event, (TextMessage, BytesMessage))
            found += event.data if isinstance(event, TextMessage) else bytes(event.data).decode("utf-8", "ignore")
            kinds += [type(event)] if event.message_finished else []
            if len(kinds) == 2:
                break
        sending.get(timeout=10)
        assert kinds == [TextMessage, BytesMessage]
        assert found.startswith(text)


@in_hub_thread
def test_nothing_is_sent_behind_the_close_frame_of_the_client() -> None:
    with Peer() as peer:
        peer.client.sendall(peer.connection.send(CloseConnection(1000, "bye")))
        peer.read_messages()
        peer.frames.send_text(b"{}")
        peer.frames.send_binary(b"123")
        peer.frames.ping()
        peer.frames.finish(1000, "bye")
        gevent.spawn(peer.frames.close)
        (event,) = peer.events()
        assert isinstance(event, CloseConnection)
        assert (event.code, event.reason) == (1000, "bye")


@pytest.mark.slow
@in_hub_thread
def test_blocked_frame_ends_soon_after_the_connection_is_to_end() -> None:
    with Peer() as peer:
        assert peer.seconds_of_blocked_send(lambda: peer.frames.finish(4401, "no longer valid")) < 3 * 2


@pytest.mark.slow
@in_hub_thread
def test_blocked_frame_ends_soon_after_the_gateway_stops() -> None:
    with Peer() as peer:
        assert peer.seconds_of_blocked_send(lambda: setattr(peer, "is_stopping", True)) < 3 * 2


@pytest.mark.slow
@in_hub_thread
def test_time_limit_of_a_frame_holds_for_a_client_that_reads_a_little_at_a_time() -> None:
    with Peer(send_timeout=1) as peer:

        def trickle() -> None:
            until = time.monotonic() + 20
            while time.monotonic() < until and peer.client.recv(1 << 14):
                gevent.sleep(0.05)

        assert peer.seconds_of_blocked_send(trickle) < 3 * 2
