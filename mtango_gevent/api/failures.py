"""Failures as JSON: of a whole request, and of one item of an array. Contract: rc3, Decisions "Tango errors"."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from mtango_gevent.api import changes, timestamps
from mtango_gevent.api.request_context import current
from mtango_gevent.errors import ApiError, DevFailed, as_failure, body, describe, explained, tango_failure
from mtango_gevent.values import JsonObject

logger = logging.getLogger(__name__)


def failure_body(errors: list[dict[str, str]], milliseconds: int | None = None) -> JsonObject:
    """Return the body of a failure. milliseconds: when it happened, since the epoch; None is now."""
    time = timestamps.now() if milliseconds is None else timestamps.from_milliseconds(milliseconds)
    return body(errors, time)


def failed_item(name: str, errors: list[dict[str, str]]) -> JsonObject:
    """Return the failure of an item of an array, in which clients of rc3 look for `desc`."""
    return {"name": name, **failure_body([{**error, "desc": error["description"]} for error in errors])}


def unshown_item(name: str, error: Exception) -> JsonObject:
    """Return the failure of an item of an array that could not be converted, whatever the error is."""
    if isinstance(error, (ApiError, DevFailed)):
        return failed_item(name, describe(error))
    logger.warning("cannot show %s: %s: %s", ascii(name), type(error).__name__, ascii(str(error)))
    return failed_item(name, describe(as_failure(error, "MTANGO_NotShown", "the gateway cannot show it")))


def shape_item(name: str, shape: Callable[[], JsonObject]) -> JsonObject:
    """Return the result of `shape`, or the failure of the item of that name where it raises an error."""
    try:
        return shape()
    except Exception as error:
        return unshown_item(name, error)


@contextlib.contextmanager
def after_change(problem: str) -> Iterator[None]:
    """Add `problem` to every failure of the block: it says that the change itself was made."""
    changes.note_outcomes(current().changes, {})
    try:
        yield
    except DevFailed as failure:
        raise explained(failure, problem) from None
    except Exception as error:
        logger.exception("the response to a change failed")
        raise tango_failure("MTANGO_NotShown", f"{problem}: {type(error).__name__}: {error}") from None
