"""Tango's settings of telemetry, as PyTango and cppTango read them, and whether tracing can work with them."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NamedTuple

import tango
from tango import ApiUtil

from mtango_gevent.redaction import redact
from mtango_gevent.tango_environment import TRUE, is_installed, telemetry_is_enabled

# PyTango 10.3 has lists of exporters and endpoints, 10.0 one of each.
_HAS_LISTS = find_spec("tango.telemetry") is not None
EXPORTERS_VARIABLE = "TANGO_TELEMETRY_TRACING_EXPORTERS" if _HAS_LISTS else "TANGO_TELEMETRY_TRACES_EXPORTER"
ENDPOINTS_VARIABLE = "TANGO_TELEMETRY_TRACING_ENDPOINTS" if _HAS_LISTS else "TANGO_TELEMETRY_TRACES_ENDPOINT"


class Endpoint(NamedTuple):
    """Where spans go. exporter: `console` or `http`; url: empty for the exporter's default."""

    exporter: str
    url: str


class Telemetry:
    """What Tango's settings ask for.

    is_asked_for: whether they switch telemetry on; problem: why it does not work as asked, empty if it does.
    passes_context: whether the trace of a request reaches its devices; endpoints: where spans go, none if nowhere.
    """

    def __init__(self) -> None:
        self.is_asked_for = _is_true(_value("TANGO_TELEMETRY_ENABLE"))
        self.problem = self._find_obstacle() if self.is_asked_for else ""
        self.passes_context = self.is_asked_for and not self.problem
        self.endpoints = list[Endpoint]()
        if self.passes_context:
            self.endpoints, self.problem = _usable_endpoints()

    def describe(self) -> str:
        """Return in one line whether tracing runs, and why not."""
        if not self.is_asked_for:
            return "off: TANGO_TELEMETRY_ENABLE is not on"
        if not self.passes_context:
            return f"off: {self.problem}"
        targets = ", ".join(redact(" ".join(endpoint).strip()) for endpoint in self.endpoints)
        spans = f"spans go to {targets}" if targets else "the trace of a request is passed on, without spans"
        return f"{spans}; {self.problem}" if self.problem else f"on: {spans}"

    def _find_obstacle(self) -> str:
        if not telemetry_is_enabled():
            return "TANGO_TELEMETRY_ENABLE is on in a file of Tango, expected in the environment"
        if _is_true(_value("PYTANGO_DISABLE_TELEMETRY_PATCHING")):
            return "PYTANGO_DISABLE_TELEMETRY_PATCHING is on"
        if not tango.constants.TELEMETRY_SUPPORTED:
            return f"PyTango {tango.__version__} was built without telemetry"
        return "" if is_installed("opentelemetry.trace") else _missing("opentelemetry-api")


def _usable_endpoints() -> tuple[list[Endpoint], str]:
    """Return where spans can go, and why not to the others."""
    types = _value("TANGO_TELEMETRY_TYPES").lower()
    if types and "tracing" not in types:
        return [], f"TANGO_TELEMETRY_TYPES = {types}: expected tracing among them"
    if not is_installed("opentelemetry.sdk"):
        return [], _missing("opentelemetry-sdk")
    endpoints, usable = _given_endpoints(), {"console"}
    if is_installed("opentelemetry.exporter.otlp.proto.http"):
        usable.add("http")
    elif any(endpoint.exporter == "http" for endpoint in endpoints):
        return [], _missing("opentelemetry-exporter-otlp-proto-http")
    others = [endpoint.exporter for endpoint in endpoints if endpoint.exporter not in usable]
    problem = f"{EXPORTERS_VARIABLE} has {', '.join(others)}: expected http or console" if others else ""
    return [endpoint for endpoint in endpoints if endpoint.exporter in usable], problem


def _given_endpoints() -> list[Endpoint]:
    exporters = _items(EXPORTERS_VARIABLE) or ["console"]
    urls = _items(ENDPOINTS_VARIABLE)
    urls += [""] * (len(exporters) - len(urls))
    given = [Endpoint(exporter.lower(), url) for exporter, url in zip(exporters, urls, strict=False)]
    return [endpoint for endpoint in given if endpoint.exporter != "none"]


def _items(name: str) -> list[str]:
    text = _value(name)
    return [item.strip() for item in text.split(",")] if text else []


def _value(name: str) -> str:
    """Return a setting of Tango, from the environment or from Tango's files."""
    return os.environ.get(name) or ApiUtil.get_env_var(name) or ""


def _is_true(text: str) -> bool:
    return text.lower() in TRUE


def _missing(package: str) -> str:
    return f"{package} is not installed: pip install 'mtango-gevent[tracing]'"
