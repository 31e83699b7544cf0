"""The gateway with a URL at which its worker hangs, so that not even a signal handler of Python runs any more."""

from __future__ import annotations

import ctypes
import logging
from typing import NoReturn

from mtango_gevent import create_app

application = create_app()


@application.get("/hang")
def hang() -> NoReturn:
    logging.getLogger("mtango_gevent.test").warning("the last words of a worker")
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)  # with the GIL, and no signal ends it
    raise AssertionError("a mutex was locked twice")
