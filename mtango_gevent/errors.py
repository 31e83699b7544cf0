"""Failures: the gateway's own, Tango's, and what each means as a status and as text.

Contract: rc3, Decisions "Tango errors" and "Errors inside arrays".
"""

from __future__ import annotations

import logging
from typing import Any, TypeAlias

import tango

from mtango_gevent.text import from_utf8, to_utf8

logger = logging.getLogger(__name__)

DevFailed: TypeAlias = tango.DevFailed

# Reasons that have an HTTP status of their own where statuses are asked for; any other Tango failure is 400.
# The first status with a reason anywhere in the stack wins: a device that is unknown is also one that cannot
# be connected to.
STATUS_OF_REASON = {
    404: {
        "API_AttrNotFound",
        "API_CommandNotFound",
        "API_DeviceNotDefined",
        "API_PipeNotFound",
        "DB_DeviceNotDefined",
    },
    503: {
        "API_CantConnectToDatabase",
        "API_CantConnectToDevice",
        "API_CommandTimedOut",
        "API_CorbaException",
        "API_DeviceNotExported",
        "API_DeviceTimedOut",
        "API_EventTimeout",
        "API_TangoHostNotSet",
        "MTANGO_CallTimedOut",
        "MTANGO_DeviceBusy",
        "MTANGO_CircuitOpen",
        "MTANGO_PoolExhausted",
        "MTANGO_TooManyListeners",
    },
}

_TOO_LATE = {"API_CommandTimedOut", "API_DeviceTimedOut", "MTANGO_CallTimedOut"}

# In the text of a connection that failed for want of time, whose reasons are those of any other.
_CORBA_TIMED_OUT = "TRANSIENT_CallTimedout"

# After these the device may have done, or still be doing, what it was told. API_CommandTimedOut is not among them: it
# says that the device was held by another call, and has not begun.
_OUTCOME_UNKNOWN = {"API_DeviceTimedOut", "MTANGO_CallTimedOut"}

# The same in the text of a connection that was lost with the answer outstanding.
_ANSWER_LOST = (_CORBA_TIMED_OUT, "COMM_FAILURE_WaitingForReply", "COMM_FAILURE_UnMarshalResults")

# Where the gateway's own failures say that they come from.
ORIGIN = "mtango-gevent"


