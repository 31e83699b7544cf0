"""Tests that need a hub of gevent, each in a thread of its own: the gateway would use a hub of the main thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import gevent


def wait_in_hub(condition: Callable[[], object]) -> None:
    """Let other greenlets run until the condition holds, or fail."""
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.001)


def in_hub_thread(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a new thread with a hub."""

    @functools.wraps(test)
    def run(*arguments: Any, **keywords: Any) -> None:
        errors: list[BaseException] = []

        def run_in_thread() -> None:
            gevent.get_hub()
            try:
                test(*arguments, **keywords)
            except BaseException as error:
                errors.append(error)
            finally:
                gevent.get_hub().destroy()

        thread = threading.Thread(target=run_in_thread, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        if errors:
            raise errors[0]

    return run
