"""The kinds of requests of the soak: how often each is made, of whom, and what a right answer to it is."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable

from tests.asking import Answer
from tests.lives import Lives

SENDER = "soak/sender/1"


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request, and whether its answer is right; may_fail: with reasons that are right even where nothing is wrong."""

    method: str
    path: str
    right: Callable[[Answer], bool]
    body: str = ""
    may_fail: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Scene:
    """What there is to ask for. slow: the names of devices of tests/devices.py, and the processes of their server."""

    base: str
    slow: dict[str, Lives]
    unsettled: dict[str, dict[float, float]] = dataclasses.field(default_factory=dict)
    """By device, values that were sent and may not have been written yet, and when they were sent."""

    def device(self, name: str) -> str:
        return f"{self.base}/devices/{name}"


# For so long after a write that failed it may still be done: as long as a thread can be held by a frozen server.
_LATE_WRITES = 60.0

Kind = Callable[[Scene, random.Random, str], Asked]
"""Makes a request; the last argument is the device that the client alone writes to."""


def read(scene: Scene, dice: random.Random, own: str) -> Asked:
    device, attribute = dice.choice(
        [("sys/tg_test/1", "double_scalar"), ("demo/motor/1", "position"), ("demo/powersupply/1", "current")]
    )
    path = f"{scene.device(device)}/attributes/{attribute}/value"
    return Asked("GET", path, lambda answer: isinstance(answer.body["value"], float))


def read_life(scene: Scene, dice: random.Random, own: str) -> Asked:
    """A value that tells which process it comes from."""
    device, lives = dice.choice(list(scene.slow.items()))
    return Asked(
        "GET",
        f"{scene.device(device)}/attributes/life/value",
        lambda answer: lives.could_answer(answer.body["value"], answer.began),
    )


def read_many(scene: Scene, dice: random.Random, own: str) -> Asked:
    names = dice.sample(["long_scalar", "wave", "State", "short_spectrum", "string_scalar", "boolean_scalar"], 4)
    path = f"{scene.device('sys/tg_test/1')}/attributes/value?" + "&".join(f"attr={name}" for name in names)
    return Asked(
        "GET", path, lambda answer: [item["name"] for item in answer.body if item["value"] is not None] == names
    )


def read_image(scene: Scene, dice: random.Random, own: str) -> Asked:
    path = f"{scene.device('demo/camera/1')}/attributes/image/value"
    return Asked("GET", path, lambda answer: len({len(row) for row in answer.body["value"]}) == 1)


def read_state(scene: Scene, dice: random.Random, own: str) -> Asked:
    return Asked("GET", f"{scene.device(own)}/state", lambda answer: answer.body["state"] == "UNKNOWN")


def write(scene: Scene, dice: random.Random, own: str) -> Asked:
    """What a write gave that failed is not known: a server that was frozen may do it late, even after the next one."""
    seconds, now = dice.randrange(1, 1000) / 1e6, time.monotonic()
    unsettled = scene.unsettled.setdefault(own, {})
    for old in [value for value, when in unsettled.items() if when < now - _LATE_WRITES]:
        del unsettled[old]
    unsettled[seconds] = now

    def is_right(answer: Answer) -> bool:
        right = answer.body["value"] in unsettled
        if answer.body["value"] == seconds:
            unsettled.pop(seconds, None)
        return right

    path = f"{scene.device(own)}/attributes/lazy/value?v={seconds!r}"
    return Asked("PUT", path, is_right)


def write_later(scene: Scene, dice: random.Random, own: str) -> Asked:
    path = f"{scene.device('demo/motor/1')}/attributes/velocity/value?v={dice.randrange(1, 5)}&async=true"
    return Asked("PUT", path, lambda answer: answer.status == 204)


def run_command(scene: Scene, dice: random.Random, own: str) -> Asked:
    text = f"{dice.random()}"
    path = f"{scene.device('sys/tg_test/1')}/commands/DevString"
    return Asked("PUT", path, lambda answer: answer.body["output"] == text, f'"{text}"')


def describe(scene: Scene, dice: random.Random, own: str) -> Asked:
    thing = dice.choice(["attributes", "commands", "attributes/lazy", "attributes/quick/info", "commands/Rest"])
    return Asked("GET", f"{scene.device(own)}/{thing}", lambda answer: "name" in str(answer.body))


def show_device(scene: Scene, dice: random.Random, own: str) -> Asked:
    return Asked("GET", scene.device(own), lambda answer: answer.body["name"] == own)


def list_devices(scene: Scene, dice: random.Random, own: str) -> Asked:
    path = f"{scene.base}/devices?wildcard=soak/slow*"
    return Asked("GET", path, lambda answer: {device["name"] for device in answer.body} >= set(scene.slow))


def read_properties(scene: Scene, dice: random.Random, own: str) -> Asked:
    thing = dice.choice(["properties", "attributes/quick/properties"])
    return Asked("GET", f"{scene.device(own)}/{thing}", lambda answer: not answer.body)


def ask_for_what_is_not_there(scene: Scene, dice: random.Random, own: str) -> Asked:
    number = dice.randrange(10**9)
    path, *reasons = dice.choice(
        [
            (f"{scene.device(own)}/attributes/no{number}/value", "API_AttrNotFound"),
            (f"{scene.device(own)}/commands/No{number}", "API_CommandNotFound"),
            (f"{scene.device(f'no/such/{number}')}/state", "DB_DeviceNotDefined", "API_DeviceNotDefined"),
        ]
    )
    return Asked("GET", path, lambda answer: False, may_fail=tuple(reasons))


def ask_wrongly(scene: Scene, dice: random.Random, own: str) -> Asked:
    method, path, body, status = dice.choice(
        [
            ("PUT", f"{scene.device(own)}/attributes/lazy/value?v=abc", "", 400),
            ("GET", f"{scene.device('a%00b/c/d')}/state", "", 400),
            ("GET", f"{scene.base}/nonsense", "", 404),
            ("POST", f"{scene.device(own)}/state", "", 405),
            ("PUT", f"{scene.device(own)}/commands/Rest", '{"no": ', 400),
            ("GET", f"{scene.device(own)}/commands?range=x", "", 400),
        ]
    )
    return Asked(method, path, lambda answer: False, body, (f"HTTP {status}",))


def send_event(scene: Scene, dice: random.Random, own: str) -> Asked:
    return Asked("PUT", f"{scene.device(SENDER)}/commands/SendOne", lambda answer: "name" in answer.body, '"change"')


def show_figures(scene: Scene, dice: random.Random, own: str) -> Asked:
    return Asked("GET", "/tango/rest/sys/stats", lambda answer: answer.body["requests"] > 0)


def clean(scene: Scene, dice: random.Random, own: str) -> Asked:
    return Asked("GET", "/tango/rest/sys/clean/devices", lambda answer: answer.status == 204)


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
    ask_for_what_is_not_there: 4,
    ask_wrongly: 4,
    send_event: 2,
    show_figures: 1,
    clean: 0.1,
}


def wait_for_event(scene: Scene, query: str) -> Asked:
    """For clients that do nothing else."""
    path = f"{scene.device(SENDER)}/attributes/sent0/change?timeout=5000{query}"
    return Asked("GET", path, lambda answer: answer.body["value"] >= 0, may_fail=("API_EventTimeout",))
