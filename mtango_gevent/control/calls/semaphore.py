"""A bounded semaphore with a queue, for the greenlets of one hub."""

from __future__ import annotations

from collections import deque

from gevent.event import Event


class Semaphore:
    """Admits `limit` holders at a time and `queue` waiting ones, any number if None.

    parent: a semaphore that each holder acquires as well, shared with others. To leave room for them, a semaphore that
    has a holder admits a further one only while it has fewer than half of the parent's free places.
    """

    __slots__ = ("_children", "_waiting", "limit", "parent", "queue", "taken")

    def __init__(self, limit: int, queue: int | None = None, parent: Semaphore | None = None) -> None:
        self.limit = limit
        self.queue = queue
        self.parent = parent
        self.taken = 0
        self._waiting: deque[Event] = deque()
        self._children: dict[Semaphore, None] = {}  # with greenlets that may be admitted when a place is free here

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def free(self) -> int:
        return self.limit - self.taken

    def try_acquire(self) -> bool:
        """Acquire a place without waiting; return whether there was one."""
        if self._waiting or not self._has_place():
            return False
        self.taken += 1
        return True

    def acquire(self, timeout: float | None) -> bool:
        """Return whether a place was acquired within so many seconds; None waits without limit."""
        if self.try_acquire():
            return True
        if timeout == 0 or (self.queue is not None and len(self._waiting) >= self.queue):
            return False
        turn = Event()
        self._waiting.append(turn)
        if self.parent:
            self.parent._children[self] = None
        try:
            turn.wait(timeout)
        except BaseException:  # the greenlet was killed, perhaps just as it was admitted
            if turn.is_set():
                self.release()
            else:
                self._waiting.remove(turn)
            raise
        if turn.is_set():  # not what wait() returns: the time may have ended as the turn came
            return True
        self._waiting.remove(turn)
        return False

    def release(self) -> None:
        """Give a place back, and admit the first of those that wait."""
        self.taken -= 1
        self._admit_waiting()
        for child in tuple(self._children):
            child._admit_waiting()

    def _admit_waiting(self) -> None:
        while self._waiting and self._has_place():
            self.taken += 1
            self._waiting.popleft().set()
        if self.parent and not self._waiting:
            self.parent._children.pop(self, None)

    def _has_place(self) -> bool:
        return self.taken < self.limit and (self.parent is None or not self.taken or self.taken < self.parent.free // 2)
