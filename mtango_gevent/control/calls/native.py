"""Primitives of native threads, unpatched whatever gevent has patched by now.

A patched lock or event belongs to the greenlets of one hub; the ones here work between threads as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from gevent import monkey

NativeLock: type[threading.Lock] = monkey.get_original("threading", "Lock")
NativeEvent: type[threading.Event] = monkey.get_original("threading", "Event")
SimpleQueue: Any = monkey.get_original("queue", "SimpleQueue")

get_ident: Callable[[], int] = monkey.get_original("_thread", "get_ident")
start_thread: Callable[..., int] = monkey.get_original("_thread", "start_new_thread")
sleep: Callable[[float], None] = monkey.get_original("time", "sleep")
getaddrinfo: Callable[..., Any] = monkey.get_original("socket", "getaddrinfo")
