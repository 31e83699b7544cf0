"""The operator's page behind a proxy that authenticates the users, as docs/how-to/authenticate.md has it."""

from __future__ import annotations

import dataclasses

from playwright.sync_api import expect

from tests.deploy.test_trusted_header import port, pytestmark

from .conftest import PageAt, PageWatch

__all__ = ["port", "pytestmark"]


@dataclasses.dataclass
class Proxy:
    port: int


def test_user_of_the_proxy_sees_devices(port: int, page_at: PageAt, watch: PageWatch) -> None:
    watch.expect_lost_gateway()  # this nginx refuses WebSockets
    user = {"username": "alice", "password": "secret"}
    page = page_at("#/device/sys/tg_test/1", of=Proxy(port), http_credentials=user)
    expect(page.get_by_role("heading", name="sys/tg_test/1")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("alice")).to_be_visible()
