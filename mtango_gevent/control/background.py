"""Asynchronous requests: jobs that run after their requests have been answered (contract: rc3, "async")."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable

from mtango_gevent.control.calls import Concurrency, NativeLock
from mtango_gevent.errors import ApiError, DevFailed, as_failure, in_one_line, tango_failure

logger = logging.getLogger(__name__)

Job = Callable[[], object]

_LOOK_EVERY = 0.02


class Background:
    """Queues of jobs by device, each in order: the later of two writes is the last.

    limit: jobs that may wait for one device.
    """

    def __init__(self, concurrency: Concurrency, limit: int) -> None:
        self._concurrency = concurrency
        self._limit = limit
        self._queues: dict[str, deque[tuple[str, Job]]] = {}
        self._guard = NativeLock()
        self._done = self._failed = 0

    def add(self, device: str, about: str, job: Job) -> None:
        """Queue a job. Raises DevFailed, MTANGO_DeviceBusy, when too many wait.

        about: what a log line calls it.
        """
        with self._guard:
            queue = self._queues.get(device)
            if queue is None:
                queue = self._begin(device)
            if len(queue) >= self._limit:
                raise tango_failure("MTANGO_DeviceBusy", f"{len(queue)} requests wait for {device} already")
            queue.append((about, job))

    def _begin(self, device: str) -> deque[tuple[str, Job]]:
        """Return a new queue, with the greenlet or thread that works on it. Raises DevFailed without a thread."""
        queue: deque[tuple[str, Job]] = deque()
        try:
            self._concurrency.spawn(self._work, device, queue)  # which waits for the guard
        except RuntimeError as error:
            raise tango_failure("MTANGO_PoolExhausted", f"the machine has no thread for it: {error}") from None
        self._queues[device] = queue
        return queue

    def info(self) -> dict[str, int]:
        """Return the numbers of jobs that wait, have succeeded and have failed."""
        with self._guard:
            waiting = sum(len(queue) for queue in self._queues.values())
            return {"waiting": waiting, "done": self._done, "failed": self._failed}

    def finish(self, seconds: float) -> None:
        """Wait until all jobs are done, for that time at most, and log those that are not."""
        until = time.monotonic() + seconds
        while self._queues and time.monotonic() < until:
            self._concurrency.sleep(_LOOK_EVERY)
        with self._guard:
            for device, queue in self._queues.items():
                logger.error("async requests of %s not done: %d, and perhaps one that has begun", device, len(queue))

    def _work(self, device: str, queue: deque[tuple[str, Job]]) -> None:
        while True:
            with self._guard:
                if not queue:
                    del self._queues[device]
                    return
                about, job = queue.popleft()
            done = _do(about, job)
            with self._guard:
                self._done, self._failed = self._done + done, self._failed + (not done)


def _do(about: str, job: Job) -> bool:
    """Run `job` and return whether it succeeded; no exception may stop the queue."""
    try:
        job()
    except BaseException as error:  # gevent.Timeout, GreenletExit and SystemExit included
        with contextlib.suppress(BaseException):
            _log_failure(about, error)
        return False
    return True


def _log_failure(about: str, error: BaseException) -> None:
    if isinstance(error, (ApiError, DevFailed)):
        line = f"async {about} failed: {in_one_line(as_failure(error, '', ''))}"
        logger.warning("%s", line.encode("unicode_escape").decode("ascii"))
    else:
        logger.error("async %s failed", about, exc_info=error)
