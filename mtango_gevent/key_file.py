"""The file of the API keys: their names, groups and SHA-256 hashes in JSON, and beside it the file of their last use.

A key has 256 random bits: a guess is hopeless, so its hash needs neither salt nor a slow function.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# What every key begins with, so that it is not taken for a token of another kind.
PREFIX = "mtg_"

# Seconds that the recorded last use of a key may be older than the real one.
USE_PRECISION = 60.0

_LONGEST_NAME = 64

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class ApiKey:
    """A key without its secret. created, expires: seconds since the epoch; expires: 0 for never."""

    name: str
    sha256: str
    groups: tuple[str, ...]
    created: int
    expires: int

    def is_expired(self, now: float) -> bool:
        return bool(self.expires) and now >= self.expires


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def parse(content: bytes) -> dict[str, ApiKey]:
    """Return the keys by hash. Raises ValueError."""
    try:
        entries = list(json.loads(content)["keys"])
    except (ValueError, TypeError, KeyError):
        raise ValueError("expected a file that `mtango-gevent key new` has written") from None
    keys = [_key(number, entry) for number, entry in enumerate(entries, 1)]
    if len({key.name for key in keys}) < len(keys):
        raise ValueError("expected keys with different names")
    return {key.sha256: key for key in keys}


def _key(number: int, entry: Any) -> ApiKey:
    try:
        key = ApiKey(**{**entry, "groups": tuple(entry["groups"])})
        is_complete = (
            isinstance(entry["groups"], list) and isinstance(key.expires, int) and bool(_SHA256.fullmatch(key.sha256))
        )
    except (TypeError, KeyError, ValueError):
        is_complete = False
    if not is_complete:
        raise ValueError(f"key {number}: expected an object with {', '.join(ApiKey.__dataclass_fields__)}")
    for name in (key.name, *key.groups):
        check_name(name)
    return key


def check_name(name: Any) -> str:
    """Return the name of a key or group. Raises ValueError for an impossible one."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME or "," in name:
        raise ValueError(f"expected a name of 1 to {_LONGEST_NAME} printable characters without comma, got {name!r}")
    return name


class KeyFile:
    """The file at a path, and its changes: each replaces the file at once, with mode 0600."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._used = Path(f"{path}.used")

    def read(self) -> list[ApiKey]:
        """Return the keys. Raises OSError, and ValueError for a broken file."""
        return list(parse(self._path.read_bytes()).values())

    def add(self, name: str, groups: Iterable[str], seconds: float | None) -> str:
        """Create a key and return its secret, which is kept nowhere. seconds: until it expires, None for never.

        Raises OSError, and ValueError for a name that is taken or impossible.
        """
        secret = PREFIX + secrets.token_urlsafe(32)
        now = int(time.time())
        expires = now + int(seconds) if seconds else 0
        key = ApiKey(check_name(name), digest(secret), tuple(map(check_name, groups)), now, expires)
        with self._locked(os.O_CREAT):
            keys = self.read() if self._path.stat().st_size else []
            if any(known.name == name for known in keys):
                raise ValueError(f"there is a key {name} already")
            self._write([*keys, key])
        return secret

    def revoke(self, name: str) -> None:
        """Remove a key. Raises OSError, and ValueError where there is none of that name."""
        with self._locked():
            keys = self.read()
            kept = [key for key in keys if key.name != name]
            if len(kept) == len(keys):
                raise ValueError(f"there is no key {name}")
            self._write(kept)

    def last_uses(self) -> dict[str, float]:
        """Return the last use of keys by hash, in seconds since the epoch."""
        try:
            uses = json.loads(self._used.read_bytes())
        except (OSError, ValueError):
            return {}
        return (
            {key: use for key, use in uses.items() if isinstance(use, (int, float))} if isinstance(uses, dict) else {}
        )

    def record_uses(self, uses: dict[str, float]) -> None:
        """Record the last uses that a worker knows, besides those that other workers have recorded.

        Raises OSError: BlockingIOError while another process changes the files.
        """
        with self._locked(operation=fcntl.LOCK_EX | fcntl.LOCK_NB):
            known = self.last_uses()
            latest = {key: max(use, known.get(key, 0.0)) for key, use in uses.items()}
            _replace(self._used, {**known, **latest})

    def _write(self, keys: list[ApiKey]) -> None:
        _replace(self._path, {"keys": [dataclasses.asdict(key) for key in keys]})
        hashes = {key.sha256 for key in keys}
        uses = self.last_uses()
        if uses.keys() - hashes:
            _replace(self._used, {key: use for key, use in uses.items() if key in hashes})

    @contextlib.contextmanager
    def _locked(self, flags: int = 0, operation: int = fcntl.LOCK_EX) -> Iterator[None]:
        """Keep other processes from changing the files. The lock is that of the file, which only its users can open.

        flags: os.O_CREAT creates an empty file where there is none.
        """
        while True:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | flags, 0o600)
            try:
                fcntl.flock(file, operation)
                if self._is_at_path(file):
                    yield
                    return
            finally:
                os.close(file)

    def _is_at_path(self, file: int) -> bool:
        """Return whether an open file is still the one at the path: another process may have replaced it meanwhile."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(self._path))
        except FileNotFoundError:
            return False


def _replace(path: Path, content: object) -> None:
    """Replace a file at once. Its owner remains, so that root can change a file of the gateway."""
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(descriptor)
            with contextlib.suppress(OSError):
                owner = path.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
