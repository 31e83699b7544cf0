"""Single flight between native threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mtango_gevent.control.calls import ThreadSignal
from mtango_gevent.control.single_flight import Route, SingleFlight


def test_thread_that_comes_while_an_unbegun_call_is_given_up_leads() -> None:
    """A route gives up before the call has begun, and another thread asks at every step of that."""
    flights: SingleFlight = SingleFlight(ThreadSignal)
    seen: list[int] = []

    class Refusing:
        def keeps_deadlines(self) -> bool:
            return False

        def let_others_join(self) -> None:
            pass

        def call(self, *_: Any, **__: Any) -> Any:
            raise OSError("no place")

    end = flights._end

    def end_late(*arguments: Any, **keywords: Any) -> None:
        flights._end = end  # type: ignore[method-assign]
        other = threading.Thread(target=lambda: seen.append(flights.do("key", lambda: 5)), daemon=True)
        other.start()
        other.join(5)
        end(*arguments, **keywords)

    flights._end = end_late  # type: ignore[method-assign]
    route: Any = Route(Refusing(), "kind")  # type: ignore[arg-type]
    with pytest.raises(OSError, match="no place"):
        flights.do("key", lambda: 1, route)
    assert seen == [5]
