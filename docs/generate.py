"""Write the generated parts of the reference pages; `make docs` runs it through cog, and a test checks the result.

Each function returns Markdown. A page names the function in a comment: ``[[[cog out(generate.settings()) ]]]``.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from mtango_gevent import limits, metric_table
from mtango_gevent.config import Config
from mtango_gevent.errors import STATUS_OF_REASON
from mtango_gevent.serving import cli

ROOT = Path(__file__).parent.parent
DEVICES = tuple(f"/hosts/{host}/devices/{{domain}}/{{family}}/{{member}}" for host in ("{host}/{port}", "{host}"))
METHODS = ("get", "put", "post", "delete")

# Statuses of the refusals that every operation has; the page names them once.
REFUSALS = ("401", "403", "429")

# The failures that the gateway itself makes, in the order of the table: reason -> (status, meaning).
# The status is None where STATUS_OF_REASON has it.
REASONS: dict[str, tuple[str | None, str]] = {
    "MTANGO_BadRequest": (
        "400",
        "A name, a parameter, a body or a value is not acceptable. The text says which, and why.",
    ),
    "MTANGO_Unauthorized": (
        "401",
        "Credentials are missing or wrong. `WWW-Authenticate` names the ways to authenticate.",
    ),
    "MTANGO_TooManyAttempts": (
        "429",
        "Too many wrong passwords, or refused logins, of the user or address. `Retry-After` says when the next attempt"
        " is allowed.",
    ),
    "MTANGO_Forbidden": ("403", "The user may not do this. The text says why."),
    "MTANGO_CrossSite": (
        "403",
        "A web page of another origin, or of an unknown name of the gateway, may not do this."
        " `MTANGO_CORS_ORIGINS` lists the origins that may.",
    ),
    "MTANGO_ReadOnly": ("403", "`MTANGO_READ_ONLY` allows reads only."),
    "MTANGO_NotFound": ("404", "There is no such cache, OpenAPI file, property or subscription of this user."),
    "MTANGO_UnknownTangoHost": (
        "404",
        "The Tango host in the URL is not served, or a write names another host than `TANGO_HOST`.",
    ),
    "MTANGO_AccessControlFailed": (
        "503",
        "`MTANGO_TANGO_ACCESS_CONTROL` is on, and TangoAccessControl cannot be asked: nothing was changed.",
    ),
    "MTANGO_NotAcceptable": ("406", "The value cannot be sent in any format that the `Accept` header allows."),
    "MTANGO_Http408": ("408", "The body did not arrive within `MTANGO_BODY_TIMEOUT`."),
    "MTANGO_Http413": ("413", "The body or the form is too large."),
    "MTANGO_Http415": ("415", "The body has a `Content-Encoding`."),
    "MTANGO_Http416": ("416", "The list has no such part as the parameter `range` asks for (v11)."),
    "MTANGO_Http426": ("426", "The URL is that of the WebSocket, and the request is no handshake for it."),
    "MTANGO_Http501": ("501", "The body has a `Transfer-Encoding` other than `chunked`."),
    "MTANGO_NotImplemented": ("501", "An optional package is not installed, or PyTango has no pipes."),
    "MTANGO_KeysUnavailable": (
        "503",
        "The keys that verify the token cannot be fetched from its issuer. The log of the gateway says why.",
    ),
    "MTANGO_LoginRefused": ("400", "The provider refuses the code or the refresh token of a login. The text says why."),
    "MTANGO_LoginUnavailable": (
        "503",
        "The provider of the login cannot be asked. The log of the gateway says why.",
    ),
    "MTANGO_AccessUnavailable": (
        "503",
        "A file of access control has not been usable since a worker started. The text names its setting, the log says"
        " why.",
    ),
    "MTANGO_AuditFailed": (
        "503",
        "`MTANGO_AUDIT_REQUIRED` is set and the line of the change cannot be written. Nothing was changed.",
    ),
    "MTANGO_StoreFailed": ("503", "The store of subscriptions cannot be used. `/readyz` says why, too."),
    "MTANGO_TooManySubscriptions": (
        "503",
        "A subscription has `MTANGO_STREAM_ITEMS` targets, or the user or address has 5,000 subscriptions or 100,000"
        " targets of subscriptions. Those without a stream are forgotten after `MTANGO_STREAM_LINGER`.",
    ),
    "MTANGO_InternalError": ("500", "A defect of the gateway. The log has a traceback with the same request id."),
    "MTANGO_CircuitOpen": (None, "The circuit of the device or of its server is open: the call was not made."),
    "MTANGO_DeviceBusy": (
        None,
        "Too many calls to the device or its server are in flight or in the queue: the call was not made.",
    ),
    "MTANGO_PoolExhausted": (
        None,
        "No thread was free within `MTANGO_QUEUE_TIMEOUT`: the call was not made."
        " 503 where it was the lookup of a Tango host's name.",
    ),
    "MTANGO_CallTimedOut": (
        None,
        "The call took longer than `MTANGO_CALL_DEADLINE`. The outcome of a write or command is unknown.",
    ),
    "MTANGO_TooManyItems": (
        None,
        "The stream has `MTANGO_STREAM_ITEMS` attributes, or those of the worker together have ten times as many. An"
        " attribute that is unsubscribed while Tango is asked for it counts until Tango has answered.",
    ),
    "MTANGO_TooManyListeners": (None, "`MTANGO_EVENT_LIMIT` requests of the worker are waiting for events."),
    "MTANGO_TooManyStreams": (
        None,
        "The worker has `MTANGO_STREAM_LIMIT` streams, or `MTANGO_STREAM_CLIENT_LIMIT` of the user or address.",
    ),
    "MTANGO_NotShown": (None, "The value was read but cannot be represented in JSON."),
    "MTANGO_NotConverted": (None, "PyTango cannot convert the argument or the answer."),
    "MTANGO_NotDecodable": (None, "PyTango cannot decode the texts of a pipe."),
    "MTANGO_NotMade": (None, "The gateway failed to make one change of a bulk request. Its log has the error."),
    "MTANGO_NotWritten": (
        None,
        "The gateway could not write the item. Others of the same request may have been written.",
    ),
    "MTANGO_NotAddressable": (
        None,
        "The name of the property would match others in the database, or may be taken for another: it was left alone.",
    ),
    "MTANGO_NotDeleted": (None, "The database did not delete the property."),
    "MTANGO_UnknownType": (None, "The type of the value is not known to this PyTango."),
}


EXTRAS = {
    "auth": ("bcrypt and PyJWT", "the ways to authenticate `basic` and `bearer`"),
    "docs": ("flask-swagger-ui", "Swagger UI at `/docs`"),
    "image": ("Pillow", "images as PNG, JPEG and TIFF"),
    "mtango-py": (
        "google-re2",
        "the parameters `domain`, `family` and `member` of mtango-py, which answer 501 without it",
    ),
    "redis": ("redis-py", "`MTANGO_STORE`: subscriptions of gateways on several machines"),
    "demo": ("pytango-db", "`mtango-gevent demo`"),
    "pipes": (
        "PyTango 10.0.4",
        "pipes, which later versions do not have: without it the list of pipes is empty, and a pipe answers 501",
    ),
}


def settings() -> str:
    """Every setting with its default and sentence."""
    rows = [
        (f"`MTANGO_{field.name.upper()}`", _default(field.default), field.metadata["sentence"])
        for field in dataclasses.fields(Config)
    ]
    return _table(("Setting", "Default", "Meaning"), rows)


# What `/sys/config` shows besides the settings, and types that do not follow from a default.
_SHOWN_TYPES = {
    "version": {"type": "string"},
    "TANGO_HOST": {"type": "string", "description": "As in the environment; empty if not set."},
    "dynamicValueExpirationDelay": {
        "type": "integer",
        "description": "`value_max_age` in ms, as the Java server has it.",
    },
    "staticValueExpirationDelay": {"type": "integer", "description": "`metadata_max_age` in ms, in the same way."},
    "capacity": {"type": "integer", "description": "`cache_size`, in the same way."},
    "cacheEnabled": {"type": "boolean", "description": "Whether values or metadata are fresh for a while."},
}
_SPECIAL_TYPES = {"port": {"type": "integer", "minimum": 1, "nullable": True}}
_TYPES: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"$ref": "#/components/schemas/Count"},
    float: {"$ref": "#/components/schemas/Seconds"},
    str: {"type": "string"},
    tuple: {"$ref": "#/components/schemas/Texts"},
}


def settings_schema() -> str:
    """The properties of the settings in `/sys/config`, as a part of an OpenAPI file."""
    types = {field.name: _SPECIAL_TYPES.get(field.name, _type_of(field)) for field in dataclasses.fields(Config)}
    schema = {"required": [*types, *_SHOWN_TYPES], "properties": {**types, **_SHOWN_TYPES}}
    return textwrap.indent(yaml.safe_dump(schema, sort_keys=False, width=110), " " * 6)


def _type_of(field: dataclasses.Field[Any]) -> dict[str, Any]:
    choices = getattr(field.metadata["check"], "choices", None)
    return {"type": "string", "enum": list(choices)} if choices else {**_TYPES[type(field.default)]}  # no YAML aliases


def extras() -> str:
    """The optional parts that setup.py names; each needs a row here."""
    source = (ROOT / "setup.py").read_text("utf-8")
    (block,) = re.findall(r"extras_require=\{(.*?)\n    \},", source, re.DOTALL)
    names = re.findall(r'^ {8}"([\w-]+)":', block, re.MULTILINE)
    rows = [(f"`{name}`", *EXTRAS[name]) for name in names if name != "dev"]
    return _table(("Extra", "Installs", "For"), rows)


def metrics() -> str:
    """Every metric with its labels and help."""
    rows = [
        (f"`{name}`", ", ".join(f"`{label}`" for label in labels), about)
        for name, labels, about in metric_table.METRICS
    ]
    return _table(("Metric", "Labels", "Meaning"), rows)


def failures() -> str:
    """The gateway's own reasons, and the statuses of Tango's."""
    own = [(f"`{reason}`", status or _status(reason), about) for reason, (status, about) in REASONS.items()]
    tango = [(f"`{reason}`", str(status)) for reason, status in STATUS_OF_REASON.items() if reason not in REASONS]
    return "\n\n".join(
        [
            _table(("Reason", "Status", "Meaning"), own).rstrip(),
            "Reasons of Tango with a status of their own under `MTANGO_RC3_ERRORS=http`; all others are 400:",
            _table(("Reason", "Status"), tango),
        ]
    )


def _status(reason: str) -> str:
    return f"200, or {STATUS_OF_REASON.get(reason, 400)}"


def command_line() -> str:
    """The help of the command and of each subcommand."""
    os.environ["COLUMNS"] = "80"  # argparse wraps its help to the terminal's width
    return "\n".join(f"```text\n{text.rstrip()}\n```\n" for text in _helps(cli._parser()))


def _helps(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the help of a command, and of its subcommands."""
    yield parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _helps(command)


