"""gunicorn's configuration for contestants: a timer in each worker writes how late the hub is to the file BENCH_LAGS.

BENCH_CONFIGURATION: another configuration, which this one adds to; none without it.
"""

import os
import struct
import time

if "BENCH_CONFIGURATION" in os.environ:
    with open(os.environ["BENCH_CONFIGURATION"]) as configuration:
        exec(configuration.read())

# Seconds between two looks at the clock.
_PERIOD = 0.005


def post_worker_init(worker):
    import gevent

    gevent.spawn(_write_lags, os.open(os.environ["BENCH_LAGS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))


def _write_lags(file):
    """Write the seconds by which each look was late. A hub that is held for long is late for each look of that time."""
    import gevent

    due = time.monotonic()
    while True:
        due += _PERIOD
        gevent.sleep(max(0.0, due - time.monotonic()))
        os.write(file, struct.pack("d", time.monotonic() - due))
