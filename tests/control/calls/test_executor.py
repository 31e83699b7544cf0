"""The executor under PyTango's gevent green mode."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from mtango_gevent.serving.check import lets_others_run
from tests.control.concurrency import native_sleep, native_thread_id, new_client, new_device, outcomes, reasons
from tests.patched_process import in_patched_process


@in_patched_process
def test_green_calls_yield_with_the_gateways_executor_and_not_with_pytangos() -> None:
    """If the second ever does, PyTango has been mended, and the gateway's executor has lost its first reason."""
    import tango.gevent
    from tango.gevent_executor import GeventExecutor, set_global_executor

    assert lets_others_run(new_device("sys/database/2").host.info)

    set_global_executor(GeventExecutor())
    proxy = gevent.spawn(tango.gevent.DeviceProxy, "sys/database/2").get()
    assert not gevent.spawn(lets_others_run, lambda: proxy.command_inout("DbInfo")).get()


@in_patched_process
def test_call_of_a_greenlet_runs_in_the_pool_and_call_of_a_native_thread_runs_there() -> None:
    bulkhead = new_client().bulkhead("a/b/c")
    hub_thread = native_thread_id()
    assert gevent.spawn(bulkhead.run, native_thread_id).get() != hub_thread
    assert bulkhead.run(native_thread_id) != hub_thread

    def run_here() -> tuple[int, int]:
        return native_thread_id(), bulkhead.run(native_thread_id)

    outer, inner = bulkhead.run(run_here)
    assert outer == inner
    foreign, ran_in = gevent.get_hub().threadpool.spawn(run_here).get()
    assert foreign == ran_in


@in_patched_process
def test_error_of_a_call_reaches_its_caller() -> None:
    """And nothing is printed: see `in_patched_process`."""
    with pytest.raises(ValueError, match="invalid literal"):
        new_client().bulkhead("a/b/c").run(int, ("x",))


@pytest.mark.skipif(
    tuple(map(int, gevent.__version__.split(".")[:2])) < (26, 8),
    reason="PyTango itself hangs with a gevent before 26.8 when a foreign thread hands over a callback",
)
@in_patched_process
def test_green_objects_of_an_embedding_program_have_none_of_the_gateways_limits() -> None:
    client = new_client(device_limit=1, queue_timeout=0.01, call_deadline=0.01)
    executor = client.green.threads
    later = executor.run(native_sleep, (0.2,), wait=False)
    assert reasons(outcomes(executor.run, 8, native_sleep, (0.1,))) == []
    with pytest.raises(gevent.Timeout):
        executor.run(native_sleep, (1,), timeout=0.01)
    # as PyTango brings event callbacks into the hub
    callback = gevent.get_hub().threadpool.spawn(lambda: executor.submit(lambda number: number + 1, 6).result())
    assert callback.get() == 7
    assert later.get() is None


def test_call_without_a_hub_runs_in_its_own_thread() -> None:
    client = new_client()
    assert client.bulkhead("a/b/c").run(int, ("7",)) == 7
    assert client.green.info()["threads"] == 0


def test_quick_calls_share_a_thread_and_wait_for_none_that_is_not_quick_after_all(
    patched: Callable[[str], dict],
) -> None:
    found = patched("rounds")
    assert (found["threads"], found["others"]) == (1, 4)
    assert (found["info"]["in_flight"], found["slots"], found["in_flight"]) == (2, [0, 2, 0], 2)
    assert (found["waiting"], found["ended"]) == ([True, False], [True, True, True])
    assert (found["after"]["in_flight"], found["slots_after"]) == (0, [0, 0, 0])
    assert found["calls"] == [[24, 0], [24, 0], [23, 0]]


def test_without_a_thread_quick_calls_are_refused_as_all_are(patched: Callable[[str], dict]) -> None:
    found = patched("threadless")
    assert (found["refused"], found["found"], found["slots"]) == (["MTANGO_PoolExhausted"], [7, 7, 7], 0)
    assert (found["info"]["in_flight"], found["info"]["refused"]) == (0, 3)
