"""The executor under PyTango's gevent green mode."""

from __future__ import annotations

import gevent
import pytest

from mtango_gevent.control.calls import threads
from mtango_gevent.serving.check import lets_others_run
from tests.control.concurrency import (
    NativeEvent,
    native_sleep,
    native_thread_id,
    new_client,
    new_device,
    outcomes,
    reasons,
)
from tests.patched_process import in_patched_process
from tests.waiting import wait_until


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
    assert gevent.spawn(bulkhead.call, "other", native_thread_id).get() != hub_thread
    assert bulkhead.call("other", native_thread_id) != hub_thread

    def run_here() -> tuple[int, int]:
        return native_thread_id(), bulkhead.call("other", native_thread_id)

    outer, inner = bulkhead.call("other", run_here)
    assert outer == inner
    foreign, ran_in = gevent.get_hub().threadpool.spawn(run_here).get()
    assert foreign == ran_in


@pytest.mark.slow
@in_patched_process
def test_error_of_a_call_reaches_its_caller() -> None:
    """And nothing is printed: see `in_patched_process`."""
    with pytest.raises(ValueError, match="invalid literal"):
        new_client().bulkhead("a/b/c").call("other", int, "x")


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, gevent.__version__.split(".")[:2])) < (26, 8),
    reason="PyTango itself hangs with a gevent before 26.8 when a foreign thread hands over a callback",
)
@in_patched_process
def test_green_objects_of_an_embedding_program_have_none_of_the_gateways_limits() -> None:
    client = new_client(device_limit=1, queue_timeout=0.01, call_deadline=0.01)
    executor = client.executor
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
    assert client.bulkhead("a/b/c").call("other", int, "7") == 7
    assert client.pool_info()["threads"] == 0


@in_patched_process
def test_quick_calls_need_few_threads_and_calls_behind_a_hang_get_more() -> None:
    client = new_client(pool_size=100, device_limit=20, queue_timeout=10, call_deadline=10)
    bulkhead, release = client.bulkhead("a/b/c"), NativeEvent()
    # again where other programs have held the calls up: surplus threads end
    wait_until(lambda: outcomes(bulkhead.call, 20, "other", int) and client.pool_info()["threads"] <= threads.FEW)
    held = [gevent.spawn(bulkhead.call, "other", release.wait) for _ in range(12)]
    assert len(outcomes(bulkhead.call, 8, "other", int)) == 8
    info = client.pool_info()
    assert info["in_flight"] == 12
    assert 12 < info["threads"] <= 20
    gevent.sleep(2 * threads._SHRINK_AFTER)
    release.set()
    gevent.joinall(held)
    info = client.pool_info()
    assert (info["in_flight"], info["threads"]) == (0, threads.FEW)


@pytest.mark.slow
@in_patched_process
def test_call_without_a_thread_is_refused() -> None:
    """The machine has no thread, neither the first one nor one behind calls that hang; then it has."""
    client = new_client(pool_size=100, device_limit=20)
    bulkhead, start_thread, release = client.bulkhead("a/b/c"), threads.start_thread, NativeEvent()

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    threads.start_thread = refuse
    refused = outcomes(bulkhead.call, 3, "other", int, "7")
    threads.start_thread = start_thread
    held = [gevent.spawn(bulkhead.call, "other", release.wait) for _ in range(threads.FEW)]
    gevent.sleep(0.01)
    threads.start_thread = refuse
    refused += outcomes(bulkhead.call, 3, "other", int, "7")
    threads.start_thread = start_thread
    assert reasons(refused) == ["MTANGO_PoolExhausted"] * 6
    assert [outcome.value for outcome in outcomes(bulkhead.call, 3, "other", int, "7")] == [7, 7, 7]
    release.set()
    gevent.joinall(held)
    info = client.pool_info()
    assert (bulkhead.semaphore.taken, bulkhead.health.breaker.in_flight) == (0, 0)
    assert (info["in_flight"], info["refused"]) == (0, 6)
