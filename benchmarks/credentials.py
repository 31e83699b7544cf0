"""Credentials for the ways to authenticate: the settings of the gateway, and the header of the requests."""

from __future__ import annotations

import base64
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import bcrypt
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_RULES = """\
[[rule]]
users = ["bench"]
may = ["read", "write", "execute", "configure", "administer"]
"""


@dataclasses.dataclass(frozen=True)
class Credentials:
    """settings: of the gateway, without MTANGO_AUTH; authorization: the value of the header."""

    settings: Mapping[str, str]
    authorization: str


def made(method: str, folder: Path) -> Credentials:
    """Return credentials for a method of MTANGO_AUTH, whose files are in `folder`, and access rules for their user."""
    made = MAKERS[method](folder)
    rules = folder / "rules.toml"
    rules.write_text(_RULES)
    return dataclasses.replace(made, settings={**made.settings, "MTANGO_AUTH": method, "MTANGO_RULES": str(rules)})


def _basic(folder: Path) -> Credentials:
    file = folder / "htpasswd"
    file.write_text("bench:" + bcrypt.hashpw(b"bench", bcrypt.gensalt(10)).decode() + "\n")
    encoded = base64.b64encode(b"bench:bench").decode()
    return Credentials({"MTANGO_AUTH_BASIC_FILE": str(file)}, f"Basic {encoded}")


def _key(folder: Path) -> Credentials:
    file = folder / "keys"
    file.unlink(missing_ok=True)
    settings = {"MTANGO_AUTH_KEY_FILE": str(file)}
    command = [sys.executable, "-m", "mtango_gevent", "key", "new", "bench"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **settings})
    (key,) = [word for word in done.stdout.split() if word.startswith("mtg_")]
    return Credentials(settings, f"Bearer {key}")


def _bearer(folder: Path) -> Credentials:
    key = rsa.generate_private_key(65537, 2048)
    file = folder / "public.pem"
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    file.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, public))
    claims = {"sub": "bench", "aud": "bench", "exp": int(time.time()) + 86_400}
    settings = {"MTANGO_JWT_KEYS": str(file), "MTANGO_JWT_AUDIENCE": "bench", "MTANGO_JWT_ALGORITHMS": "RS256"}
    return Credentials(settings, "Bearer " + jwt.encode(claims, key, "RS256"))


MAKERS: Mapping[str, Callable[[Path], Credentials]] = {"basic": _basic, "key": _key, "bearer": _bearer}
