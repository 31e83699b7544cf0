"""Record the modules of the gateway that a request passes through."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

PACKAGE = "mtango_gevent."


class Step(NamedTuple):
    """A call of `function` in `module` by another module of the gateway."""

    caller: str
    module: str
    function: str


class ModulePath:
    """The calls from module to module in all greenlets and in each thread that has `note` as its profile function.

    Not counted are calls of a function within a function (a lambda, a closure: it is read where it stands), the
    generated methods of dataclasses, and the callbacks of the hub and of threads that bring a result back.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.is_on = False

    def note(self, frame: FrameType, event: str, _argument: object) -> None:
        """Note a call, as a function for sys.setprofile."""
        code = frame.f_code
        if not self.is_on or event != "call" or code.co_flags & inspect.CO_NESTED or code.co_filename.startswith("<"):
            return
        if module := _module(frame):
            caller = next(_callers(frame), "")
            if caller != module and (caller or not self.steps):
                self.steps.append(Step(caller, module, code.co_name))

    def visits(self) -> dict[str, list[str]]:
        """Return the modules in the order of their first visit, each with the modules that have visited it.

        A call is a new visit of a module if another module has visited it and it has called further modules since. So
        a module that calls no others is a tool, which is visited once however many use it.
        """
        visits: dict[str, list[str]] = {}
        has_called_others: set[str] = set()
        for caller, module, _ in self.steps:
            has_called_others.add(caller)
            visitors = visits.setdefault(module, [])
            if not visitors or (module in has_called_others and caller not in visitors):
                visitors.append(caller)
        return visits

    def __str__(self) -> str:
        return "\n".join(f"{caller or 'WSGI'} -> {module}.{function}" for caller, module, function in self.steps)


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__") or ""
    return name.removeprefix(PACKAGE) if name.startswith(PACKAGE) else ""


def _callers(frame: FrameType) -> Iterator[str]:
    above = frame.f_back
    while above is not None:
        if module := _module(above):
            yield module
        above = above.f_back
