"""The body of a request: read at once, with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from mtango_gevent.api.query import quoted
from mtango_gevent.api.request_context import app_state, config, http_request
from mtango_gevent.errors import ApiError, BadRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def read_body() -> None:
    """Read the body of a request that writes, for the view. Raises what `read` raises."""
    if http_request().method in ("PUT", "POST"):
        read()


def read() -> None:
    """Read the body of the current request within MTANGO_BODY_TIMEOUT.

    Raises ApiError 408, 415 and 501, BadRequest for a body that is cut off or malformed, and RequestEntityTooLarge
    before a too large one is read.
    """
    request = http_request()
    if not _may_have_body(request.environ):
        return
    _check_codings(request.headers)
    seconds, length = config().body_timeout, request.content_length
    try:
        body = app_state().client.concurrency.call_within(seconds, request.get_data)
    except TimeoutError:
        raise ApiError(408, "MTANGO_Http408", f"the body did not come within {seconds:g} s") from None
    except RequestEntityTooLarge:
        raise
    except ClientDisconnected:
        raise BadRequest("the body ends before it is complete") from None
    except Exception as error:  # for malformed chunks each WSGI server has a type of its own
        raise BadRequest(f"the body cannot be read: {quoted(str(error))}") from None
    if length is not None and len(body) != length:  # gunicorn returns the bytes that have arrived
        raise BadRequest(f"expected a body of {length} bytes (Content-Length), got {len(body)}")


def _may_have_body(environ: WSGIEnvironment) -> bool:
    """Return whether a request has a body: in HTTP/1 it has none without a length and a coding."""
    return (
        environ.get("CONTENT_LENGTH", "") not in ("", "0")
        or "HTTP_TRANSFER_ENCODING" in environ
        or "HTTP_CONTENT_ENCODING" in environ
        or not environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1")
    )


def _check_codings(headers: Headers) -> None:
    """Raise ApiError for a compressed body and for an unknown Transfer-Encoding, which gunicorn passes on."""
    encoding, transfer = (headers.get(f"{kind}-Encoding", "") for kind in ("Content", "Transfer"))
    if encoding.strip().lower() not in ("", "identity"):
        raise ApiError(415, "MTANGO_Http415", f"expected a body without Content-Encoding, got {quoted(encoding)}")
    if transfer.strip().lower() not in ("", "chunked"):
        raise ApiError(501, "MTANGO_Http501", f"expected the Transfer-Encoding chunked, got {quoted(transfer)}")
