"""Answers of a gateway with MTANGO_MERGE_READS beside those of one without it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import gevent
import pytest
import tango
from werkzeug.test import Client, TestResponse

from mtango_gevent import create_app
from mtango_gevent.config import Config
from tests.metric_values import metric_value
from tests.patched_process import in_patched_process

pytestmark = pytest.mark.slow


class Gateway:
    """An application, asked for many values at the same moment."""

    def __init__(self, device: str, **settings: Any) -> None:
        patient = {"queue_timeout": 60.0, "call_deadline": 60.0, "tango_timeout": 60.0}
        self._app, self._device = create_app(Config(**patient, **settings)), device
        self.tango_client = self._app.extensions["mtango"].client
        self.get("rc3", ["State"])

    def get(self, version: str, names: Sequence[str], **headers: str) -> list[TestResponse]:
        host, port = os.environ["TANGO_HOST"].split(":")
        device = {"rc3": f"hosts/{host}/{port}", "v11": f"hosts/{host};port={port}"}[
            version
        ] + f"/devices/{self._device}"
        urls = [f"/tango/rest/{version}/{device}/attributes/{name}/value" for name in names]
        readers = [gevent.spawn(Client(self._app).get, url, headers=headers) for url in urls]
        return [reader.get() for reader in readers]

    def answers(self, version: str, names: Sequence[str]) -> dict[str, tuple[int, Any]]:
        """Status and body by attribute, without what differs each time."""
        found = {}
        for name, response in zip(names, self.get(version, names), strict=True):
            assert response.json
            found[name] = response.status_code, _without_times(response.json)
        return found

    def reads(self) -> float:
        return metric_value(self.tango_client.metrics, "mtango_tango_calls_total", kind="read")


def _without_times(body: dict[str, Any]) -> dict[str, Any]:
    """The origin of an error is a function of libtango, another one for several attributes."""
    errors = [{**error, "origin": ""} for error in body.get("errors", ())]
    return {**{key: value for key, value in body.items() if key != "timestamp"}, "errors": errors}


def _check_same_answers(device: str, least_constant: int) -> None:
    plain, merging = Gateway(device), Gateway(device, merge_reads=True)
    names = [*tango.DeviceProxy(device).get_attribute_list(), "unknown"]
    for version in ("rc3", "v11"):
        first, second, calls = plain.answers(version, names), plain.answers(version, names), merging.reads()
        merged, made = merging.answers(version, names), merging.reads() - calls
        third = plain.answers(version, names)
        constant = [name for name in names if first[name] == second[name] == third[name]]  # others are of chance
        print(version, len(names), "attributes,", len(constant), "constant,", made, "calls")
        assert made < len(names) / 2  # large ones are read alone the second time
        assert len(constant) >= least_constant
        assert {name: merged[name] for name in constant} == {name: first[name] for name in constant}
        for name in names:
            status, body = merged[name]
            assert (status, body.keys()) == (first[name][0], first[name][1].keys())
            assert type(body.get("value")) is type(first[name][1].get("value"))


@in_patched_process
def test_answers_for_every_type_are_the_same(fresh_types: str) -> None:
    _check_same_answers(fresh_types, least_constant=55)


@pytest.mark.slow
@in_patched_process
def test_answers_of_the_c_plus_plus_tangotest_are_the_same(cpp_device: str) -> None:
    _check_same_answers(cpp_device, least_constant=25)


@in_patched_process
def test_numbers_are_the_same_bytes(fresh_types: str) -> None:
    names = ["double_spectrum", "long_image", "float_scalar", "empty_spectrum"]
    plain, merging = Gateway(fresh_types), Gateway(fresh_types, merge_reads=True)
    before = merging.reads()
    for media_type in ("application/octet-stream", "application/x-npy"):
        bodies = [[answer.data for answer in each.get("rc3", names, accept=media_type)] for each in (plain, merging)]
        assert bodies[0] == bodies[1]
        assert all(bodies[0][:3])
    assert merging.reads() - before < 2 * len(names)


@pytest.mark.slow
@in_patched_process
def test_time_of_the_call_is_in_the_timing_of_each_of_its_requests(slow_devices: list[str]) -> None:
    merging = Gateway(slow_devices[0], merge_reads=True)
    before = merging.reads()
    answers = merging.get("rc3", ["quick", "slow", "failing"])
    assert merging.reads() - before == 1
    for answer in answers:
        assert float(answer.headers["Server-Timing"].rpartition("tango;dur=")[2]) >= 1000
