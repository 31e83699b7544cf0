"""Input of writes: the query, form or body of a request. Input that cannot be used raises BadRequest.

Contract: rc3, Decisions "Writes", "Command argument" and "async".
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from werkzeug.datastructures import MultiDict

from mtango_gevent import limits
from mtango_gevent.api.access import VALUE
from mtango_gevent.api.query import check_name, check_names, check_parameters, quoted
from mtango_gevent.api.request_context import current, http_request
from mtango_gevent.errors import ApiError, BadRequest, check_limit
from mtango_gevent.names import canonical_name, folded
from mtango_gevent.values import JsonObject, RawInput, shown

_FALSE = ("false", "0", "no")

# Encodings of a text: name in a Content-Type -> Python's name.
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "windows-1252": "cp1252",
}


def asynchronous() -> bool:
    """Return whether the client does not wait for the outcome."""
    return _flag("async")


def replacing() -> bool:
    """Return whether properties that are not named are deleted. Contract: rc3, Decisions "PUT properties"."""
    return _flag("replace")


def _flag(name: str) -> bool:
    given = _parameters().getlist(name)
    return bool(given) and given[-1].lower() not in _FALSE


def value(key: str) -> RawInput:
    """Return the input for one value: the parameter `key`, repeated for a list, else the body."""
    texts = _parameters().getlist(key)
    if texts:
        return RawInput.in_query(texts)
    text = _text()
    if not text:
        raise BadRequest(f"expected a parameter {key} or a body, got neither")
    return RawInput.in_body(text)


def values(kind: str) -> dict[str, RawInput]:
    """Return the input for several values by name, from the query and a form, or from a JSON object as the body.

    kind: of the names. Raises BadRequest for impossible names, too many names, and for none.
    """
    sent = {name: RawInput.in_query(texts) for name, texts in _parameters().lists() if name != "async"}
    if _text() and not _form():
        sent |= {name: RawInput.in_json(value) for name, value in document().items()}
    if not sent:
        raise BadRequest(f"expected parameters that name {kind}s or a JSON object, got neither")
    check_names(kind, sent)
    for name in sent:
        check_name(kind, name)
    return sent


def properties(by_commas: bool = False) -> dict[str, list[str]]:
    """Return texts by the name of the property, from the query and a form, or from JSON like that of an answer.

    by_commas: each parameter is a list with commas between its texts.
    Raises BadRequest for impossible or repeated names, and for a property without texts.
    """
    given = [item for item in _parameters().lists() if item[0] not in ("async", "replace")]
    if by_commas:
        given = [(name, ",".join(texts).split(",")) for name, texts in given]
    sent: list[tuple[str, object]] = [*given]
    if _text() and not _form():
        sent += _named_texts(_json(exactly=True))
    if not sent:
        raise BadRequest("expected parameters that name properties or a JSON body, got neither")
    check_limit(len(sent), limits.NAMES, "properties")
    found = {check_name("property_name", name): _lines(name, texts) for name, texts in sent}
    if len({folded(name) for name in found}) < len(sent):
        raise BadRequest("properties: expected each name once, got one twice")
    check_limit(
        sum("*" in name or "%" in name or not name.isascii() for name in found),
        limits.PATTERNS,
        "names of properties with * or % or characters that are not ASCII",
    )
    check_limit(sum(map(len, found.values())), limits.LINES, "texts of properties")
    return found


def property_texts(name: str) -> list[str]:
    """Return the texts of one property, from parameters `value`, a JSON body, or a text as the body."""
    given = _parameters().getlist("value")
    if given or not _text():
        return _lines(name, given)
    raw = RawInput.in_body(_text())
    if not isinstance(raw.parsed, (dict, list)):
        return _lines(name, raw.text())
    document = _json(exactly=True)
    return _lines(name, _texts_of(name, document) if isinstance(document, dict) else document)


def _texts_of(name: str, document: JsonObject) -> object:
    """Return the texts in a document like an answer: {"name": name, "values": [...]} or {name: [...]}."""
    if "values" in document:
        document = {str(document.get("name", name)): document["values"]}
    known = canonical_name(name, document)
    if known is None:
        raise BadRequest(f"the body: expected the property {quoted(name)}, got {shown(document)}")
    return document[known]


def _named_texts(found: object) -> list[tuple[str, object]]:
    if isinstance(found, list):  # like the answer for devices: [{"name": ..., "values": [...]}, ...]
        if not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in found):
            raise BadRequest('the body: expected a list of {"name": text, "values": [texts]}, got ' + shown(found))
        return [(item["name"], item.get("values")) for item in found]
    if not isinstance(found, dict):
        raise BadRequest(f"the body: expected a JSON object or a list of them, got {shown(found)}")
    return list(found.items())


def _lines(name: str, texts: object) -> list[str]:
    owner, lines = f"the property {quoted(name)}", texts if isinstance(texts, list) else [texts]
    if not lines:
        raise BadRequest(f"{owner}: expected a text or more, got none; DELETE deletes a property")
    check_limit(len(lines), limits.LINES, f"texts of {owner}")
    return [_checked_line(owner, line) for line in lines]


def _checked_line(owner: str, line: object) -> str:
    if not isinstance(line, str) or "\0" in line:
        raise BadRequest(f"{owner}: expected texts without NUL, got {shown(line)}")
    check_limit(len(line.encode("utf-8", "surrogatepass")), limits.LINE, f"bytes in a text of {owner}")
    return line


def sent() -> str:
    """Return what the request sets, for the audit log: a value, parameters as in a query, or the body's beginning."""
    try:
        given = [(name, text) for name, text in _parameters().items(multi=True) if name not in ("async", "replace")]
    except ApiError:  # which the view raises, if it reads the form
        given = list(http_request().args.items(multi=True))
    if not given:
        return http_request().get_data()[: VALUE + 1].decode("utf-8", "backslashreplace")
    given = given[: VALUE + 1]
    if {name for name, _ in given} <= {"v", "value"}:
        return ",".join(text[: VALUE + 1] for _, text in given)
    return "&".join(f"{name}={text[: VALUE + 1]}" for name, text in given)


