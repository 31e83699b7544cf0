"""Files with passwords and API keys, and the headers of requests that use them."""

from __future__ import annotations

import base64
from pathlib import Path

import bcrypt
from webtest import TestApp

from mtango_gevent.key_file import KeyFile
from tests.waiting import wait_until

WHOAMI = "/tango/rest/sys/whoami"


def htpasswd_line(user: str, password: str, cost: int = 4) -> str:
    """Return a line as `htpasswd -B` writes it."""
    password_hash = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()
    return f"{user}:{password_hash.replace('$2b$', '$2y$')}\n"


def write_passwords(path: Path, cost: int = 4, **passwords: str) -> str:
    path.write_text("".join(htpasswd_line(user, password, cost) for user, password in passwords.items()), "utf-8")
    return str(path)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def new_key(path: Path, name: str, *groups: str, seconds: float | None = None) -> str:
    return KeyFile(str(path)).add(name, groups, seconds)


def status_of(client: TestApp, headers: dict[str, str], url: str = WHOAMI) -> int:
    return client.get(url, headers=headers, expect_errors=True).status_int


def wait_for_status(client: TestApp, headers: dict[str, str], status: int) -> None:
    wait_until(lambda: status_of(client, headers) == status, 10)
