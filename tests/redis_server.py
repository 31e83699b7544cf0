"""A real Redis for a test."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from mtango_gevent.demo.embedded import free_port
from tests.waiting import wait_until

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """A server that can be stopped and started again. Its data are lost then."""

    def __init__(self, folder: Path) -> None:
        if PROGRAM is None:
            pytest.skip("redis-server is not installed (Debian: redis-server)")
        self.port, self._folder = free_port(), folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        assert PROGRAM
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self.process = subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL)
        with redis.Redis(port=self.port) as asked:
            wait_until(lambda: _answers(asked))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def _answers(asked: redis.Redis) -> bool:
    with contextlib.suppress(redis.ConnectionError):
        return bool(asked.ping())
    return False


def disconnect(store: Any) -> None:
    """Close the connections of a store, which a gateway keeps until its process ends; SQLite's store has none."""
    if hasattr(store, "_redis"):
        store._redis.connection_pool.disconnect()


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.stop()
