"""The commands `mtango-gevent rules`: check, explain. They import PyTango when they run."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rules = commands.add_parser("rules", help="check a file of access rules, and explain its decisions")
    actions = rules.add_subparsers(metavar="ACTION", required=True)

    check = actions.add_parser("check", help="tell whether a file can be used, and what its rules say")
    check.add_argument("file", metavar="FILE")
    check.set_defaults(run=_check)

    explain = actions.add_parser("explain", help="tell whether a user may do something; fails if the user may not")
    explain.add_argument("--file", metavar="F", help="default: the one that MTANGO_RULES names")
    explain.add_argument("--group", action="append", default=[], metavar="G", help="of the user; may be repeated")
    explain.add_argument("--address", default="", metavar="A", help="of the client")
    explain.add_argument("--tango-host", action="append", default=[], metavar="HOST:PORT", help="of the device")
    explain.add_argument("--kind", default="", metavar="K", help="of NAME; default: attribute, command for execute")
    explain.add_argument("user", metavar="USER", help="`-` for a client that is not authenticated")
    explain.add_argument("action", metavar="ACTION", help="read, write, execute, configure or administer")
    explain.add_argument("target", metavar="DEVICE[/NAME]", help="or a part of the gateway, such as metrics")
    explain.set_defaults(run=_explain)


def _check(options: argparse.Namespace) -> int:
    from mtango_gevent.serving import rules_report

    return rules_report.check(options.file)


def _explain(options: argparse.Namespace) -> int:
    from mtango_gevent.serving import rules_report

    return rules_report.explain(options)
