"""Which failed requests a client may see."""

from __future__ import annotations

from collections.abc import Callable

from .conftest import DENY_ALL, Gateway

RULES = """
[[rule]]
users = ["anna"]
may = ["read", "administer"]
gateway = ["sys/failures"]

[[rule]]
users = ["ben", "carl"]
may = ["read"]
gateway = ["sys/failures"]
"""


def ids(gateway: Gateway, user: str, query: str = "") -> list[str]:
    return [row["id"] for row in gateway.ask("GET", f"/tango/rest/sys/failures{query}", user).json]


def test_client_sees_its_own_and_all_if_it_may_administer_them(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(RULES + DENY_ALL)
    for user in ("anna", "ben", "dora", ""):
        gateway.ask("GET", "/tango/rest/sys/config", user, X_Request_ID=f"of-{user}")
    assert ids(gateway, "anna") == ["of-", "of-dora", "of-ben", "of-anna"]
    assert ids(gateway, "ben") == ["of-ben"]
    assert ids(gateway, "ben", "?request=of-anna") == []
    assert ids(gateway, "carl") == []
    assert gateway.ask("GET", "/tango/rest/sys/failures", "dora").status_int == 403