def numbers() -> str:
    """The limits of one request."""
    rows = [
        ("Attributes, properties, labels or pipe elements named by a request", f"{limits.NAMES:,}"),
        ("Times that a request names the same attribute", f"{limits.REPEATS:,}"),
        ("Different `wildcard` parameters", f"{limits.WILDCARDS:,}"),
        ("Devices that the wildcards of a request to v11 select", f"{limits.DEVICES:,}"),
        ("Attributes, commands or pipes that they select", f"{limits.ITEMS:,}"),
        ("Parameters of a query or a form", f"{limits.PARAMETERS:,}"),
        ("Bytes of a form (JSON may be larger)", f"{limits.FORM:,}"),
        (
            "Elements of a comma list, or of a JSON list that is not made of numbers, `true` and `false`",
            f"{limits.ONE_BY_ONE:,}",
        ),
        ("Names of properties with `*` or `%` in a request", f"{limits.PATTERNS:,}"),
        ("Texts of the properties in a request", f"{limits.LINES:,}"),
        ("Bytes of one such text", f"{limits.LINE:,}"),
    ]
    return _table(("What", "At most"), rows)


def api(name: str) -> str:
    """Every operation of one OpenAPI file: summary, parameters, statuses."""
    document = yaml.safe_load((ROOT / "swagger" / f"{name}.yml").read_text("utf-8"))
    return "\n".join(_operations(document))


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield from _operation(document, path, method, item)