def argument() -> RawInput:
    """Return the argument of a command: the parameter `v`, repeated for a list, else the body, which may be empty.

    Raises BadRequest for both a parameter `v` in the query and a body.
    """
    in_query = http_request().args.getlist("v")
    if in_query and _text():
        raise BadRequest("expected the argument as the parameter v in the query or as the body, got both")
    texts = in_query or _form().getlist("v")
    return RawInput.in_query(texts) if texts else RawInput.in_body(_text())


def command_input() -> tuple[RawInput, JsonObject]:
    """Return the argument of a command, and the key `input` as it was sent. Contract: v11, 1 and 3.

    An object with `input` or `name` is an envelope of the argument; an empty one is no body. Anything else is taken as
    by `argument`.
    """
    in_query, sent = http_request().args.getlist("v"), RawInput.in_body(_text()).parsed
    if sent == {}:
        return RawInput.in_query(in_query) if in_query else RawInput.in_body(""), {}
    if in_query or not isinstance(sent, dict) or not sent.keys() & {"input", "name"}:
        return argument(), {}
    given = sent.get("input")
    return member(given), {} if given is None else {"input": given}


def member(given: object) -> RawInput:
    """Take the value of a member of an object. A text is read as one in a query is: it may be a comma list."""
    return RawInput.in_query([given]) if isinstance(given, str) else RawInput.in_json(given)


def items() -> list[JsonObject]:
    """Return the body, which must be a list of objects with texts `host`, `device` and `name`."""
    found = _json()
    if not isinstance(found, list):
        raise BadRequest(f"the body: expected a JSON list of objects, got {shown(found)}")
    check_limit(len(found), limits.NAMES, "items")
    for item in found:
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("host", "device", "name")):
            raise BadRequest(f"the body: expected objects with texts host, device and name, got {shown(item)}")
    return found


def blob() -> JsonObject:
    """Return the body as the blob of a pipe: an object with `data`, or the list of its elements."""
    found = _json()
    return {"data": found} if isinstance(found, list) else document()


def document() -> JsonObject:
    """Return the body, which must be a JSON object, whatever its Content-Type."""
    found = _json()
    if not isinstance(found, dict):
        raise BadRequest(f"the body: expected a JSON object, got {shown(found)}")
    return found


def _json(exactly: bool = False) -> Any:
    """Return the JSON of the body. exactly: with numbers as texts, digit by digit."""
    try:
        found = orjson.loads(_text())  # checks the syntax and the depth
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body: expected JSON, got an error: {error}") from None
    try:
        return json.loads(_text(), parse_int=str, parse_float=str) if exactly else found
    except RecursionError:
        raise BadRequest("the body: its JSON is nested too deeply") from None


def _parameters() -> MultiDict[str, str]:
    """Return the parameters of the query and of a form; a name in both has the values of both."""
    args, form = http_request().args, _form()
    return MultiDict([*args.items(multi=True), *form.items(multi=True)]) if form else args


def _form() -> MultiDict[str, str]:
    """Return the body as a form, parsed once per request; empty if it is not a form."""
    context = current()
    if context.form is None:
        context.form = _read_form()
    return context.form


def _read_form() -> MultiDict[str, str]:
    """Parse the body as a form. curl calls all bodies forms, so one that looks like JSON or a value is none."""
    request = http_request()
    body = request.get_data()  # first: once parsed as a form, the body is empty
    if request.mimetype == "multipart/form-data":
        raise BadRequest("expected a query, a urlencoded form, JSON or a text, got multipart/form-data")
    if b"=" not in body or body.lstrip().startswith((b"{", b"[")):
        return MultiDict()
    if request.mimetype == "application/x-www-form-urlencoded":
        if len(body) > limits.FORM:
            raise ApiError(
                413, "MTANGO_Http413", f"expected at most {limits.FORM} bytes in a form, got {len(body)}: send JSON"
            )
        check_parameters("form", body)
    return request.form


def _text() -> str:
    """Return the body as a text, in the charset of its Content-Type."""
    charset = http_request().mimetype_params.get("charset", "utf-8")
    encoding = _ENCODINGS.get(charset.lower())
    if encoding is None:  # Python has codecs that are no charsets, and keeps each unknown name for ever
        raise BadRequest(f"charset: expected one of {', '.join(_ENCODINGS)}, got {quoted(charset)}")
    try:
        return http_request().get_data().decode(encoding)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body: expected {charset}, got an error: {error}") from None
