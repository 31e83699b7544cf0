"""The executor under PyTango's gevent green mode, in a patched process (see patched.py)."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient

ROOT = Path(__file__).parents[2]


def test_our_executor_yields_and_pytangos_own_does_not(patched: Callable[[str], dict]) -> None:
    """If the second ever becomes true, PyTango has been mended."""
    assert patched("yields") == {"ours": True, "stock": False}


def test_a_device_has_so_many_calls_in_flight_and_no_more(patched: Callable[[str], dict]) -> None:
    found = patched("limit")
    assert found["most"] == 2
    assert found["failed"] == ["MTANGO_DeviceBusy"] * 8
    assert found["other"] == 7
    assert found["seconds"] < 3 * 1.0
    assert found["info"]["refused"] == 8


def test_a_late_call_frees_its_caller_and_later_its_slot(patched: Callable[[str], dict]) -> None:
    found = patched("deadline")
    assert found["late"] == ["MTANGO_CallTimedOut"]
    assert (found["held"]["in_flight"], found["held"]["abandoned"]) == (1, 1)
    assert found["refused"] == ["MTANGO_DeviceBusy"]
    assert found["after"] == 7
    assert (found["info"]["in_flight"], found["info"]["abandoned"], found["info"]["timed_out"]) == (0, 0, 1)


def test_every_call_is_counted_once(patched: Callable[[str], dict]) -> None:
    found = patched("counted")
    assert found["calls"] == {
        "outer ok": 1,
        "other failed": 1,
        "other timed_out": 2,  # Tango's own, and the gateway's
        "other refused": 1,
        "connection ok": 1,
    }
    assert found["waits"] == 6
    assert 0.2 <= found["waited"] < 0.5


def test_the_pool_is_bounded_and_metadata_has_its_share(patched: Callable[[str], dict]) -> None:
    assert patched("pool") == {"refused": ["MTANGO_PoolExhausted"], "threads": 3, "metadata": 7, "after": 7}


def test_a_device_that_hangs_is_left_alone_until_it_is_found_to_be_back(patched: Callable[[str], dict]) -> None:
    found = patched("opens")
    for reasons, seconds in found["late"]:
        assert (reasons, seconds) == (["MTANGO_CallTimedOut"] * 10, pytest.approx(1, abs=2))
    for reasons, seconds in (found["at_once"], found["beside"]):
        assert (reasons, seconds < 0.5) == (["MTANGO_CircuitOpen"] * 10, True)
    assert (found["shown"]["state"], found["shown"]["timeouts"], found["shown"]["in_flight"]) == ("open", 2, 2)
    assert found["half_open"] == "half-open"
    assert (found["probed"], found["made"], found["found"]) == (1, 3, [7] * 10)
    assert (found["after"]["state"], found["after"]["in_flight"], found["after"]["waiting"]) == ("closed", 0, 0)
    assert (found["info"]["in_flight"], found["info"]["abandoned"]) == (0, 0)


def test_each_open_device_is_asked_in_its_turn(patched: Callable[[str], dict]) -> None:
    assert patched("turns") == {"opened": 10, "open": 9, "figures": {"devices": 9, "servers": 0}}


@pytest.mark.parametrize("asked_for", ["values", "metadata"])
def test_a_server_that_does_not_answer_is_left_alone_with_all_its_devices(
    patched: Callable[..., dict], asked_for: str
) -> None:
    assert patched("silent", asked_for) == {
        "late": ["MTANGO_CallTimedOut"] * 2,
        "silent": 1,
        "refused": ["MTANGO_CircuitOpen"] * 2,
        "healthy": 7,
        "states": ["open", "open", "closed"],
        "after": [7, 7, 7],
    }


def test_quick_calls_need_few_threads_and_calls_behind_a_hang_get_more(patched: Callable[[str], dict]) -> None:
    found = patched("few_threads")
    assert found["quick"] <= found["few"]
    assert (found["beside"], found["in_flight"]) == (8, 12)
    assert 12 < found["hanging"] <= 20
    assert (found["after"]["in_flight"], found["after"]["threads"]) == (0, found["few"])


def test_without_a_thread_calls_are_refused(patched: Callable[[str], dict]) -> None:
    found = patched("threadless")
    assert (found["refused"], found["found"], found["places"]) == (["MTANGO_PoolExhausted"] * 6, [7, 7, 7], 0)
    assert (found["info"]["in_flight"], found["info"]["refused"], found["in_flight"]) == (0, 6, 0)


def test_errors_reach_the_caller_and_print_nothing(patched: Callable[[str], dict]) -> None:
    assert "invalid literal" in patched("errors")["error"]


def test_one_attempt_at_a_time_per_device(patched: Callable[[str], dict]) -> None:
    found = patched("attempts")
    assert (found["made"], found["proxies"]) == (1, 1)
    assert found["failed"] == ["DB_DeviceNotDefined"] * 5
    assert found["currsize"] >= 1


def test_a_killed_greenlet_takes_no_other_with_it(patched: Callable[[str], dict]) -> None:
    assert patched("killed") == {"failed": ["MTANGO_DeviceBusy"] * 3, "after": 7}


def test_the_database_may_be_the_first_device_that_is_asked_for(patched: Callable[[str], dict]) -> None:
    assert patched("database") == {"state": "ON", "server": "DataBaseds/2"}


def test_calls_know_in_which_thread_they_are(patched: Callable[[str], dict]) -> None:
    assert patched("contexts") == {"pooled": True, "nested": True, "foreign": True}


@pytest.mark.skipif(
    tuple(map(int, gevent.__version__.split(".")[:2])) < (26, 8),
    reason="PyTango itself hangs with a gevent before 26.8 when a foreign thread hands over a callback",
)
def test_green_objects_of_others_keep_pytangos_ways(patched: Callable[[str], dict]) -> None:
    assert patched("foreign") == {"later": None, "together": [], "timed_out": True, "callback": 7}


def test_without_a_hub_a_call_is_made_where_it_stands() -> None:
    client = TangoClient(Config())
    assert client.bulkhead("a/b/c").call("other", int, "7") == 7
    assert client.pool_info()["threads"] == 0


def test_bulkheads_of_unused_devices_are_forgotten() -> None:
    client = TangoClient(Config(cache_size=10))
    for number in range(1000):
        client.bulkhead(f"a/b/{number}")
    gc.collect()
    assert len(client.bulkheads._all()) <= 10