def _operation(document: dict[str, Any], path: str, method: str, item: dict[str, Any]) -> Iterator[str]:
    operation, short = (
        item[method],
        functools.reduce(lambda short, device: short.replace(device, "{device}"), DEVICES, path),
    )
    yield f"#### `{method.upper()} {short}`\n"
    yield f"{operation['summary']}.\n"
    if operation.get("description"):
        yield operation["description"].rstrip() + "\n"
    parameters = [_resolved(document, each) for each in (*item.get("parameters", ()), *operation.get("parameters", ()))]
    named = [f"`{each['name']}`" for each in parameters if each["in"] == "query"]
    body = "requestBody" in operation
    sent = [*named, *(["a body"] if body else [])]
    statuses = [status for status in operation["responses"] if status not in REFUSALS]
    yield f"Takes {', '.join(sent)}. " * bool(sent) + f"Answers {', '.join(statuses)}.\n"


def parameters(name: str) -> str:
    """The query parameters that the operations of one OpenAPI file share."""
    document = yaml.safe_load((ROOT / "swagger" / f"{name}.yml").read_text("utf-8"))
    found = document["components"]["parameters"].values()
    rows = [(f"`{each['name']}`", _line(each.get("description", ""))) for each in found if each["in"] == "query"]
    return _table(("Parameter", "Meaning"), sorted(set(rows)))


def _resolved(document: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference within the document."""
    while "$ref" in item:
        found: Any = document
        for key in item["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        item = found
    return item


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def _default(value: object) -> str:
    if isinstance(value, tuple):
        value = ",".join(value)
    elif isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`" if value != "" else "none"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines) + "\n"


def write(text: str) -> None:
    """Print the text with an empty line on each side, as Markdown wants it after a comment."""
    sys.stdout.write(f"\n{text.rstrip()}\n\n")
