"""Whether tracing runs, as processes with other settings tell. tests/live/test_tracing.py has the traces themselves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import tango

pytestmark = pytest.mark.slow

HAS_LISTS = tango.release.Release.version_info >= (10, 3)
EXPORTERS = "TANGO_TELEMETRY_TRACING_EXPORTERS" if HAS_LISTS else "TANGO_TELEMETRY_TRACES_EXPORTER"
ENDPOINTS = "TANGO_TELEMETRY_TRACING_ENDPOINTS" if HAS_LISTS else "TANGO_TELEMETRY_TRACES_ENDPOINT"
ON = {"TANGO_TELEMETRY_ENABLE": "on", EXPORTERS: "http", ENDPOINTS: "http://127.0.0.1:4318/v1/traces"}
DESCRIBE = "from mtango_gevent.control.tracing import Telemetry; print(Telemetry().describe())"


def run_child(code: str, **given: str) -> str:
    """Return what a process prints that was started with those settings of telemetry."""
    kept = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name and "OTEL" not in name}
    command = [sys.executable, "-W", "ignore", "-c", f"import sys; {code}"]
    ended = subprocess.run(command, env={**kept, **given}, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout.strip()


def without(package: str) -> str:
    """Return code after which a package cannot be imported."""
    return f"sys.modules['{package}'] = None; "


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "off: TANGO_TELEMETRY_ENABLE is not on"),
        ({"TANGO_TELEMETRY_ENABLE": "off"}, "off: TANGO_TELEMETRY_ENABLE is not on"),
        (ON, "on: spans go to http http://127.0.0.1:4318/v1/traces"),
        ({**ON, EXPORTERS: ""}, "on: spans go to console http://127.0.0.1:4318/v1/traces"),
        ({**ON, ENDPOINTS: "http://me:secret@127.0.0.1/x"}, "on: spans go to http http://***@127.0.0.1/x"),
        ({**ON, "PYTANGO_DISABLE_TELEMETRY_PATCHING": "on"}, "off: PYTANGO_DISABLE_TELEMETRY_PATCHING is on"),
        (
            {**ON, EXPORTERS: "grpc"},
            f"the trace of a request is passed on, without spans; {EXPORTERS} has grpc: expected http or console",
        ),
        (
            {**ON, "TANGO_TELEMETRY_TYPES": "logging"},
            "the trace of a request is passed on, without spans;"
            " TANGO_TELEMETRY_TYPES = logging: expected tracing among them",
        ),
    ],
)
def test_description_says_whether_tracing_runs_and_why_not(given: dict[str, str], said: str) -> None:
    assert run_child(DESCRIBE, **given) == said


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("opentelemetry.trace", "off: opentelemetry-api is not installed: pip install 'mtango-gevent[tracing]'"),
        (
            "opentelemetry.sdk",
            "the trace of a request is passed on, without spans;"
            " opentelemetry-sdk is not installed: pip install 'mtango-gevent[tracing]'",
        ),
    ],
)
def test_description_names_the_package_that_is_missing(package: str, said: str) -> None:
    assert run_child(without(package) + DESCRIBE, **ON) == said


def test_nothing_of_opentelemetry_is_used_where_it_is_off() -> None:
    code = (
        "from mtango_gevent import create_app; app = create_app(); client = app.extensions['mtango'].client;"
        "print(type(app.wsgi_app).__name__, client.pool.make_call.__name__, type(client.executor).__name__,"
        " any(sys.modules[name] for name in list(sys.modules) if name.startswith('opentelemetry')))"
    )
    assert run_child(code) == "Middleware Call BulkheadExecutor False"
    assert run_child(without("opentelemetry") + code) == "Middleware Call BulkheadExecutor False"


def test_application_works_where_only_the_api_is_installed() -> None:
    code = "from mtango_gevent import create_app; print(type(create_app().wsgi_app).__name__)"
    assert run_child(without("opentelemetry.sdk") + code, **ON) == "TracedMiddleware"
    assert run_child(without("opentelemetry.trace") + code, **ON) == "Middleware"


def test_last_spans_are_sent_when_a_program_ends() -> None:
    code = (
        "from mtango_gevent import create_app; app = create_app();"
        "app.extensions['mtango'].client.tracing.tracer.start_span('last').end(); print('ended')"
    )
    assert '"name": "last"' in run_child(code, TANGO_TELEMETRY_ENABLE="on")
