"""Targets: an action and the thing that it is done with, and the declaration of both for a view."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, get_args

from mtango_gevent.names import collated, folded

Action: TypeAlias = Literal["read", "write", "execute", "configure", "administer"]
Kind: TypeAlias = Literal["gateway", "device", "attribute", "command", "pipe", "property"]

ACTIONS: tuple[Action, ...] = get_args(Action)
KINDS: tuple[Kind, ...] = get_args(Kind)

View = TypeVar("View", bound=Callable[..., Any])


class Target(NamedTuple):
    """The target of a request, with all names as Tango compares them. A tuple, as each request makes and hashes one.

    name: of the attribute, command, pipe or property, or of a part of the gateway (`metrics`, `sys/stats`).
    device, tango_hosts: empty for a part of the gateway; tango_hosts: the names of one Tango host, as `host:port`.
    """

    action: Action
    kind: Kind
    name: str = ""
    device: str = ""
    tango_hosts: tuple[str, ...] = ()

    def __str__(self) -> str:
        of = "/".join(filter(None, (self.device, self.name))) or ",".join(self.tango_hosts)
        return f"{self.action} {of}"


def comparable(kind: Kind, name: str) -> str:
    """Return a name as its owner compares it: those of properties without accents, as a Tango database may."""
    return collated(name) if kind == "property" else folded(name)


def usual_kind(action: Action, device: str, name: str) -> Kind:
    """Return the kind of target that is meant where only the action and the names are given."""
    if not device:
        return "gateway"
    return "command" if action == "execute" else "attribute" if name else "device"


@dataclasses.dataclass(frozen=True)
class Need:
    """The declaration of a view. name: the fixed name of its target; empty for the name in the URL.

    by_view: the view itself checks each of several names in the request. changes: whether the audit log has a line.
    in_database: the view changes the database and not the device, as do all views with targets of kind `property`.
    """

    action: Action
    kind: Kind
    name: str = ""
    by_view: bool = False
    in_database: bool = False
    changes: bool = True


def needs(
    action: Action,
    kind: Kind = "device",
    name: str = "",
    by_view: bool = False,
    in_database: bool = False,
    changes: bool = True,
) -> Callable[[View], View]:
    """Declare the need of a view. A view without a declaration is one of a program that embeds the gateway."""
    return _declare(Need(action, kind, name, by_view, in_database, changes))


def is_free(view: View) -> View:
    """Declare that any client may make the requests of a view."""
    return _declare(None)(view)


def _declare(need: Need | None) -> Callable[[View], View]:
    def declare(view: View) -> View:
        view.need = need  # pyright: ignore[reportFunctionMemberAccess]
        return view

    return declare


def declared(view: Callable[..., Any], method: str) -> Need | None:
    """Return the need of a request of a view, from its declaration or its method; None for a free one."""
    undeclared = Need("read" if method in ("GET", "HEAD") else "administer", "gateway", "other")
    return getattr(view, "need", undeclared)
