"""Slots: how many calls may be in flight at a time, and who waits for the next."""

from __future__ import annotations

from collections import deque

from gevent.event import Event


class Slots:
    """`limit` of them; whoever finds none waits in a queue of `queue` places, without end if None.

    wider: if given, slots that each call takes as well, of which enough is to be left for others: while one is taken,
    no more are than half of those that are free there. For the greenlets of one hub.
    """

    __slots__ = ("_narrower", "_waiting", "limit", "queue", "taken", "wider")

    def __init__(self, limit: int, queue: int | None = None) -> None:
        self.limit = limit
        self.queue = queue
        self.wider: Slots | None = None
        self.taken = 0
        self._waiting: deque[Event] = deque()
        self._narrower: dict[Slots, None] = {}  # those who wait there may have room when one is free here

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def free(self) -> int:
        return self.limit - self.taken

    @property
    def has_room(self) -> bool:
        """Whether there may be one more call in flight than there are slots, for who is back at once."""
        return self.taken <= self.limit

    def overdraw(self) -> None:
        """Take that one more."""
        self.taken += 1

    def take(self) -> bool:
        """Whether there was one for who does not wait."""
        if self._waiting or not self._is_free():
            return False
        self.taken += 1
        return True

    def acquire(self, timeout: float | None) -> bool:
        """Whether there was one within so many seconds; None waits without end."""
        if self.take():
            return True
        if timeout == 0 or (self.queue is not None and len(self._waiting) >= self.queue):
            return False
        turn = Event()
        self._waiting.append(turn)
        if self.wider:
            self.wider._narrower[self] = None
        try:
            turn.wait(timeout)
        except BaseException:  # given up, perhaps just as it had its turn
            if turn.is_set():
                self.release()
            else:
                self._waiting.remove(turn)
            raise
        if turn.is_set():  # not what wait() gives: the time may have ended as the turn came
            return True
        self._waiting.remove(turn)
        return False

    def release(self) -> None:
        """Give one back, to who waits for it first."""
        self.taken -= 1
        self._serve()
        for narrower in tuple(self._narrower):
            narrower._serve()

    def _serve(self) -> None:
        while self._waiting and self._is_free():
            self.taken += 1
            self._waiting.popleft().set()
        if self.wider and not self._waiting:
            self.wider._narrower.pop(self, None)

    def _is_free(self) -> bool:
        return self.taken < self.limit and (self.wider is None or not self.taken or self.taken < self.wider.free // 2)
