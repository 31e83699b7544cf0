"""DescribedDevice: what a device says about itself, its attributes and commands, asked for or kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tango

from mtango_gevent.control.cache import attribute_key, command_key
from mtango_gevent.control.host import TangoHost
from mtango_gevent.control.records import StateRecord
from mtango_gevent.errors import OWN_ACCESS, BadRequest, DevFailed, explained, is_read_only, tango_failure, with_outcome
from mtango_gevent.names import as_pytango_takes_it, canonical_name, folded
from mtango_gevent.text import raw_text, read_text
from mtango_gevent.values import accepts_same_values, attached_labels, enum_labels, is_enumeration
from mtango_gevent.versions import BEFORE_10_1

T = TypeVar("T")
D = TypeVar("D")

# Before 10.1 PyTango holds the GIL while it asks for metadata.
METADATA_HOLDS_GIL = BEFORE_10_1

# Seconds for which the labels of an enumeration are used: a restart may change them, and no event tells in time.
LABELS_MAX_AGE = 0.5

# Refusals that a description from before a restart could explain.
_OUTDATED = {
    "API_AttrNotFound",
    "API_CommandNotFound",
    "API_IncompatibleAttrDataType",
    "API_IncompatibleCmdArgumentType",
}


@dataclasses.dataclass(frozen=True)
class DescribedDevice:
    """The part of `Device` that describes it. All methods raise DevFailed."""

    host: TangoHost
    name: str

    @property
    def full_name(self) -> str:
        """The name as logs and figures have it: with the Tango host where that is not TANGO_HOST."""
        return self.host.prefix + self.name

    def _url(self) -> str:
        return folded(self.full_name)

    # --- attributes ---

    def list_attributes(self, max_age: float = math.inf) -> list[tango.AttributeInfoEx]:
        """Return the configurations of all attributes, asked for at most `max_age` seconds ago."""
        return self.host.client.attributes.get(
            self._url(), "attributes", lambda: self._ask(lambda proxy: list(proxy.attribute_list_query_ex())), max_age
        )

    def describe_attribute(self, name: str, max_age: float = math.inf) -> tango.AttributeInfoEx:
        """Return the configuration of one attribute, asked for at most `max_age` seconds ago."""
        return self.host.client.attributes.get(
            self._url(), attribute_key(name), lambda: self._read_configuration(name), max_age
        )

    def ask_attribute(self, name: str) -> tango.AttributeInfoEx:
        """Ask the device for the configuration of one attribute now."""
        return self.host.client.attributes.ask(self._url(), attribute_key(name), lambda: self._read_configuration(name))

    def known_attribute(self, name: str) -> tango.AttributeInfoEx | None:
        """Return the kept configuration of an attribute that is in use, and have Tango tell of its changes."""
        self.host.client.watch.use(self._url(), name)
        return self.host.client.attributes.peek(self._url(), attribute_key(name))

    def with_written(self, name: str, use: Callable[[tango.AttributeInfoEx], T]) -> T:
        """Return what `use` makes of the configuration of the attribute that takes what is written to `name`.

        The kept configuration may be older than a restart of the server: after a refusal that this could explain it is
        asked for anew, once, and used again if it has changed. The number of a label is always one of now.
        """
        info = self.describe_written(name)
        written = read_text(info, "name")
        if is_enumeration(info):
            info = self.ask_attribute(written)
        return _with_description(info, lambda: self.ask_attribute(written), accepts_same_values, use)

    def _read_configuration(self, name: str) -> tango.AttributeInfoEx:
        taken = self._taken(name)
        return self._ask(lambda proxy: _configuration(proxy, taken))

    def configure_attribute(
        self, name: str, change: Callable[[tango.AttributeInfoEx], object]
    ) -> tango.AttributeInfoEx:
        """Change the configuration of an attribute by `change`, and return the configuration that it has then.

        Changes of one device are made one after the other, so that none of them undoes another.
        Raises also what `change` raises.
        """

        taken = self._taken(name)

        def change_and_ask(proxy: tango.DeviceProxy) -> tango.AttributeInfoEx:
            with self.host.client.configuring(self._url()):
                info = _configuration(proxy, taken)
                change(info)
                try:
                    with self.host.client.reads.changing(self._url()):
                        proxy.set_attribute_config([info])
                finally:  # a failure does not tell what has been changed before it
                    self.host.client.attributes.forget(self._url())
                try:
                    return self.host.client.attributes.ask(
                        self._url(), attribute_key(name), lambda: _configuration(proxy, taken)
                    )
                except tango.DevFailed as failure:
                    raise explained(failure, "it was changed, but could not be read back") from None

        try:
            return self._ask(change_and_ask)
        except tango.DevFailed as failure:
            raise self._failed_change(failure) from None

    def _taken(self, name: str) -> Any:
        """The name of an attribute as PyTango takes it."""
        return name if name.isascii() else as_pytango_takes_it(name, self._listed_attributes(), "name")

    def _listed_attributes(self) -> Sequence[tango.AttributeInfoEx]:
        """Return the known configurations; none when the device does not answer, as the next call then fails anyway."""
        try:
            return self.list_attributes()
        except tango.DevFailed:
            return ()

    def spell_attribute(self, name: str, ask: bool = True) -> str:
        """`name` as the device spells it; as it is, where the device has no such attribute or does not answer.

        ask: whether the device may be asked; otherwise only kept configurations are used.
        """
        known = self.host.client.attributes.peek(self._url(), attribute_key(name))
        try:
            infos = [known] if known else self.list_attributes() if ask else []
            return canonical_name(name, (read_text(info, "name") for info in infos)) or name
        except tango.DevFailed:
            return name

    def enum_labels(self, item: tango.DeviceAttribute | StateRecord) -> Sequence[str]:
        """Return the labels of an enumeration's value: its own if it has some, else the current ones; else none."""
        if item.type != tango.CmdArgType.DevEnum:
            return ()
        own = attached_labels(item)
        if own is not None:
            return own
        name = read_text(item, "name")
        self.host.client.watch.use(self._url(), name)
        return enum_labels(self.describe_attribute(name, LABELS_MAX_AGE))

    def describe_written(self, name: str) -> tango.AttributeInfoEx:
        """Return the configuration of the attribute that is written to, which is another one for READ_WITH_WRITE."""
        info = self.describe_attribute(name)
        if info.writable == tango.AttrWriteType.READ_WITH_WRITE:
            return self.describe_attribute(read_text(info, "writable_attr_name"))
        return info

    # --- commands ---

    def list_commands(self) -> list[tango.CommandInfo]:
        """Ask the device for the descriptions of all commands."""
        return self._ask(lambda proxy: list(proxy.command_list_query()))

    def describe_command(self, name: str, max_age: float = math.inf) -> tango.CommandInfo:
        """Return the description of one command, asked for at most `max_age` seconds ago.

        Raises DevFailed, API_CommandNotFound.
        """
        return self.host.client.descriptions.get(
            self._url(), command_key(name), lambda: self._query_command(name), max_age
        )

    def with_command(self, name: str, use: Callable[[tango.CommandInfo], T]) -> T:
        """Return what `use` makes of the description of a command; asked for anew as in `with_written`."""

        def ask() -> tango.CommandInfo:
            return self.host.client.descriptions.ask(self._url(), command_key(name), lambda: self._query_command(name))

        return _with_description(self.describe_command(name), ask, _takes_the_same_argument, use)

    def _query_command(self, name: str) -> tango.CommandInfo:
        taken = name if name.isascii() else as_pytango_takes_it(name, self.list_commands(), "cmd_name")
        return self._ask(lambda proxy: proxy.command_query(taken))

    # --- the ways to the device ---

    def _failed_change(self, failure: DevFailed) -> DevFailed:
        """Return the failure of a change with what is known besides: its outcome, or why libtango has refused it."""
        if not is_read_only(failure):
            return with_outcome(failure)
        self.host.client.proxies.forget(self._url())  # the next one asks for the gateway's access anew
        return explained(failure, OWN_ACCESS)

    def _proxy(self, past_polling: bool = False) -> tango.DeviceProxy:
        """A green proxy: its green methods go through the device's bulkhead by themselves."""
        return self.host.client.device_proxy(self._url(), self._find_server, past_polling)

    def _find_server(self, anew: bool) -> str:
        return self.host.find_server(self.name, anew)

    def _ask(self, ask: Callable[[tango.DeviceProxy], T]) -> T:
        """Call `ask` with a proxy, for metadata. Where that holds the GIL, a ping without the GIL comes first."""

        def ping_and_ask(proxy: tango.DeviceProxy) -> T:
            proxy.ping()  # pyright: ignore[reportCallIssue]
            return ask(proxy)

        proxy, bulkhead = self._proxy(), self.host.client.bulkhead(self._url())
        return bulkhead.metadata.call("metadata", ping_and_ask if METADATA_HOLDS_GIL else ask, proxy)


def _takes_the_same_argument(one: tango.CommandInfo, other: tango.CommandInfo) -> bool:
    return one.in_type == other.in_type


def _with_description(known: D, ask: Callable[[], D], same: Callable[[D, D], bool], use: Callable[[D], T]) -> T:
    """Return what `use` makes of the known description; of a new one if that is refused and the new one differs."""
    try:
        return use(known)
    except (BadRequest, DevFailed) as refusal:
        if isinstance(refusal, DevFailed) and not {error.reason for error in refusal.args} & _OUTDATED:
            raise
        new = ask()
        if same(known, new):
            raise
    return use(new)


def _configuration(proxy: tango.DeviceProxy, taken: Any) -> tango.AttributeInfoEx:
    """Of this moment, in a thread. PyTango takes the bytes of a name for reading and writing, but not for this."""
    if isinstance(taken, str):
        return proxy.get_attribute_config_ex(taken)[0]
    for info in proxy.attribute_list_query_ex():
        if raw_text(info, "name") == taken:
            return info
    raise tango_failure("API_AttrNotFound", f"{taken.decode('latin-1')} attribute not found")
