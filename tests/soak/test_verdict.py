"""What the soak takes for wrong, and what for growth."""

from __future__ import annotations

from typing import Any

import pytest

from tests.asking import Answer
from tests.soak.book import HANG_SECONDS, Book
from tests.soak.kinds import Asked
from tests.soak.usage import Usage, excess, growth

ASKED = Asked("GET", "/somewhere", lambda answer: answer.body["value"] == 1, may_fail=("API_AttrNotFound",))


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
def test_an_answer_is_judged(answer: Answer, quiet: bool, said: str | None) -> None:
    book = Book()
    book.quiet = quiet
    book.enter("kind", ASKED, answer, quiet)
    assert [sentence.partition(":")[0] for sentence in book.wrong] == ([said] if said else [])


def test_what_begins_before_it_is_quiet_may_fail() -> None:
    book = Book()
    book.quiet = True
    book.enter("kind", ASKED, Answer(0, 1, 200, failure("API_CorbaException")), quiet=False)
    assert not book.wrong


def usages(*uss: float) -> list[Usage]:
    return [Usage(rss=100.0, uss=each, descriptors=60, threads=20) for each in uss]


def test_what_grows_from_phase_to_phase_is_growth() -> None:
    assert excess(growth(usages(*range(50, 86, 3)))) == ["uss has grown by 24, and 8 is allowed"]


@pytest.mark.parametrize(
    "uss", [[50.0] * 9, [50, 90, 50, 50, 50, 50, 50, 90, 50], [54, 53, 52, 51, 50, 51, 52, 53, 54]]
)
def test_what_comes_and_goes_is_none(uss: list[float]) -> None:
    assert not excess(growth(usages(*uss)))
