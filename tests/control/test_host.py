"""Questions to the database that concurrent callers share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import gevent

from tests.control.concurrency import new_device
from tests.patched_process import in_patched_process
from tests.waiting import wait_until


@in_patched_process
def test_caller_joins_a_question_but_none_from_before_a_command_of_the_database() -> None:
    database = new_device("sys/database/2")
    host, reads, command = database.host, database.host.client.reads, database.describe_command("DbInfo")

    def ask() -> gevent.Greenlet:
        return gevent.spawn(host._query, "DbGetDeviceWideList", "*")

    with stopped(host.device_info(database.name).pid):
        before = [ask(), ask()]
        wait_until(lambda: host.client.database_queries)
        generation = reads.generation(database.name)
        change = gevent.spawn(database.run_command, command, None)
        wait_until(lambda: reads.generation(database.name) != generation)
        after = ask()
        gevent.sleep(0)  # it asks, or joins
    gevent.joinall([*before, change, after], raise_error=True)
    assert before[0].value is before[1].value
    assert after.value is not before[0].value


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """Stop a process, so that what it is asked takes as long as the block."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
