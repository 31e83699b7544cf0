"""Questions to the database that concurrent callers share."""

from __future__ import annotations

import gevent
import pytest

from tests.control.concurrency import new_device
from tests.patched_process import in_patched_process
from tests.waiting import wait_until

# A question that takes SQLite a second or two.
_SLOW = """SELECT COUNT(*) FROM (
    WITH RECURSIVE count(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM count WHERE number < 3000000)
    SELECT number FROM count)"""


@pytest.mark.slow
@in_patched_process
def test_caller_joins_a_question_but_none_from_before_a_command_of_the_database() -> None:
    database = new_device("sys/database/2", tango_timeout=60.0, call_deadline=60.0)
    host, reads, command = database.host, database.host.client.reads, database.describe_command("DbInfo")

    def ask() -> gevent.Greenlet:
        return gevent.spawn(host._query, "DbMySqlSelect", _SLOW)

    before = [ask(), ask()]
    wait_until(lambda: host.client.database_queries)
    generation = reads.generation("sys/database/2")
    change = gevent.spawn(database.run_command, command, None)
    wait_until(lambda: reads.generation("sys/database/2") != generation)
    assert not before[0].ready()
    after = ask()
    gevent.joinall([*before, change, after], raise_error=True)
    assert before[0].value is before[1].value
    assert after.value is not before[0].value
