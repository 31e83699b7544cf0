"""What has been answered how fast, by kind of request."""

from __future__ import annotations

import collections
import threading
from array import array

from tests.asking import Answer
from tests.soak.kinds import Asked

# No request waits for Tango calls longer than that, as each of the few that it makes has a deadline.
HANG_SECONDS = 30.0

_SERVER_ERRORS = {501, 503}


class Book:
    """Kept by all clients. `quiet`: nothing is wrong at the moment, and so nothing may fail."""

    def __init__(self) -> None:
        self.quiet = False
        self.wrong: list[str] = []  # what must not be, in words
        self._guard = threading.Lock()
        self._seconds: dict[str, array[float]] = collections.defaultdict(lambda: array("d"))
        self._reasons: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def enter(self, kind: str, asked: Asked, answer: Answer, quiet: bool) -> None:
        """quiet: it was so when the request began."""
        reason = _reason(asked, answer)
        with self._guard:
            self._seconds[kind].append(answer.seconds)
            if reason:
                self._reasons[kind][reason] += 1
        about = f"{asked.method} {asked.path} {asked.body}: {reason}, {answer.status} {str(answer.body)[:500]}"
        if answer.seconds > HANG_SECONDS:
            self.accuse(f"hangs: {about}")
        elif not answer.status:
            self.accuse(f"no answer: {about}")
        elif answer.status >= 500 and answer.status not in _SERVER_ERRORS:
            self.accuse(f"server error: {about}")
        elif reason == "wrong":
            self.accuse(f"wrong answer: {about}")
        elif reason and quiet and self.quiet and reason not in asked.may_fail:
            self.accuse(f"failed though nothing was wrong: {about}")

    def accuse(self, what: str) -> None:
        with self._guard:
            self.wrong.append(what)
            if len(self.wrong) <= 50:
                print(f"!!! {what}", flush=True)

    @property
    def requests(self) -> int:
        with self._guard:
            return sum(map(len, self._seconds.values()))

    def table(self) -> str:
        """A row for each kind: number, latencies in ms, failures by reason."""
        with self._guard:
            rows = [f"{'kind':26} {'number':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}  failures"]
            for kind, seconds in sorted(self._seconds.items()):
                each = sorted(seconds)
                p50, p99, most = (1000 * each[min(len(each) - 1, int(len(each) * part))] for part in (0.5, 0.99, 1))
                failures = ", ".join(f"{reason} {count}" for reason, count in self._reasons[kind].most_common())
                rows.append(f"{kind:26} {len(each):8} {p50:8.1f} {p99:8.1f} {most:8.1f}  {failures}")
        return "\n".join(rows)


def _reason(asked: Asked, answer: Answer) -> str:
    """Why the request failed, "wrong" if its answer is no failure and not right, else nothing."""
    if not answer.status:
        return "no answer"
    if answer.status >= 400:
        return f"HTTP {answer.status}"
    if answer.reasons:
        return answer.reasons[0]
    try:
        return "" if asked.right(answer) else "wrong"
    except (KeyError, TypeError, AttributeError):
        return "wrong"
