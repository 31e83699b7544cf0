"""Applications with access rules."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from webtest import TestApp, TestResponse

from mtango_gevent import create_app
from mtango_gevent.config import Config
from mtango_gevent.demo.embedded import EmbeddedTango

# The proxy whose header names the user.
PROXY = "127.0.0.1"

# A rule for clients that no other rule matches.
DENY_ALL = '[[rule]]\nanyone = true\nmay_not = ["read", "write", "execute", "configure", "administer"]\n'


@dataclasses.dataclass
class Gateway:
    """An application with rules, and its users, whom a proxy names."""

    client: TestApp
    file: Path

    def ask(self, method: str, url: str, user: str = "", body: str = "", **headers: str) -> TestResponse:
        """Make a request of a user, of an anonymous client without one."""
        self.client.reset()  # of the cookies of other users
        named = {"X-Remote-User": user} if user else {}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        request: dict[str, Any] = {"method": method, "headers": named, "environ": {"REMOTE_ADDR": PROXY}}
        if body:
            request["body"] = body.encode()
        return self.client.request(url, status="*", **request)

    def __post_init__(self) -> None:
        """Count the Tango calls of the application, without those that it makes by itself.

        calls_of_requests: without those of other threads, as of the poller of events and of jobs in the background.
        """
        self.calls = self.calls_of_requests = 0
        thread = threading.get_ident()
        counter = self.client.app.extensions["mtango"].client.counter
        count = counter.count

        def count_here(kind: str, *rest: Any) -> None:
            if kind not in ("file", "subscription"):
                self.calls += 1
                self.calls_of_requests += threading.get_ident() == thread
            count(kind, *rest)

        counter.count = count_here


@pytest.fixture(scope="session")
def make_gateway(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Gateway]:
    """Return a function that makes an application with these rules, without MTANGO_RULES for an empty text."""

    def make(rules: str, **settings: object) -> Gateway:
        file = tmp_path_factory.mktemp("rules") / "access.toml"
        file.write_text(rules, "utf-8")
        users: dict[str, Any] = {"auth": ("trusted-header",), "auth_header_from": (PROXY,)}
        quiet = {"event_linger": 0.0, "event_poll_period": 60.0}
        config = Config(**{"rules": str(file) if rules else "", **users, **quiet, **settings})
        return Gateway(TestApp(create_app(config)), file)

    return make