class ApiError(Exception):
    """A request that the gateway itself refuses.

    status: the HTTP status; reason: a short name for programs; description: names what was wrong.
    """

    def __init__(self, status: int, reason: str, description: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.reason = reason
        self.description = description
        self.headers = headers or {}


class BadRequest(ApiError):
    def __init__(self, description: str) -> None:
        super().__init__(400, "MTANGO_BadRequest", description)


def check_limit(number: int, limit: int, what: str) -> None:
    """Raise BadRequest if a request has more of something than its limit. what: its name in the plural."""
    if number > limit:
        raise BadRequest(f"expected at most {limit} {what}, got {number}")


class NotFound(ApiError):
    def __init__(self, description: str) -> None:
        super().__init__(404, "MTANGO_NotFound", description)


class NotImplementedHere(ApiError):
    def __init__(self, description: str) -> None:
        super().__init__(501, "MTANGO_NotImplemented", description)


def tango_failure(reason: str, description: str) -> tango.DevFailed:
    """A failure of the gateway's Tango side, as Tango would have raised it."""
    error = tango.DevError()
    error.reason, error.desc, error.origin = reason, to_utf8(description), ORIGIN
    error.severity = tango.ErrSeverity.ERR
    return tango.DevFailed(error)


def explained(failure: tango.DevFailed, text: str) -> tango.DevFailed:
    """The same failure, with what its root cause does not say of itself."""
    root, *others = failure.args
    explained_root = tango.DevError()
    explained_root.reason, explained_root.origin, explained_root.severity = root.reason, root.origin, root.severity
    explained_root.desc = to_utf8(f"{from_utf8(root.desc)} ({text})")
    return tango.DevFailed(explained_root, *others)


def with_outcome(failure: tango.DevFailed) -> tango.DevFailed:
    """Return the failure of a call that changes something; it says so where the outcome is unknown.

    Where the gateway itself has refused the call, which may tell of earlier calls, nothing has been done.
    """
    root = failure.args[0]
    if root.origin == ORIGIN and root.reason not in _OUTCOME_UNKNOWN:
        return failure
    reasons = {error.reason for error in failure.args}
    if reasons & _OUTCOME_UNKNOWN or any(text in error.desc for error in failure.args for text in _ANSWER_LOST):
        return explained(failure, "the outcome is unknown: the device may have done it, or still be at it")
    return failure


def not_made(failure: tango.DevFailed, problem: str) -> tango.DevFailed:
    """Return the failure of a call that was not made, as the given one came before it.

    It does not have the description of that one, which may say that the outcome is unknown.
    """
    root, *others = failure.args
    return tango.DevFailed(*tango_failure(root.reason, f"{problem} ({root.reason})").args, *others)


def not_converted(error: Exception) -> tango.DevFailed:
    """Return the failure of a call whose argument or answer PyTango could not convert."""
    logger.warning("PyTango could not convert: %s", ascii(str(error)), exc_info=error)
    return as_failure(error, "MTANGO_NotConverted", "PyTango cannot convert what was sent or answered")


def as_failure(error: Exception, reason: str, problem: str) -> tango.DevFailed:
    """Return any error as a Tango failure. problem: what went wrong, if the error is no failure of Tango itself."""
    if isinstance(error, tango.DevFailed):
        return error
    if isinstance(error, ApiError):
        return tango_failure(error.reason, error.description)
    return tango_failure(reason, f"{problem}: {type(error).__name__}: {error}")


def status_of(failure: tango.DevFailed) -> int:
    """The HTTP status that fits a Tango failure: 404, 503 or 400."""
    reasons = {error.reason for error in failure.args}
    return next((status for status, known in STATUS_OF_REASON.items() if reasons & known), 400)


def came_too_late(failure: tango.DevFailed) -> bool:
    """Whether the device has not answered in time, or was held by another call for too long."""
    return any(error.reason in _TOO_LATE or _CORBA_TIMED_OUT in error.desc for error in failure.args)


def is_late(error: BaseException | None, seconds: float, late_after: float) -> bool:
    """Return whether a call that took so many seconds failed as its target could not be reached in time.

    After `late_after` seconds any failure to reach it is late; an earlier one may be about another device.
    """
    return isinstance(error, tango.DevFailed) and seconds >= late_after and status_of(error) == 503


def describe(failure: Exception) -> list[dict[str, str]]:
    """The list `errors` of a failure body: one entry for each level of the stack, root cause first."""
    if isinstance(failure, tango.DevFailed):
        return describe_stack(failure.args)
    if isinstance(failure, ApiError):
        return [entry(failure.reason, failure.description, ORIGIN)]
    # An error of ours: the log has it, the client needs no inner details.
    return [entry("MTANGO_InternalError", "internal error of the gateway, see its log", ORIGIN)]


def describe_stack(stack: tuple[tango.DevError, ...]) -> list[dict[str, str]]:
    """The same for the errors that a failed item of an array carries."""
    return [
        entry(from_utf8(error.reason), from_utf8(error.desc), from_utf8(error.origin), str(error.severity))
        for error in stack
    ]


def in_one_line(failure: tango.DevFailed) -> str:
    """Return the reasons and descriptions of the whole stack, root cause first, for a line of text."""
    return " < ".join(f"{from_utf8(error.reason)}: {from_utf8(error.desc).strip()}" for error in failure.args)


def body(errors: list[dict[str, str]], timestamp: int) -> dict[str, Any]:
    """The one body of all failures, in the unit of time that the caller has."""
    return {"errors": errors, "quality": "FAILURE", "timestamp": timestamp}


def entry(reason: str, description: str, origin: str, severity: str = "ERR") -> dict[str, str]:
    return {"reason": reason, "description": description, "severity": severity, "origin": origin}
