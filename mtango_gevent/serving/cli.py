"""The command `mtango-gevent`: serve, demo, key, rules, check."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from mtango_gevent import __version__, create_app
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.serving import interpreter, key_commands, rules_commands


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except ConfigError as error:
        print(f"mtango-gevent: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mtango-gevent", description="HTTP gateway to Tango Controls")
    parser.add_argument("--version", action="version", version=f"mtango-gevent {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="serve the Tango of TANGO_HOST; settings are MTANGO_* variables")
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="start an embedded Tango with a few devices, and the gateway on it")
    demo.add_argument("--bind", default="127.0.0.1:8000", metavar="ADDR:PORT", help="default: %(default)s")
    demo.add_argument(
        "--workers", type=_number(1, 256), default=1, metavar="N", help="worker processes, default: %(default)s"
    )
    demo.add_argument(
        "--tango-port", type=_number(0, 65535), default=0, metavar="P", help="port of the database, default: a free one"
    )
    demo.add_argument("--data", type=Path, metavar="DIR", help="where to keep the database, default: nowhere")
    demo.add_argument("--open", action="store_true", help="open the operator's page in the browser")
    demo.set_defaults(run=_demo)

    key_commands.add_parser(commands)
    rules_commands.add_parser(commands)

    check = commands.add_parser("check", help="tell whether the gateway can work here; fails if it cannot")
    check.set_defaults(run=_check)
    return parser


def _serve(_: argparse.Namespace) -> int:
    config = Config.load()  # report a wrong setting before gunicorn's banner
    if config.auth or config.rules or config.audit:  # and a file of access control that cannot be used
        create_app(config)
    command = interpreter.gateway_command()
    os.execve(command[0], command, interpreter.environment())


def _demo(options: argparse.Namespace) -> int:
    if find_spec("databaseds") is None:
        print("mtango-gevent demo: needs pytango-db: pip install 'mtango-gevent[demo]'", file=sys.stderr)
        return 2
    from mtango_gevent.demo import show

    try:
        bind = show.Address.parse(options.bind)
    except ValueError as error:
        print(f"mtango-gevent demo: --bind: {error}", file=sys.stderr)
        return 2
    return show.run(bind, options.workers, options.tango_port, options.data, options.open)


def _check(_: argparse.Namespace) -> int:
    from gevent import monkey

    monkey.patch_all()  # as a gunicorn gevent worker does, before PyTango is imported
    from mtango_gevent.serving import check

    config = Config.load()
    create_app(config)  # report a file of access control that cannot be used
    return check.run(config)


def _number(low: int, high: int) -> Callable[[str], int]:
    """Return the type of an argument, a whole number from `low` to `high`, for argparse."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return number
