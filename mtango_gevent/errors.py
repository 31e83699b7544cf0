"""Failures of the gateway and of Tango, with their HTTP statuses and the one body that shows them.

Contract: rc3, Decisions "Tango errors" and "Errors inside arrays".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import tango

from mtango_gevent.text import from_utf8, to_utf8

logger = logging.getLogger(__name__)

DevFailed: TypeAlias = tango.DevFailed

# The status of a Tango failure, where clients ask for statuses. Of several reasons in a stack the lowest status counts:
# a device that is not defined cannot be connected to either. A failure without any of these reasons is 400.
STATUS_OF_REASON = {
    "API_AttrNotFound": 404,
    "API_CommandNotFound": 404,
    "API_DeviceNotDefined": 404,
    "API_PipeNotFound": 404,
    "DB_DeviceNotDefined": 404,
    "API_CantConnectToDatabase": 503,
    "API_CantConnectToDevice": 503,
    "API_CommandTimedOut": 503,
    "API_CorbaException": 503,
    "API_DeviceNotExported": 503,
    "API_DeviceTimedOut": 503,
    "API_EventTimeout": 503,
    "API_TangoHostNotSet": 503,
    "MTANGO_CallTimedOut": 503,
    "MTANGO_CircuitOpen": 503,
    "MTANGO_DeviceBusy": 503,
    "MTANGO_PoolExhausted": 503,
    "MTANGO_TooManyItems": 503,
    "MTANGO_TooManyListeners": 503,
    "MTANGO_TooManyStreams": 503,
}

# After these the device may have done the call, or still be doing it. API_CommandTimedOut is not among them: another
# call held the device, and this one has not begun.
_OUTCOME_UNKNOWN = {"API_DeviceTimedOut", "MTANGO_CallTimedOut"}

# What the description of such a failure says.
_UNKNOWN = "the outcome is unknown"

# An attribute or command has no history.
NOT_POLLED = {"API_AttrNotPolled", "API_CmdNotPolled", "API_NoDataYet"}

# Answers that there is no such thing: no failures of the device that gives them.
ANSWERS = {"DB_AliasNotDefined", "DB_DeviceNotDefined", *NOT_POLLED}

_TIMEOUTS = {"API_CommandTimedOut", *_OUTCOME_UNKNOWN}

# Part of the text of a connection that timed out; its reasons are those of any lost connection.
_CORBA_TIMED_OUT = "TRANSIENT_CallTimedout"

# Parts of the texts of connections that were lost with the answer outstanding.
_ANSWER_LOST = (_CORBA_TIMED_OUT, "COMM_FAILURE_WaitingForReply", "COMM_FAILURE_UnMarshalResults")

# How libtango describes the failed read of several attributes, or of one of them.
_READ_TOGETHER = re.compile(r"Failed to read_attributes on (device [^,]+), attributes? ")

# Why libtango refuses a change by the gateway itself.
OWN_ACCESS = "TangoAccessControl of this Tango host gives the user that runs the gateway read access only"

# The origin in the gateway's own failures.
ORIGIN = "mtango-gevent"


class ApiError(Exception):
    """A request that the gateway refuses.

    status: the HTTP status; reason: a short name for programs; description: names the fault; headers: of the answer,
    where a list stands for a header that comes several times.
    """

    def __init__(
        self, status: int, reason: str, description: str, headers: Mapping[str, str | list[str]] | None = None
    ) -> None:
        super().__init__(description)
        self.status = status
        self.reason = reason
        self.description = description
        self.headers = dict(headers or {})

    def copy(self) -> ApiError:
        """Return an equal refusal without a traceback, which would keep alive all that its frames hold."""
        return ApiError(self.status, self.reason, self.description, self.headers)


class BadRequest(ApiError):
    def __init__(self, description: str) -> None:
        super().__init__(400, "MTANGO_BadRequest", description)


def check_limit(number: int, limit: int, what: str) -> None:
    """Raise BadRequest if a request has more of something than its limit. what: its name in the plural."""
    if number > limit:
        raise BadRequest(f"expected at most {limit} {what}, got {number}")


class NotAcceptable(ApiError):
    """A value that has none of the media types that the client accepts."""

    def __init__(self, description: str) -> None:
        super().__init__(406, "MTANGO_NotAcceptable", description)


class NotFound(ApiError):
    def __init__(self, description: str) -> None:
        super().__init__(404, "MTANGO_NotFound", description)


class Unauthorized(ApiError):
    """Credentials that are missing or wrong. `Authentication` adds the challenges."""

    def __init__(self, description: str, headers: Mapping[str, str | list[str]] | None = None) -> None:
        super().__init__(401, "MTANGO_Unauthorized", description, headers)


class NotImplementedHere(ApiError):
    def __init__(self, description: str) -> None:
        super().__init__(501, "MTANGO_NotImplemented", description)


def tango_failure(reason: str, description: str) -> tango.DevFailed:
    """Return a failure of the gateway in the form of a Tango failure."""
    error = tango.DevError()
    error.reason, error.desc, error.origin = reason, to_utf8(description), ORIGIN
    error.severity = tango.ErrSeverity.ERR
    return tango.DevFailed(error)


def explained(failure: tango.DevFailed, text: str) -> tango.DevFailed:
    """Return the failure with a text added to the description of its root cause."""
    root, *others = failure.args
    return tango.DevFailed(_with_description(root, f"{from_utf8(root.desc)} ({text})"), *others)


def as_read_of_one(failure: tango.DevFailed, name: str | bytes) -> tango.DevFailed:
    """Return the failure of a call that reads several attributes in the words of one that reads that attribute.

    libtango names all attributes of the call, which other clients may have asked for.
    """
    shown = name if isinstance(name, str) else from_utf8(name.decode("latin-1"))
    errors = [(error, _READ_TOGETHER.match(from_utf8(error.desc))) for error in failure.args]
    return tango.DevFailed(
        *(
            _with_description(error, f"Failed to read_attribute on {found[1]}, attribute {shown}") if found else error
            for error, found in errors
        )
    )


def _with_description(error: tango.DevError, description: str) -> tango.DevError:
    new = tango.DevError()
    new.reason, new.origin, new.severity = error.reason, error.origin, error.severity
    new.desc = to_utf8(description)
    return new


def with_outcome(failure: tango.DevFailed) -> tango.DevFailed:
    """Return the failure of a write or command, with a note if its outcome is unknown.

    A call that the gateway refused has not been made, even if the stack tells of earlier calls.
    """
    root = failure.args[0]
    if root.origin == ORIGIN and root.reason not in _OUTCOME_UNKNOWN:
        return failure
    if _answer_is_lost(failure):
        return explained(failure, _UNKNOWN + ": the device may have done it, or still be doing it")
    return failure


def _answer_is_lost(failure: tango.DevFailed) -> bool:
    reasons = {error.reason for error in failure.args}
    return bool(reasons & _OUTCOME_UNKNOWN) or any(
        text in error.desc for error in failure.args for text in _ANSWER_LOST
    )


def outcome_is_unknown(failure: tango.DevFailed) -> bool:
    """Return whether the failure of a write or command says that its outcome is unknown."""
    return any(_UNKNOWN in error.desc for error in failure.args)


def not_made(failure: tango.DevFailed, problem: str) -> tango.DevFailed:
    """Return the failure of a call that was not made because an earlier one failed.

    The description of the earlier failure is left out, as it may say that the outcome is unknown.
    """
    root, *others = failure.args
    return tango.DevFailed(*tango_failure(root.reason, f"{problem} ({root.reason})").args, *others)


def not_converted(error: Exception) -> tango.DevFailed:
    """Return the failure of a call whose argument or answer PyTango could not convert."""
    logger.warning("PyTango could not convert: %s", ascii(str(error)), exc_info=error)
    return as_failure(error, "MTANGO_NotConverted", "PyTango cannot convert the argument or the answer")


def as_failure(error: Exception, reason: str, problem: str) -> tango.DevFailed:
    """Return any error as a Tango failure. reason, problem: for an error that is not the gateway's or Tango's."""
    if isinstance(error, tango.DevFailed):
        return error
    if isinstance(error, ApiError):
        return tango_failure(error.reason, error.description)
    return tango_failure(reason, f"{problem}: {type(error).__name__}: {error}")


def status_of(failure: tango.DevFailed) -> int:
    """Return the HTTP status of a Tango failure: 400, 404 or 503."""
    reasons = {error.reason for error in failure.args} & STATUS_OF_REASON.keys()
    return min((STATUS_OF_REASON[reason] for reason in reasons), default=400)


def has_timed_out(failure: tango.DevFailed) -> bool:
    """Return whether the device did not answer in time, or another call held it for too long."""
    return any(error.reason in _TIMEOUTS or _CORBA_TIMED_OUT in error.desc for error in failure.args)


def is_read_only(failure: tango.DevFailed) -> bool:
    """Return whether libtango has refused a change, as the user that runs the gateway has read access."""
    return any(error.reason == "API_ReadOnlyMode" for error in failure.args)


def is_late(error: BaseException | None, seconds: float, late_after: float) -> bool:
    """Return whether a call that took so many seconds failed as its target could not be reached in time.

    After `late_after` seconds any failure to reach it is late; an earlier one may be about another device.
    """
    return isinstance(error, tango.DevFailed) and seconds >= late_after and status_of(error) == 503


def describe(failure: Exception) -> list[dict[str, str]]:
    """Return the list `errors` of a failure body: an entry for each level of the stack, root cause first."""
    if isinstance(failure, tango.DevFailed):
        return describe_stack(failure.args)
    if isinstance(failure, ApiError):
        return [entry(failure.reason, failure.description, ORIGIN)]
    return [entry("MTANGO_InternalError", "internal error of the gateway, see its log", ORIGIN)]


def describe_stack(stack: tuple[tango.DevError, ...]) -> list[dict[str, str]]:
    """Return the list `errors` for Tango's error stack."""
    return [
        entry(from_utf8(error.reason), from_utf8(error.desc), from_utf8(error.origin), str(error.severity))
        for error in stack
    ]


def in_one_line(failure: tango.DevFailed) -> str:
    """Return the reasons and descriptions of the whole stack, root cause first, for a line of text."""
    return " < ".join(f"{from_utf8(error.reason)}: {from_utf8(error.desc).strip()}" for error in failure.args)


def body(errors: list[dict[str, str]], timestamp: int) -> dict[str, Any]:
    """Return the body of a failure. timestamp: in the unit of the API version."""
    return {"errors": errors, "quality": "FAILURE", "timestamp": timestamp}


def entry(reason: str, description: str, origin: str, severity: str = "ERR") -> dict[str, str]:
    return {"reason": reason, "description": description, "severity": severity, "origin": origin}
