"""The answers to each kind of request: times, failures, and complaints."""

from __future__ import annotations

import collections
import threading
from array import array

from tests.http_clients import Answer
from tests.soak.requests import Request

# Seconds: no request takes longer, as each of its few Tango calls has a deadline.
HANG_SECONDS = 30.0

_SERVER_ERRORS = {501, 503}


class Results:
    """The results of all clients. `quiet`: no fault is injected at the moment, so that nothing may fail."""

    def __init__(self) -> None:
        self.quiet = False
        self.wrong: list[str] = []  # the complaints
        self._guard = threading.Lock()
        self._seconds: dict[str, array[float]] = collections.defaultdict(lambda: array("d"))
        self._reasons: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def add(self, kind: str, request: Request, answer: Answer, quiet: bool) -> None:
        """Add an answer. quiet: the value of `self.quiet` when the request began."""
        reason = _reason(request, answer)
        with self._guard:
            self._seconds[kind].append(answer.seconds)
            if reason:
                self._reasons[kind][reason] += 1
        about = f"{request.method} {request.path} {request.body}: {reason}, {answer.status} {str(answer.body)[:500]}"
        if answer.seconds > HANG_SECONDS:
            self.complain(f"hangs: {about}")
        elif not answer.status:
            self.complain(f"no answer: {about}")
        elif answer.status >= 500 and answer.status not in _SERVER_ERRORS:
            self.complain(f"server error: {about}")
        elif reason == "wrong":
            self.complain(f"wrong answer: {about}")
        elif reason and quiet and self.quiet and reason not in request.may_fail:
            self.complain(f"failed though nothing was wrong: {about}")

    def complain(self, what: str) -> None:
        with self._guard:
            self.wrong.append(what)
            if len(self.wrong) <= 50:
                print(f"!!! {what}", flush=True)

    @property
    def requests(self) -> int:
        with self._guard:
            return sum(map(len, self._seconds.values()))

    def table(self) -> str:
        """Return a row for each kind: number, latencies in ms, failures by reason."""
        with self._guard:
            rows = [f"{'kind':26} {'number':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}  failures"]
            for kind, seconds in sorted(self._seconds.items()):
                each = sorted(seconds)
                p50, p99, most = (1000 * each[min(len(each) - 1, int(len(each) * part))] for part in (0.5, 0.99, 1))
                failures = ", ".join(f"{reason} {count}" for reason, count in self._reasons[kind].most_common())
                rows.append(f"{kind:26} {len(each):8} {p50:8.1f} {p99:8.1f} {most:8.1f}  {failures}")
        return "\n".join(rows)


def _reason(request: Request, answer: Answer) -> str:
    """Return why the request failed, "wrong" if its answer is neither a failure nor right, else nothing."""
    if not answer.status:
        return "no answer"
    if answer.status >= 400:
        return f"HTTP {answer.status}"
    if answer.reasons:
        return answer.reasons[0]
    try:
        return "" if request.right(answer) else "wrong"
    except (KeyError, TypeError, AttributeError):
        return "wrong"
