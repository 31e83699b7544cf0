"""The kinds of requests of the soak: their weights, their targets, and how to tell a right answer."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable

from tests.http_clients import Answer
from tests.tracked_server import TrackedServer

SENDER = "soak/sender/1"


@dataclasses.dataclass(frozen=True)
class Request:
    """A request with the check of its answer. may_fail: reasons with which it may fail in a quiet phase too."""

    method: str
    path: str
    right: Callable[[Answer], bool]
    body: str = ""
    may_fail: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Target:
    """The Tango host that is read. slow: devices of tests/devices.py by name, with their server."""

    base: str
    slow: dict[str, TrackedServer]
    unsettled: dict[str, dict[float, float]] = dataclasses.field(default_factory=dict)
    """By device, the values that were sent and may not have been written yet, with the times of their requests."""

    def device(self, name: str) -> str:
        return f"{self.base}/devices/{name}"


# Seconds for which a failed write may still happen: as long as a frozen server can hold a thread.
_LATE_WRITES = 60.0

Kind = Callable[[Target, random.Random, str], Request]
"""Makes a request; the last argument is the device that only this client writes to."""


def read(target: Target, rng: random.Random, own: str) -> Request:
    device, attribute = rng.choice(
        [("sys/tg_test/1", "double_scalar"), ("demo/motor/1", "position"), ("demo/powersupply/1", "current")]
    )
    path = f"{target.device(device)}/attributes/{attribute}/value"
    return Request("GET", path, lambda answer: isinstance(answer.body["value"], float))


def read_life(target: Target, rng: random.Random, own: str) -> Request:
    """Read a value that names the process it comes from."""
    device, lives = rng.choice(list(target.slow.items()))
    return Request(
        "GET",
        f"{target.device(device)}/attributes/life/value",
        lambda answer: lives.could_answer(answer.body["value"], answer.began),
    )


def read_many(target: Target, rng: random.Random, own: str) -> Request:
    names = rng.sample(["long_scalar", "wave", "State", "short_spectrum", "string_scalar", "boolean_scalar"], 4)
    path = f"{target.device('sys/tg_test/1')}/attributes/value?" + "&".join(f"attr={name}" for name in names)
    return Request(
        "GET", path, lambda answer: [item["name"] for item in answer.body if item["value"] is not None] == names
    )


def read_image(target: Target, rng: random.Random, own: str) -> Request:
    path = f"{target.device('demo/camera/1')}/attributes/image/value"
    return Request("GET", path, lambda answer: len({len(row) for row in answer.body["value"]}) == 1)


def read_state(target: Target, rng: random.Random, own: str) -> Request:
    return Request("GET", f"{target.device(own)}/state", lambda answer: answer.body["state"] == "UNKNOWN")


def write(target: Target, rng: random.Random, own: str) -> Request:
    """Write a value. A write that failed may still happen, even after the next one, in a server that was frozen."""
    seconds, now = rng.randrange(1, 1000) / 1e6, time.monotonic()
    unsettled = target.unsettled.setdefault(own, {})
    for old in [value for value, when in unsettled.items() if when < now - _LATE_WRITES]:
        del unsettled[old]
    unsettled[seconds] = now

    def is_right(answer: Answer) -> bool:
        right = answer.body["value"] in unsettled
        if answer.body["value"] == seconds:
            unsettled.pop(seconds, None)
        return right

    path = f"{target.device(own)}/attributes/lazy/value?v={seconds!r}"
    return Request("PUT", path, is_right)


def write_later(target: Target, rng: random.Random, own: str) -> Request:
    path = f"{target.device('demo/motor/1')}/attributes/velocity/value?v={rng.randrange(1, 5)}&async=true"
    return Request("PUT", path, lambda answer: answer.status == 204)


def run_command(target: Target, rng: random.Random, own: str) -> Request:
    text = f"{rng.random()}"
    path = f"{target.device('sys/tg_test/1')}/commands/DevString"
    return Request("PUT", path, lambda answer: answer.body["output"] == text, f'"{text}"')


def describe(target: Target, rng: random.Random, own: str) -> Request:
    thing = rng.choice(["attributes", "commands", "attributes/lazy", "attributes/quick/info", "commands/Rest"])
    return Request("GET", f"{target.device(own)}/{thing}", lambda answer: "name" in str(answer.body))


def show_device(target: Target, rng: random.Random, own: str) -> Request:
    return Request("GET", target.device(own), lambda answer: answer.body["name"] == own)


def list_devices(target: Target, rng: random.Random, own: str) -> Request:
    path = f"{target.base}/devices?wildcard=soak/slow*"
    return Request("GET", path, lambda answer: {device["name"] for device in answer.body} >= set(target.slow))


def read_properties(target: Target, rng: random.Random, own: str) -> Request:
    thing = rng.choice(["properties", "attributes/quick/properties"])
    return Request("GET", f"{target.device(own)}/{thing}", lambda answer: not answer.body)


def read_missing(target: Target, rng: random.Random, own: str) -> Request:
    number = rng.randrange(10**9)
    path, *reasons = rng.choice(
        [
            (f"{target.device(own)}/attributes/no{number}/value", "API_AttrNotFound"),
            (f"{target.device(own)}/commands/No{number}", "API_CommandNotFound"),
            (f"{target.device(f'no/such/{number}')}/state", "DB_DeviceNotDefined", "API_DeviceNotDefined"),
        ]
    )
    return Request("GET", path, lambda answer: False, may_fail=tuple(reasons))


def send_bad_request(target: Target, rng: random.Random, own: str) -> Request:
    method, path, body, status = rng.choice(
        [
            ("PUT", f"{target.device(own)}/attributes/lazy/value?v=abc", "", 400),
            ("GET", f"{target.device('a%00b/c/d')}/state", "", 400),
            ("GET", f"{target.base}/nonsense", "", 404),
            ("POST", f"{target.device(own)}/state", "", 405),
            ("PUT", f"{target.device(own)}/commands/Rest", '{"no": ', 400),
            ("GET", f"{target.device(own)}/commands?range=x", "", 400),
        ]
    )
    return Request(method, path, lambda answer: False, body, (f"HTTP {status}",))


def send_event(target: Target, rng: random.Random, own: str) -> Request:
    return Request("PUT", f"{target.device(SENDER)}/commands/SendOne", lambda answer: "name" in answer.body, '"change"')


def show_stats(target: Target, rng: random.Random, own: str) -> Request:
    return Request("GET", "/tango/rest/sys/stats", lambda answer: answer.body["requests"] > 0)


def clean(target: Target, rng: random.Random, own: str) -> Request:
    return Request("GET", "/tango/rest/sys/clean/devices", lambda answer: answer.status == 204)


WEIGHTS: dict[Kind, float] = {
    read: 30,
    read_life: 20,
    read_many: 10,
    read_image: 1,
    read_state: 5,
    write: 8,
    write_later: 2,
    run_command: 8,
    describe: 6,
    show_device: 2,
    list_devices: 3,
    read_properties: 3,
    read_missing: 4,
    send_bad_request: 4,
    send_event: 2,
    show_stats: 1,
    clean: 0.1,
}


def wait_for_event(target: Target, query: str) -> Request:
    """Wait for the next event; for clients that make no other requests."""
    path = f"{target.device(SENDER)}/attributes/sent0/change?timeout=5000{query}"
    return Request("GET", path, lambda answer: answer.body["value"] >= 0, may_fail=("API_EventTimeout",))
