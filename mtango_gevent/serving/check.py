"""The checks of `mtango-gevent check`, in a process that is patched as a gunicorn gevent worker is."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import gevent
import tango

from mtango_gevent.config import Config, warnings
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.database import DatabaseServer
from mtango_gevent.control.device import PIPES
from mtango_gevent.control.host import TangoHost, list_hosts
from mtango_gevent.control.tracing import Telemetry
from mtango_gevent.serving import exposure, request_parser
from mtango_gevent.text import from_utf8

# Calls in the test of yielding: among so many blocking ones a few that yield by chance do not count as success.
_CALLS = 20


def run(config: Config) -> int:
    """Print a line for each check; return 0 if all succeed, else 1."""
    client = TangoClient(config)
    print(f"PyTango      {tango.__version__}; gevent {gevent.__version__}")
    print(f"optional     {optional_parts()}")
    print(f"HTTP parser  {request_parser.description(config.http_parser)}")
    print(f"tracing      {Telemetry().describe()}")
    for name, value in config.changed().items():
        print(f"setting      {name} = {value!r}")
    exposed = exposure.warning(config, [(config.host, config.port)])
    for warning in [*warnings(), *([exposed] if exposed else [])]:
        print(f"warning      {warning}")
    try:
        hosts = list_hosts(client)
    except tango.DevFailed as failure:
        print(f"TANGO_HOST   FAILED: {from_utf8(failure.args[0].desc)}")
        return 1
    answering = [host for host in hosts if _answers(host)]
    if not answering:
        print("green calls  not tried: no database answers")
        return 1
    yielding = lets_others_run(answering[0].info)
    print(f"green calls  {'yield' if yielding else 'FAILED: they block the hub'}")
    return 0 if yielding and len(answering) == len(hosts) else 1


def optional_parts() -> str:
    """Return which optional parts are installed, and the extras that install the others."""
    parts = (
        ("pictures", "image", find_spec("PIL") is not None),
        ("Swagger UI", "docs", find_spec("flask_swagger_ui") is not None),
        ("expressions", "mtango-py", find_spec("re2") is not None),
        ("pipes", "pipes", PIPES),
    )
    return ", ".join(f"{name}: {'yes' if there else f'no (extra {extra})'}" for name, extra, there in parts)


def _answers(host: TangoHost) -> bool:
    """Print a line for each server of the host's database; return whether at least one answers."""
    answers = [_server_answers(server) for server in host.database.servers]
    return any(answers)


def _server_answers(server: DatabaseServer) -> bool:
    try:
        print(f"Tango host   {server.name}: {server.run('DbInfo')[0]}")
    except tango.DevFailed as failure:
        print(f"Tango host   {server.name}: FAILED: {from_utf8(failure.args[0].desc).strip()}")
        return False
    return True


def lets_others_run(ask: Callable[[], object]) -> bool:
    """Return whether other greenlets run while one calls `ask` again and again."""
    ran = 0

    def count() -> None:
        nonlocal ran
        while True:
            ran += 1
            gevent.sleep(0.0001)

    def call() -> int:
        before = ran
        for _ in range(_CALLS):
            ask()
        return ran - before

    counter = gevent.spawn(count)
    try:
        return gevent.spawn(call).get() >= _CALLS // 2
    finally:
        counter.kill()
