"""The complaints of the soak, and its measure of growth."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http_clients import Answer
from tests.soak.requests import Request
from tests.soak.results import HANG_SECONDS, Results
from tests.soak.usage import Usage, excess, growth

REQUEST = Request("GET", "/somewhere", lambda answer: answer.body["value"] == 1, may_fail=("API_AttrNotFound",))


def failure(reason: str) -> dict[str, Any]:
    return {"errors": [{"reason": reason}], "quality": "FAILURE"}


@pytest.mark.parametrize(
    ("answer", "quiet", "said"),
    [
        (Answer(0, 1, 200, {"value": 1}), True, None),
        (Answer(0, 1, 200, {"value": 2}), False, "wrong answer"),
        (Answer(0, 1, 200, {"nothing": 2}), False, "wrong answer"),
        (Answer(0, 1, 200, None), False, "wrong answer"),
        (Answer(0, 1, 200, failure("API_CorbaException")), False, None),
        (Answer(0, 1, 200, failure("API_CorbaException")), True, "failed though nothing was wrong"),
        (Answer(0, 1, 200, failure("API_AttrNotFound")), True, None),
        (Answer(0, 1, 400, failure("MTANGO_BadRequest")), True, "failed though nothing was wrong"),
        (Answer(0, 1, 503, failure("MTANGO_DeviceBusy")), False, None),
        (Answer(0, 1, 500, failure("MTANGO_InternalError")), False, "server error"),
        (Answer(0, 1, 502, "nonsense"), False, "server error"),
        (Answer(0, 1), False, "no answer"),
        (Answer(0, HANG_SECONDS + 1, 200, {"value": 1}), False, "hangs"),
    ],
)
def test_answer_leads_to_the_right_complaint(answer: Answer, quiet: bool, said: str | None) -> None:
    results = Results()
    results.quiet = quiet
    results.add("kind", REQUEST, answer, quiet)
    assert [sentence.partition(":")[0] for sentence in results.wrong] == ([said] if said else [])


def test_request_from_before_a_quiet_phase_may_fail() -> None:
    results = Results()
    results.quiet = True
    results.add("kind", REQUEST, Answer(0, 1, 200, failure("API_CorbaException")), quiet=False)
    assert not results.wrong


def usages(*uss: float) -> list[Usage]:
    return [Usage(rss=100.0, uss=each, descriptors=60, threads=20) for each in uss]


def test_usage_that_rises_from_phase_to_phase_is_growth() -> None:
    assert excess(growth(usages(*range(50, 86, 3)))) == ["uss has grown by 24, and 8 is allowed"]


@pytest.mark.parametrize(
    "uss", [[50.0] * 9, [50, 90, 50, 50, 50, 50, 50, 90, 50], [54, 53, 52, 51, 50, 51, 52, 53, 54]]
)
def test_usage_that_rises_and_falls_is_no_growth(uss: list[float]) -> None:
    assert not excess(growth(usages(*uss)))
