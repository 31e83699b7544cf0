"""What a request sends to be written: its query, its form, its body. What cannot be used is a BadRequest.

Contract: rc3, Decisions "Writes", "Command argument" and "async".
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import request
from werkzeug.datastructures import MultiDict

from mtango_gevent.api.query import check_name, check_utf8, quoted
from mtango_gevent.errors import BadRequest
from mtango_gevent.sent import Sent, shown

_FALSE = ("false", "0", "no")


def asynchronous() -> bool:
    """Whether the client does not wait for the outcome."""
    return _flag("async")


def replacing() -> bool:
    """Whether what is not named goes. Contract: rc3, Decisions "PUT properties"."""
    return _flag("replace")


def _flag(name: str) -> bool:
    given = request.args.getlist(name)
    return bool(given) and given[-1].lower() not in _FALSE


def value(key: str) -> Sent:
    """One value: the parameter `key` of the query or a form, repeated for a list, else the body."""
    texts = _parameters().getlist(key)
    if texts:
        return Sent.in_query(texts)
    text = _text()
    if not text:
        raise BadRequest(f"nothing to write: neither a parameter {key} nor a body")
    return Sent.in_body(text)


def values(kind: str) -> dict[str, Sent]:
    """Values by the name of what they are for, a `kind`: of the query and a form, or of a JSON object as the body.

    Raises BadRequest for names that cannot be, and where there are none.
    """
    sent = {name: Sent.in_query(texts) for name, texts in _parameters().lists() if name != "async"}
    if _text() and not _form():
        sent |= {name: Sent.json(value) for name, value in document().items()}
    if not sent:
        raise BadRequest(f"nothing to write: neither parameters that name {kind}s nor a JSON object")
    for name in sent:
        check_name(kind, name)
    return sent


def properties() -> dict[str, list[str]]:
    """Texts by the name of the property: of the query and a form, or of a JSON body in the shape of an answer.

    Raises BadRequest for names that cannot be, and for a property without texts.
    """
    sent: dict[str, Any] = {name: texts for name, texts in _parameters().lists() if name not in ("async", "replace")}
    if _text() and not _form():
        sent |= _named_texts(_json())
    if not sent:
        raise BadRequest("nothing to write: neither parameters that name properties nor a JSON body")
    return {check_name("property_name", name): _lines(name, texts) for name, texts in sent.items()}


def property_texts(name: str) -> list[str]:
    """The texts of one property: parameters `value` of the query or a form, a JSON body, or a text as the body."""
    given = _parameters().getlist("value")
    if given or not _text():
        return _lines(name, given)
    sent = Sent.in_body(_text())
    if not isinstance(sent.parsed, (dict, list)):
        return _lines(name, sent.text())
    found = sent.parsed
    if isinstance(found, dict):  # in the shape of an answer: {"name": ..., "values": [...]} or {name: [...]}
        found = found.get("values", found.get(name))
    return _lines(name, found)


def _named_texts(found: Any) -> dict[str, Any]:
    if isinstance(found, list):  # as answered for devices: [{"name": ..., "values": [...]}, ...]
        if not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in found):
            raise BadRequest('the body is not a list of objects with "name" and "values"')
        return {item["name"]: item.get("values") for item in found}
    if not isinstance(found, dict):
        raise BadRequest(f"the body is neither a JSON object nor a list of them; sent was {shown(found)}")
    return found


def _lines(name: str, texts: Any) -> list[str]:
    """JSON numbers have a text of their own; Tango keeps nothing else."""
    lines = texts if isinstance(texts, list) else [texts]
    if not lines:
        raise BadRequest(f"the property {quoted(name)} has no values to write; DELETE takes it away")
    for line in lines:
        if not isinstance(line, (str, int, float)) or isinstance(line, bool) or "\0" in str(line):
            raise BadRequest(f"the property {quoted(name)} is a text or a list of texts; sent was {shown(texts)}")
    return [str(line) for line in lines]


def argument() -> Sent:
    """The argument of a command: the body, be it empty."""
    return Sent.in_body(_text())


def document() -> dict[str, Any]:
    """A JSON object as the body, whatever its Content-Type says."""
    found = _json()
    if not isinstance(found, dict):
        raise BadRequest(f"the body is not a JSON object; sent was {shown(found)}")
    return found


def _json() -> Any:
    try:
        return orjson.loads(_text())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


def _parameters() -> MultiDict[str, str]:
    """Of the query and of a form; a name in both has the values of both."""
    return MultiDict([*request.args.items(multi=True), *_form().items(multi=True)])


def _form() -> MultiDict[str, str]:
    """The body as a form, if it is one: curl says so of whatever it sends."""
    body = request.get_data()  # first, as nothing is left of a body after it has been read as a form
    if b"=" not in body or body.lstrip().startswith((b"{", b"[")):
        return MultiDict()
    if request.mimetype == "application/x-www-form-urlencoded":
        check_utf8("form", body)
    return request.form


def _text() -> str:
    """The body, whatever its Content-Type says it is."""
    encoding = request.mimetype_params.get("charset", "utf-8")
    try:
        return request.get_data().decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise BadRequest(f"the body cannot be read as {quoted(encoding)}: {error}") from None
