"""The contestants side by side: each workload in interleaved rounds, so that what disturbs the machine disturbs all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.contestants import (
    BARE,
    BARE_TANGO,
    FASTAPI,
    GATEWAY,
    GUNICORN,
    IN_JSON,
    Contestant,
    Loop,
    Server,
    running,
)
from benchmarks.figures import Round, Row
from benchmarks.workloads import LOOP, Workload
from mtango_gevent.demo.embedded import EmbeddedTango

_YARDSTICKS = {each.name: each for each in (BARE_TANGO, BARE, GUNICORN, FASTAPI, IN_JSON)}


def run(
    workload: Workload,
    rivals: Sequence[Contestant],
    system: EmbeddedTango,
    rounds: int,
    seconds: int,
    starts: int = 1,
) -> list[Row]:
    """Drive the gateway, its rivals and the yardsticks of the workload. seconds: of each round of each of them.

    starts: how often all are started anew, each time for so many rounds: a process may be faster or slower than another
    one of the same code as long as it runs. Raises RuntimeError if they do not answer the same.
    """
    rows = _measure(workload, rivals, system, rounds, seconds)
    for _ in range(starts - 1):
        for row, again in zip(rows, _measure(workload, rivals, system, rounds, seconds), strict=True):
            row.rounds.extend(again.rounds)
    return rows


def _measure(
    workload: Workload, rivals: Sequence[Contestant], system: EmbeddedTango, rounds: int, seconds: int
) -> list[Row]:
    asked = [_YARDSTICKS[name] for name in workload.yardsticks if name in _YARDSTICKS]
    with running((GATEWAY, *rivals, *asked), workload, system) as servers:
        body = _agree([server for server in servers if not (server.is_bare or server.is_asked_otherwise)])
        for server in servers:
            if server.is_bare:
                server.answer_as_many_bytes(round(body))
            server.warm_up(max(workload.connections))
        jobs: list[tuple[Server | Loop, int]] = [(server, many) for many in workload.connections for server in servers]
        if LOOP in workload.yardsticks:
            jobs.append((Loop(workload), 1))
        measured: list[list[Round]] = [[] for _ in jobs]
        for number in range(rounds):
            for job in _turned(range(len(jobs)), number):
                contestant, connections = jobs[job]
                measured[job].append(contestant.round(connections, seconds))
    return [
        Row(
            workload=workload.name,
            title=workload.title,
            link=workload.link,
            contestant=contestant.name,
            connections=connections,
            workers=workload.workers,
            values=workload.values,
            body=body,
            rest=contestant.rest,
            rounds=found,
        )
        for (contestant, connections), found in zip(jobs, measured, strict=True)
    ]


def _turned(jobs: Sequence[int], number: int) -> list[int]:
    """Another one begins each time."""
    first = number % len(jobs)
    return [*jobs[first:], *jobs[:first]]


def _agree(servers: Sequence[Server]) -> float:
    """See that all answer alike; the mean number of bytes of what the first one answers, 0 for streams."""
    first, *others = ((server.name, server.answers()) for server in servers)
    for name, bodies in others:
        for one, other in zip(first[1], bodies, strict=True):
            if _form_of_body(one) != _form_of_body(other):
                raise RuntimeError(f"{name} answers {other[:500]!r}, where {first[0]} answers {one[:500]!r}")
    return sum(map(len, first[1])) / max(1, len(first[1]))


def _form_of_body(body: bytes) -> Any:
    """Return the form of JSON, and of raw numbers how many bytes they are."""
    try:
        return _form(json.loads(body))
    except ValueError:
        return len(body)


def _form(answer: Any) -> Any:
    """Keys, lengths and types; a time or a value may be another one each time."""
    if isinstance(answer, dict):
        return {key: _form(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return len(answer), [_form(item) for item in answer[:20]]
    return type(answer).__name__
