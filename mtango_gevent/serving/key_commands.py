"""The commands `mtango-gevent key`: new, list, revoke."""

from __future__ import annotations

import argparse
import re
import sys
import time

from mtango_gevent.config import Config, ConfigError
from mtango_gevent.key_file import ApiKey, KeyFile

_UNITS = {"h": 3600, "d": 86400, "w": 604800}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    key = commands.add_parser("key", help="create, list and revoke the API keys of MTANGO_AUTH_KEY_FILE")
    actions = key.add_subparsers(metavar="ACTION", required=True)

    new = actions.add_parser("new", help="create a key and print it, as it is kept nowhere")
    new.add_argument("name", metavar="NAME", help="of the key, and of its user in access rules")
    new.add_argument("--group", action="append", default=[], metavar="G", help="of the user; may be repeated")
    new.add_argument("--expires", type=_seconds, metavar="TIME", help="such as 12h, 90d or 4w; default: never")
    new.set_defaults(run=_run, action=_new)

    actions.add_parser("list", help="list the keys").set_defaults(run=_run, action=_list)

    revoke = actions.add_parser("revoke", help="remove a key, which is in force within a second")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=_run, action=_revoke)


def _run(options: argparse.Namespace) -> int:
    path = Config.load().auth_key_file
    if not path:
        raise ConfigError("MTANGO_AUTH_KEY_FILE: expected the file of the API keys, got none")
    try:
        options.action(KeyFile(path), options)
    except (OSError, ValueError) as error:
        print(f"mtango-gevent key: {error}", file=sys.stderr)
        return 1
    return 0


def _new(file: KeyFile, options: argparse.Namespace) -> None:
    print(file.add(options.name, options.group, options.expires))
    print("the key is shown only this time; it goes into the header X-API-Key", file=sys.stderr)


def _list(file: KeyFile, _: argparse.Namespace) -> None:
    uses = file.last_uses()
    rows = [("name", "groups", "created", "expires", "last use")]
    rows += [_row(key, uses.get(key.sha256)) for key in file.read()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _row(key: ApiKey, used: float | None) -> tuple[str, ...]:
    expires = _date(key.expires) if key.expires else "never"
    if key.is_expired(time.time()):
        expires += " (expired)"
    return key.name, ",".join(key.groups) or "-", _date(key.created), expires, _date(used) if used else "never"


def _revoke(file: KeyFile, options: argparse.Namespace) -> None:
    file.revoke(options.name)


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 12h, 90d or 4w")
    return int(found[1]) * _UNITS[found[2]]
