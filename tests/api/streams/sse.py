"""A client of server-sent events, as a browser's EventSource reads them, of an application in this process."""

from __future__ import annotations

import dataclasses
import queue
import threading
from typing import Any

import orjson
from werkzeug.datastructures import Headers
from werkzeug.test import Client


@dataclasses.dataclass
class Message:
    """event: the id of the target; id: milliseconds."""

    event: str
    data: str
    id: int

    @property
    def value(self) -> Any:
        return orjson.loads(self.data)

    @property
    def error(self) -> str | None:
        return self.data.removeprefix("error: ") if self.data.startswith("error: ") else None


def parse(record: str) -> Message | None:
    """Return the message of a record; None for comments. Raises ValueError for an unknown line."""
    fields: dict[str, str] = {}
    for line in record.splitlines():
        name, colon, value = line.partition(":")
        if colon and name:
            assert name in ("event", "data", "id", "retry"), record
            assert name not in fields, record
            fields[name] = value.removeprefix(" ")
    if "data" not in fields:
        return None
    return Message(fields["event"], fields["data"], int(fields["id"]))


class EventSource:
    """A stream that is read in a thread. status, headers: of its answer; ended: set when it has ended."""

    def __init__(self, app: Any, url: str, headers: dict[str, str] | None = None) -> None:
        self._app, self._url, self._sent = app, url, headers
        self.status, self.headers = 0, Headers()
        self.messages: queue.Queue[Message] = queue.Queue()
        self.text = ""
        self.ended = threading.Event()
        self._opened, self._closing = threading.Event(), threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._opened.wait(20)

    def _read(self) -> None:
        """Make the request and read its response, in one thread, as WSGI servers do."""
        client, environ = Client(self._app, use_cookies=False), {"REMOTE_ADDR": "127.0.0.1"}
        response = client.get(self._url, headers=self._sent, buffered=False, environ_overrides=environ)
        self.status, self.headers = response.status_code, response.headers
        self._opened.set()
        parsed = 0
        for part in response.response:
            self.text += part.decode()
            *records, rest = self.text[parsed:].split("\n\n")
            parsed = len(self.text) - len(rest)
            for record in records:
                message = parse(record)
                if message:
                    self.messages.put(message)
            if self._closing.is_set():
                break
        response.close()
        self.ended.set()

    def next(self, seconds: float = 10) -> Message:
        return self.messages.get(timeout=seconds)

    def close(self) -> None:
        """End reading, with the next bytes that come."""
        self._closing.set()
        assert self.ended.wait(20)
