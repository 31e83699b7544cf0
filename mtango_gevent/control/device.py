"""Device: one Tango device, one method for each thing that can be asked of it."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import tango

from mtango_gevent.control.background import Job
from mtango_gevent.control.host import DeviceInfo, TangoHost, ready_argument
from mtango_gevent.control.lane import Lane
from mtango_gevent.control.listener import Listener
from mtango_gevent.control.properties import Properties
from mtango_gevent.control.reads import Reading
from mtango_gevent.control.source import SUBSCRIBES_WITHOUT_READING, Source
from mtango_gevent.errors import NotImplementedHere, explained, tango_failure
from mtango_gevent.names import spelled
from mtango_gevent.values import labels

T = TypeVar("T")

# Every use of a pipe warns that later versions have none; the version that is installed is the operator's choice.
warnings.filterwarnings("ignore", r"\w*_pipe\w* is deprecated", DeprecationWarning)

# Before 10.1 PyTango has pipes, and holds the GIL while it asks for metadata.
PIPES = hasattr(tango.DeviceProxy, "read_pipe")
METADATA_HOLDS_GIL = tuple(int(part) for part in tango.__version__.split(".")[:2]) < (10, 1)

# More than any polling buffer holds: the server answers all it has.
HISTORY_DEPTH = 10_000


@dataclasses.dataclass(frozen=True)
class StateRecord:
    """A polled State: the record of the command, as PyTango gives that of the attribute no value."""

    record: tango.DeviceDataHistory
    name = "State"
    type = tango.CmdArgType.DevState
    data_format = tango.AttrDataFormat.SCALAR
    quality = tango.AttrQuality.ATTR_VALID

    @property
    def has_failed(self) -> bool:
        return self.record.has_failed()

    @property
    def value(self) -> tango.DevState:
        return self.record.extract()

    @property
    def time(self) -> tango.TimeVal:
        return self.record.get_date()

    def get_err_stack(self) -> tuple[tango.DevError, ...]:
        return self.record.get_err_stack()


@dataclasses.dataclass(frozen=True)
class Device:
    """A device as the URL names it; nothing is asked before a method is called. All methods raise DevFailed."""

    host: TangoHost
    name: str

    # --- what the database knows ---

    def read_info(self) -> DeviceInfo:
        return self.host.device_info(self.name)

    def properties(self) -> Properties:
        return Properties(self.host, self.name)

    def attribute_properties(self, attribute: str) -> Properties:
        """Of an attribute. Raises DevFailed for one that the device has not."""
        return Properties(self.host, self.name, self.describe_attribute(attribute).name)

    def find_name(self) -> str:
        """The name in the database's spelling; kept for long, as links need it when the database is away."""
        return self.host.device_name(self.name)

    # --- state and attributes ---

    def read_state(self) -> Reading[tuple[str, str]]:
        """(name of the state, status), read in one call, shared as those of read_value are."""
        reading = self.read_values(["State", "Status"])
        for item in reading.items:
            if item.has_failed:
                raise tango.DevFailed(*item.get_err_stack())
        state, status = reading.items
        return Reading((str(state.value), status.value), reading.began)

    def read_value(self, name: str, kept: bool = True) -> Reading[tango.DeviceAttribute]:
        """Shared with those who ask for it meanwhile; kept: one from before will do, as old as the settings allow."""
        return self._share(name.lower(), lambda proxy: proxy.read_attribute(name), kept)

    def read_values(self, names: Sequence[str]) -> Reading[list[tango.DeviceAttribute]]:
        """Values in the order of `names`, in one call, shared with those who ask for the same, in the same order.

        One that failed says so (`has_failed`).
        """
        if not names:
            return Reading([], time.perf_counter())
        return self._share(tuple(name.lower() for name in names), lambda proxy: _read_together(proxy, names))

    def read_attribute(self, name: str, past_polling: bool = False) -> tango.DeviceAttribute:
        """For the caller alone. past_polling: of this moment, also where polling has kept one from before."""
        read, what = self._proxy(past_polling).read_attribute, ("read_attribute", name.lower(), past_polling)
        return self.host.client.lane(self._url()).run(read, (name,), what=what)

    def read_back(self, names: Sequence[str]) -> list[tango.DeviceAttribute]:
        """The same for several, in one call and past polling; one that failed says so (`has_failed`)."""
        return _read_together(self._proxy(past_polling=True), names) if names else []

    def describe_written(self, name: str) -> tango.AttributeInfoEx:
        """The configuration of the attribute that takes what is written: another one for READ_WITH_WRITE."""
        info = self.describe_attribute(name)
        if info.writable == tango.AttrWriteType.READ_WITH_WRITE:
            return self.describe_attribute(info.writable_attr_name)
        return info

    def write_attribute(self, info: tango.AttributeInfoEx, value: Any, about: str) -> None:
        """Write what values.attribute_argument made. about: what a failure is to say besides Tango's words."""
        try:  # with its configuration at hand PyTango does not ask for it, which would hold the GIL
            self._change("write", info.name, lambda proxy: proxy.write_attribute(info, value), past_polling=True)
        except tango.DevFailed as failure:
            raise explained(failure, about) from None

    def list_attributes(self, anew: bool = False) -> list[tango.AttributeInfoEx]:
        """Configurations of all attributes; anew: of this moment."""
        if anew:
            self.host.client.attributes.discard(self._key("attributes"))
        return self.host.client.attributes.get(
            self._key("attributes"), lambda: self._ask(lambda proxy: list(proxy.attribute_list_query_ex()))
        )

    def describe_attribute(self, name: str) -> tango.AttributeInfoEx:
        """The configuration of one attribute."""
        return self.host.client.attributes.get(self._key("attribute", name.lower()), lambda: self.ask_attribute(name))

    def ask_attribute(self, name: str) -> tango.AttributeInfoEx:
        """The same of this moment."""
        return self._ask(lambda proxy: self._keep(proxy.get_attribute_config_ex(name)[0]))

    def configure_attribute(
        self, name: str, change: Callable[[tango.AttributeInfoEx], object]
    ) -> tango.AttributeInfoEx:
        """Have `change` change the configuration of an attribute, and give the one that it has then.

        One after the other for each device, so that nobody puts back what another one has changed meanwhile.
        Raises also what `change` raises.
        """

        def change_and_ask(proxy: tango.DeviceProxy) -> tango.AttributeInfoEx:
            with self.host.client.configuring(self._url()):
                info = proxy.get_attribute_config_ex(name)[0]
                change(info)
                with self.host.client.reads.changing(self._url()):
                    proxy.set_attribute_config([info])
                self.host.client.attributes.discard(self._key("attributes"))
                return self._keep(proxy.get_attribute_config_ex(name)[0])

        return self._ask(change_and_ask)

    def _keep(self, info: tango.AttributeInfoEx) -> tango.AttributeInfoEx:
        return self.host.client.attributes.store(self._key("attribute", info.name.lower()), info)

    def spell_attribute(self, name: str, ask: bool = True) -> str:
        """`name` as the device spells it; as it is, where the device has no such attribute or does not answer.

        ask: else only what is known already counts.
        """
        known = self.host.client.attributes.peek(self._key("attribute", name.lower()))
        try:
            infos = [known] if known else self.list_attributes() if ask else []
            return spelled(name, (info.name for info in infos)) or name
        except tango.DevFailed:
            return name

    def enum_labels(self, item: tango.DeviceAttribute | StateRecord) -> Sequence[str]:
        """The labels that belong to a value, none unless it is of an enumeration."""
        return labels(self.describe_attribute(item.name)) if item.type == tango.CmdArgType.DevEnum else ()

    def read_attribute_history(self, name: str) -> list[tango.DeviceAttributeHistory] | list[StateRecord]:
        """What polling has kept, oldest first. Raises DevFailed, API_AttrNotPolled."""
        name = self.describe_attribute(name).name  # records have the name that was asked for
        records = list(self._read_history(lambda proxy: proxy.attribute_history(name, HISTORY_DEPTH)))
        if name == "State":  # polled as an attribute, then, which the history of the command would not tell
            return [StateRecord(record) for record in self.read_command_history(name)]
        return records

    def listen(self, attribute: str, kind: str) -> Listener:
        """Listen to the events of an attribute, from the one after this call on; kind: one of source.KINDS."""
        client, url = self.host.client, self._url()
        lane = client.lane(url)

        def connected_lane() -> Lane:
            self._proxy()  # made where connections to a server are few
            return client.green.shares.subscribing if SUBSCRIBES_WITHOUT_READING else lane

        source = Source(
            url, attribute, kind, lane, lambda: self.read_attribute(attribute), lambda: self.ask_attribute(attribute)
        )
        return client.events.listen(source, connected_lane)

    # --- commands ---

    def list_commands(self) -> list[tango.CommandInfo]:
        """Descriptions of all commands."""
        return self.host.client.descriptions.get(
            self._key("commands"), lambda: self._ask(lambda proxy: list(proxy.command_list_query()))
        )

    def describe_command(self, name: str) -> tango.CommandInfo:
        """The description of one command. Raises DevFailed, API_CommandNotFound."""
        return self.host.client.descriptions.get(
            self._key("command", name.lower()), lambda: self._ask(lambda proxy: proxy.command_query(name))
        )

    def run_command(self, info: tango.CommandInfo, argument: Any) -> Any:
        """The output of a command; argument: what values.command_argument made."""
        arguments = [] if info.in_type == tango.CmdArgType.DevVoid else [ready_argument(info.in_type, argument)]
        return self._change("command", info.cmd_name, lambda proxy: proxy.command_inout(info.cmd_name, *arguments))

    def read_command_history(self, name: str) -> list[tango.DeviceDataHistory]:
        """What polling has kept, oldest first. Raises DevFailed, API_CmdNotPolled."""
        return list(self._read_history(lambda proxy: proxy.command_history(name, HISTORY_DEPTH)))

    # --- pipes ---

    def list_pipes(self) -> list[str]:
        """Names of the pipes, none where PyTango has no pipes."""
        if not PIPES:
            self._check_defined()
            return []
        return self.host.client.descriptions.get(
            self._key("pipes"), lambda: self._ask(lambda proxy: list(proxy.get_pipe_list()))
        )

    def check_pipes(self) -> None:
        """Raises NotImplementedHere where PyTango has no pipes."""
        if not PIPES:
            raise NotImplementedHere(
                f"PyTango {tango.__version__} has no pipes, the last that has them is 10.0 (the extra `pipes`)"
            )

    def read_pipe(self, name: str) -> tuple[str, list[dict[str, Any]], float]:
        """(name of the pipe, elements of its root blob, time of reading).

        Raises DevFailed, API_PipeNotFound, and NotImplementedHere where PyTango has no pipes.
        """
        self.check_pipes()
        try:
            _, elements = self._proxy().read_pipe(name)
        except UnicodeDecodeError as error:  # in pipes alone PyTango takes texts for UTF-8, which Tango's are not
            raise tango_failure("MTANGO_NotDecodable", f"PyTango cannot decode pipe {name}: {error}") from None
        return spelled(name, self.list_pipes()) or name, elements, time.time()

    def write_pipe(self, name: str, blob: tuple[str, list[dict[str, Any]]]) -> None:
        """Write a root blob: its name, and elements with name, dtype and value. Raises as read_pipe does."""
        self.check_pipes()
        self._change("pipe", name, lambda proxy: proxy.write_pipe(name, blob))

    # --- the ways to the device ---

    def later(self, about: str, job: Job) -> None:
        """Have `job` done without waiting for it, after those that wait already. Raises DevFailed when too many do."""
        self.host.client.background.add(self._url(), f"{about} of {self.name}", job)

    def _proxy(self, past_polling: bool = False) -> tango.DeviceProxy:
        """A green proxy: its green methods go through the device's lane by themselves."""
        return self.host.client.device_proxy(self._url(), lambda: self.host.find_server(self.name), past_polling)

    def _share(self, what: Hashable, read: Callable[[tango.DeviceProxy], T], kept: bool = True) -> Reading[T]:
        """What `read` gives, now or to somebody else; what: the same for reads that are the same."""
        client, url = self.host.client, self._url()
        return client.reads.get(url, what, client.lane(url), self._proxy, read, kept)

    def _change(self, kind: str, name: str, change: Callable[[tango.DeviceProxy], T], past_polling: bool = False) -> T:
        """For calls after which reads may give something else; kind: what it is counted as, if not by the lane."""
        client, url = self.host.client, self._url()
        lane, proxy = client.lane(url), self._proxy(past_polling)

        def change_and_tell() -> T:
            with client.reads.changing(url):  # in the call's own thread: it may go on when nobody waits any more
                return change(proxy)

        return lane.run(change_and_tell, kind=lane.kind or kind, what=(kind, name.lower()))

    def _read_history(self, ask: Callable[[tango.DeviceProxy], T]) -> T:
        """PyTango does not make those methods green."""
        return self.host.client.lane(self._url()).run(ask, (self._proxy(),), kind="history")

    def _ask(self, ask: Callable[[tango.DeviceProxy], T]) -> T:
        """For metadata. Where that holds the GIL, a ping first finds out, without it, whether anybody answers."""

        def ping_and_ask(proxy: tango.DeviceProxy) -> T:
            proxy.ping()  # pyright: ignore[reportCallIssue]
            return ask(proxy)

        proxy, lane = self._proxy(), self.host.client.lane(self._url())
        return lane.metadata.run(ping_and_ask if METADATA_HOLDS_GIL else ask, (proxy,))

    def _url(self) -> str:
        return self.host.prefix + self.name.lower()

    def _check_defined(self) -> None:
        """The database has an empty list also for a device that it does not know."""
        self.host.find_device(self.name)

    def _key(self, *parts: str) -> tuple[str, ...]:
        return self._url(), *parts


def _read_together(proxy: tango.DeviceProxy, names: Sequence[str]) -> list[tango.DeviceAttribute]:
    once = {name.lower(): name for name in names}  # Tango refuses to read one twice in a call
    found = dict(zip(once, proxy.read_attributes(list(once.values())), strict=True))
    return [found[name.lower()] for name in names]
