"""What a request sends to be written: its query, its form, its body. What cannot be used is a BadRequest.

Contract: rc3, Decisions "Writes", "Command argument" and "async".
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from flask import g, request
from werkzeug.datastructures import MultiDict

from mtango_gevent import limits
from mtango_gevent.api.query import check_name, check_number, check_parameters, quoted
from mtango_gevent.errors import ApiError, BadRequest, check_limit
from mtango_gevent.names import canonical_name, folded
from mtango_gevent.values import RawInput, shown

_FALSE = ("false", "0", "no")

# What a text may be in: name in a Content-Type -> Python's.
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "windows-1252": "cp1252",
}


def asynchronous() -> bool:
    """Whether the client does not wait for the outcome."""
    return _flag("async")


def replacing() -> bool:
    """Whether what is not named goes. Contract: rc3, Decisions "PUT properties"."""
    return _flag("replace")


def _flag(name: str) -> bool:
    given = _parameters().getlist(name)
    return bool(given) and given[-1].lower() not in _FALSE


def value(key: str) -> RawInput:
    """One value: the parameter `key` of the query or a form, repeated for a list, else the body."""
    texts = _parameters().getlist(key)
    if texts:
        return RawInput.in_query(texts)
    text = _text()
    if not text:
        raise BadRequest(f"nothing to write: neither a parameter {key} nor a body")
    return RawInput.in_body(text)


def values(kind: str) -> dict[str, RawInput]:
    """Values by the name of what they are for, a `kind`: of the query and a form, or of a JSON object as the body.

    Raises BadRequest for names that cannot be or are too many, and where there are none.
    """
    sent = {name: RawInput.in_query(texts) for name, texts in _parameters().lists() if name != "async"}
    if _text() and not _form():
        sent |= {name: RawInput.in_json(value) for name, value in document().items()}
    if not sent:
        raise BadRequest(f"nothing to write: neither parameters that name {kind}s nor a JSON object")
    check_number(kind, sent)
    for name in sent:
        check_name(kind, name)
    return sent


def properties() -> dict[str, list[str]]:
    """Texts by the name of the property: of the query and a form, or of a JSON body in the shape of an answer.

    Raises BadRequest for names that cannot be or are there twice, and for a property without texts.
    """
    sent: list[tuple[str, Any]] = [item for item in _parameters().lists() if item[0] not in ("async", "replace")]
    if _text() and not _form():
        sent += _named_texts(_json(exactly=True))
    if not sent:
        raise BadRequest("nothing to write: neither parameters that name properties nor a JSON body")
    check_limit(len(sent), limits.NAMES, "properties")
    found = {check_name("property_name", name): _lines(name, texts) for name, texts in sent}
    if len({folded(name) for name in found}) < len(sent):
        raise BadRequest("a property is named twice")
    check_limit(sum("*" in name or "%" in name for name in found), limits.PATTERNS, "names of properties with * or %")
    check_limit(sum(map(len, found.values())), limits.LINES, "texts of properties")
    return found


def property_texts(name: str) -> list[str]:
    """The texts of one property: parameters `value` of the query or a form, a JSON body, or a text as the body."""
    given = _parameters().getlist("value")
    if given or not _text():
        return _lines(name, given)
    sent = RawInput.in_body(_text())
    if not isinstance(sent.parsed, (dict, list)):
        return _lines(name, sent.text())
    found = _json(exactly=True)
    if not isinstance(found, dict):
        return _lines(name, found)
    if "values" in found:  # in the shape of an answer: {"name": ..., "values": [...]} or {name: [...]}
        found = {str(found.get("name", name)): found["values"]}
    known = canonical_name(name, found)
    if known is None:
        raise BadRequest(f"the body is not about the property {quoted(name)}; sent was {shown(found)}")
    return _lines(name, found[known])


def _named_texts(found: Any) -> list[tuple[str, Any]]:
    if isinstance(found, list):  # as answered for devices: [{"name": ..., "values": [...]}, ...]
        if not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in found):
            raise BadRequest('the body is not a list of objects with "name" and "values"')
        return [(item["name"], item.get("values")) for item in found]
    if not isinstance(found, dict):
        raise BadRequest(f"the body is neither a JSON object nor a list of them; sent was {shown(found)}")
    return list(found.items())


def _lines(name: str, texts: Any) -> list[str]:
    lines = texts if isinstance(texts, list) else [texts]
    if not lines:
        raise BadRequest(f"the property {quoted(name)} has no values to write; DELETE takes it away")
    check_limit(len(lines), limits.LINES, f"texts of the property {quoted(name)}")
    for line in lines:
        if not isinstance(line, str) or "\0" in line:
            raise BadRequest(f"the property {quoted(name)} is a text or a list of texts; sent was {shown(texts)}")
        check_limit(
            len(line.encode("utf-8", "surrogatepass")), limits.LINE, f"bytes in a text of the property {quoted(name)}"
        )
    return lines


def argument() -> RawInput:
    """The argument of a command: the parameter `v` of the query or a form, repeated for a list, else the body, be it
    empty. Raises BadRequest for a parameter `v` and a body."""
    in_query = request.args.getlist("v")
    if in_query and _text():
        raise BadRequest("the argument is there twice: as the parameter v in the query, and in the body")
    texts = in_query or _form().getlist("v")
    return RawInput.in_query(texts) if texts else RawInput.in_body(_text())


def document() -> dict[str, Any]:
    """A JSON object as the body, whatever its Content-Type says."""
    found = _json()
    if not isinstance(found, dict):
        raise BadRequest(f"the body is not a JSON object; sent was {shown(found)}")
    return found


def _json(exactly: bool = False) -> Any:
    """The body; exactly: with numbers as the texts that they are there."""
    try:
        found = orjson.loads(_text())  # JSON, that is, and not nested too deeply
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    try:
        return json.loads(_text(), parse_int=str, parse_float=str) if exactly else found
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


def _parameters() -> MultiDict[str, str]:
    """Of the query and of a form; a name in both has the values of both."""
    return MultiDict([*request.args.items(multi=True), *_form().items(multi=True)])


def _form() -> MultiDict[str, str]:
    """The body as a form, if it is one; looked at once."""
    if "form" not in g:
        g.form = _read_form()
    return g.form


def _read_form() -> MultiDict[str, str]:
    """curl says of whatever it sends that it is a form."""
    body = request.get_data()  # first, as nothing is left of a body after it has been read as a form
    if request.mimetype == "multipart/form-data":
        raise BadRequest("multipart/form-data is not taken: send a query, a urlencoded form, JSON or a text")
    if b"=" not in body or body.lstrip().startswith((b"{", b"[")):
        return MultiDict()
    if request.mimetype == "application/x-www-form-urlencoded":
        if len(body) > limits.FORM:
            raise ApiError(413, "MTANGO_Http413", f"the form has {len(body)} bytes, more than {limits.FORM}: send JSON")
        check_parameters("form", body)
    return request.form


def _text() -> str:
    """The body, whatever its Content-Type says it is."""
    charset = request.mimetype_params.get("charset", "utf-8")
    encoding = _ENCODINGS.get(charset.lower())
    if encoding is None:  # of Python's others some do what no text should, and all names asked for are kept for ever
        raise BadRequest(f"the charset {quoted(charset)} is none of {', '.join(_ENCODINGS)}")
    try:
        return request.get_data().decode(encoding)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body cannot be read as {charset}: {error}") from None
