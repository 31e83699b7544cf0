"""What the pages of a test do that they should not: requests to other origins, messages in the console, errors."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page


class PageWatch:
    """Records what the pages of its contexts do. `check`, which the fixture `watch` calls, fails with all of it."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        """The URLs of all requests and WebSockets, as `GET http://...`."""
        self._origins: set[str] = set()
        self._expected: list[str] = []
        self._messages: list[str] = []

    def expect(self, pattern: str) -> None:
        """Expect messages and errors in which the regular expression is found; they may be missing."""
        self._expected.append(pattern)

    def expect_lost_gateway(self) -> None:
        """Expect what the browser itself says of a gateway that stops, or that refuses a WebSocket."""
        self.expect(r"net::ERR_|WebSocket connection to .* failed|status of 50[0-9]")

    def allow(self, origin: str) -> None:
        """Allow requests to another origin of this machine; the browser resolves no other names."""
        self._origins.add(origin)

    def follow(self, context: BrowserContext, origin: str) -> None:
        """Watch the pages that a context will open. origin: of the gateway."""
        self.allow(origin)
        context.on("request", lambda request: self.requests.append(f"{request.method} {request.url}"))
        context.on("console", lambda message: self._messages.append(f"console, {message.type}: {message.text}"))
        context.on("weberror", lambda error: self._messages.append(f"error: {error.error.stack or error.error}"))
        context.on("page", self._follow_page)

    def _follow_page(self, page: Page) -> None:
        page.on("websocket", lambda socket: self.requests.append(f"GET {socket.url}"))

    def foreign(self) -> list[str]:
        """Return the requests to other origins than those that are allowed."""
        return [request for request in self.requests if _origin(request.split(" ", 1)[1]) not in self._origins]

    def unexpected(self) -> list[str]:
        """Return the messages and errors that are not expected."""
        return [text for text in self._messages if not any(re.search(each, text) for each in self._expected)]

    def check(self) -> None:
        foreign = [f"to another origin: {request}" for request in self.foreign()]
        found = "\n".join([*foreign, *self.unexpected()])
        assert not found, found


def _origin(url: str) -> str:
    parts = urlsplit(url.removeprefix("blob:"))
    return f"{parts.scheme.replace('ws', 'http')}://{parts.netloc}"
