"""The audit log of an application: a line for each change that a request makes, tries or is refused."""

from __future__ import annotations

import time
from collections.abc import Iterable

from mtango_gevent.api.access.audit_lines import Change, Line, Origin, as_json, as_text
from mtango_gevent.api.access.audit_targets import open_target
from mtango_gevent.api.access.audit_writer import LINES, AuditWriter
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.control.client import TangoClient
from mtango_gevent.errors import ApiError


class Audit:
    """is_on: whether there is an audit log; required: whether a change may be made only after its line is written.

    Makes no thread before the first line. Raises ConfigError for a file that cannot be opened.
    """

    def __init__(self, config: Config, client: TangoClient) -> None:
        self.is_on, self.required = bool(config.audit), config.audit_required
        self._deadline = config.call_deadline
        for outcome in ("written", "lost"):  # a metric that is 0 can be watched
            client.metrics.child(LINES, outcome)
        if not config.audit:
            if self.required:
                raise ConfigError("MTANGO_AUDIT_REQUIRED: expected MTANGO_AUDIT to say where the audit log goes")
            return
        try:
            target = open_target(config.audit)
        except OSError as error:
            raise ConfigError(f"MTANGO_AUDIT: cannot open {config.audit}: {error.strerror}") from None
        encode = as_json if config.audit_format == "json" else as_text
        self._writer = AuditWriter(config.audit, target, encode, client)

    @property
    def problem(self) -> str:
        """Why lines are not written now; empty where they are, or where there is no audit log."""
        return self._writer.problem if self.is_on else ""

    def write(self, origin: Origin, changes: Iterable[Change], outcome: str) -> None:
        """Write a line for each change. outcome: of those without one of their own."""
        for change in changes:
            self._writer.put([Line(time.time(), origin, change, change.outcome or outcome)])

    def begin(self, origin: Origin, changes: Iterable[Change]) -> None:
        """Write a line `begun` for each change, if that is required, and wait until they are safe.

        Raises ApiError 503 where one of them could not be written.
        """
        if not self.required:
            return
        lines = [Line(time.time(), origin, change, "begun") for change in changes]
        problem = self._writer.put_and_wait(lines, self._deadline)
        if problem:
            raise ApiError(503, "MTANGO_AuditFailed", f"the audit log must tell of each change, and cannot: {problem}")

    def finish(self, seconds: float) -> None:
        """Wait until all lines are written, for that time at most."""
        if self.is_on:
            self._writer.put_and_wait((), seconds)
