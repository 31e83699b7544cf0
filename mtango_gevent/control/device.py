"""Device: one Tango device, one method for each thing that can be asked of it."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import tango

from mtango_gevent.control.background import Job
from mtango_gevent.control.host import DeviceInfo, TangoHost, ready_argument
from mtango_gevent.control.lane import Lane
from mtango_gevent.control.listener import Listener
from mtango_gevent.control.metadata import attribute_key, command_key
from mtango_gevent.control.properties import Properties
from mtango_gevent.control.reads import Reading
from mtango_gevent.control.source import SUBSCRIBES_WITHOUT_READING, Source
from mtango_gevent.errors import (
    ApiError,
    BadRequest,
    DevFailed,
    NotImplementedHere,
    explained,
    in_one_line,
    not_converted,
    tango_failure,
    with_outcome,
)
from mtango_gevent.names import as_pytango_takes_it, folded, spelled
from mtango_gevent.texts import from_utf8, raw_text, read_text
from mtango_gevent.values import is_enumeration, labels, own_labels, takes_the_same

T = TypeVar("T")
D = TypeVar("D")

# Every use of a pipe warns that later versions have none; the version that is installed is the operator's choice.
warnings.filterwarnings("ignore", r"\w*_pipe\w* is deprecated", DeprecationWarning)

# Before 10.1 PyTango has pipes, and holds the GIL while it asks for metadata.
PIPES = hasattr(tango.DeviceProxy, "read_pipe")
METADATA_HOLDS_GIL = tuple(int(part) for part in tango.__version__.split(".")[:2]) < (10, 1)

# More than any polling buffer holds: the server answers all it has.
HISTORY_DEPTH = 10_000

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
class FailedReading:
    """One of several attributes, which PyTango could not convert, where the others are those that Tango gave."""

    name: str
    errors: tuple[tango.DevError, ...]
    has_failed = True
    value = w_value = None

    def get_err_stack(self) -> tuple[tango.DevError, ...]:
        return self.errors


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
        return Properties(self.host, self.name, read_text(self.describe_attribute(attribute), "name"))

    def find_name(self) -> str:
        """The name in the database's spelling; kept for long, as links need it when the database is away."""
        return self.host.device_name(self.name)

    # --- state and attributes ---

    def read_state(self) -> Reading[tuple[str, str]]:
        """(name of the state, status), read in one call, shared as those of read_value are.

        A status that fails is the reason and description of its failure.
        """
        reading = self.read_values(["State", "Status"])
        state, status = reading.items
        if state.has_failed:
            raise tango.DevFailed(*state.get_err_stack())
        failed = status.has_failed
        text = in_one_line(tango.DevFailed(status.get_err_stack()[0])) if failed else from_utf8(status.value or "")
        return Reading((str(state.value), text), reading.began)

    def read_value(self, name: str, kept: bool = True) -> Reading[tango.DeviceAttribute]:
        """Shared with those who ask for it meanwhile; kept: one from before will do, as old as the settings allow."""
        taken = self._taken(name)
        return self._share(folded(name), lambda proxy: proxy.read_attribute(taken), kept)

    def read_values(self, names: Sequence[str]) -> Reading[list[Any]]:
        """Values in the order of `names`, in one call, shared with those who ask for the same, in the same order.

        One that failed says so (`has_failed`).
        """
        if not names:
            return Reading([], time.perf_counter())
        taken = [self._taken(name) for name in names]
        return self._share(tuple(map(folded, names)), lambda proxy: _read_together(proxy, names, taken))

    def read_attribute(self, name: str, past_polling: bool = False) -> tango.DeviceAttribute:
        """For the caller alone. past_polling: of this moment, also where polling has kept one from before."""
        read, what = self._proxy(past_polling).read_attribute, ("read_attribute", folded(name), past_polling)
        return self.host.client.lane(self._url()).run(read, (self._taken(name),), what=what)

    def read_back(self, names: Sequence[str]) -> list[Any]:
        """The same for several, in one call and past polling; one that failed says so (`has_failed`)."""
        taken = [self._taken(name) for name in names]
        return _read_together(self._proxy(past_polling=True), names, taken) if names else []

    def describe_written(self, name: str) -> tango.AttributeInfoEx:
        """The configuration of the attribute that takes what is written: another one for READ_WITH_WRITE."""
        info = self.describe_attribute(name)
        if info.writable == tango.AttrWriteType.READ_WITH_WRITE:
            return self.describe_attribute(read_text(info, "writable_attr_name"))
        return info

    def write_attribute(self, info: tango.AttributeInfoEx, value: Any, about: str) -> None:
        """Write what values.attribute_argument made. about: what a failure is to say besides Tango's words."""
        try:  # with its configuration at hand PyTango does not ask for it, which would hold the GIL
            self._change(
                "write", read_text(info, "name"), lambda proxy: proxy.write_attribute(info, value), past_polling=True
            )
        except tango.DevFailed as failure:
            raise explained(failure, about) from None

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

    def with_written(self, name: str, use: Callable[[tango.AttributeInfoEx], T]) -> T:
        """Return what `use` makes of the configuration of the attribute that takes what is written to `name`.

        The kept configuration may be older than a restart of the server: after a refusal that this could explain it is
        asked for anew, once, and used again if it has changed. The number of a label is always one of now.
        """
        info = self.describe_written(name)
        written = read_text(info, "name")
        if is_enumeration(info):
            info = self.ask_attribute(written)
        return _with_description(info, lambda: self.ask_attribute(written), takes_the_same, use)

    def _read_configuration(self, name: str) -> tango.AttributeInfoEx:
        taken = self._taken(name)
        return self._ask(lambda proxy: _configuration(proxy, taken))

    def configure_attribute(
        self, name: str, change: Callable[[tango.AttributeInfoEx], object]
    ) -> tango.AttributeInfoEx:
        """Have `change` change the configuration of an attribute, and give the one that it has then.

        One after the other for each device, so that nobody puts back what another one has changed meanwhile.
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
            raise with_outcome(failure) from None

    def _taken(self, name: str) -> Any:
        """The name of an attribute as PyTango takes it."""
        return name if name.isascii() else as_pytango_takes_it(name, self._listed_attributes(), "name")

    def _listed_attributes(self) -> Sequence[tango.AttributeInfoEx]:
        """Those that are known, none where the device does not tell: then the call that needs them says why."""
        try:
            return self.list_attributes()
        except tango.DevFailed:
            return ()

    def spell_attribute(self, name: str, ask: bool = True) -> str:
        """`name` as the device spells it; as it is, where the device has no such attribute or does not answer.

        ask: else only what is known already counts.
        """
        known = self.host.client.attributes.peek(self._url(), attribute_key(name))
        try:
            infos = [known] if known else self.list_attributes() if ask else []
            return spelled(name, (read_text(info, "name") for info in infos)) or name
        except tango.DevFailed:
            return name

    def enum_labels(self, item: tango.DeviceAttribute | StateRecord) -> Sequence[str]:
        """The labels that belong to a value, none unless it is of an enumeration: those of its time, if it has them."""
        if item.type != tango.CmdArgType.DevEnum:
            return ()
        own = own_labels(item)
        if own is not None:
            return own
        name = read_text(item, "name")
        self.host.client.watch.use(self._url(), name)
        return labels(self.describe_attribute(name, LABELS_MAX_AGE))

    def read_attribute_history(self, name: str) -> list[tango.DeviceAttributeHistory] | list[StateRecord]:
        """What polling has kept, oldest first. Raises DevFailed, API_AttrNotPolled."""
        name = read_text(self.describe_attribute(name), "name")  # records have the name that was asked for
        taken = self._taken(name)
        records = list(self._read_history(lambda proxy: proxy.attribute_history(taken, HISTORY_DEPTH)))
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
            url,
            attribute,
            kind,
            lane,
            read=lambda: self.read_attribute(attribute),
            describe=lambda: self.ask_attribute(attribute),
            labels=self.enum_labels,
        )
        return client.events.listen(source, connected_lane)

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

    def run_command(self, info: tango.CommandInfo, argument: Any) -> tuple[tango.CmdArgType, Any]:
        """Run a command and return its output with the type that the device gave it, which is newer than `info`.

        argument: what values.command_argument made.
        """
        arguments = [] if info.in_type == tango.CmdArgType.DevVoid else [ready_argument(info.in_type, argument)]
        name = raw_text(info, "cmd_name")
        about = read_text(info, "cmd_name")
        return self._change("command", about, lambda proxy: _output(proxy.command_inout_raw(name, *arguments)))

    def read_command_history(self, name: str) -> list[tango.DeviceDataHistory]:
        """What polling has kept, oldest first. Raises DevFailed, API_CmdNotPolled."""
        return list(self._read_history(lambda proxy: proxy.command_history(name, HISTORY_DEPTH)))

    # --- pipes ---

    def list_pipes(self, max_age: float = math.inf) -> list[str]:
        """Names of the pipes, none where PyTango has no pipes, asked for at most `max_age` seconds ago."""
        if not PIPES:
            self._check_defined()
            return []
        return self.host.client.descriptions.get(
            self._url(), "pipes", lambda: self._ask(lambda proxy: list(proxy.get_pipe_list())), max_age
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
        self.host.client.background.add(self._url(), f"{about} of {self.full_name}", job)

    def _proxy(self, past_polling: bool = False) -> tango.DeviceProxy:
        """A green proxy: its green methods go through the device's lane by themselves."""
        return self.host.client.device_proxy(self._url(), self._find_server, past_polling)

    def _find_server(self, anew: bool) -> str:
        return self.host.find_server(self.name, anew)

    def _share(self, what: Hashable, read: Callable[[tango.DeviceProxy], T], kept: bool = True) -> Reading[T]:
        """What `read` gives, now or to somebody else; what: the same for reads that are the same."""
        client, url = self.host.client, self._url()
        try:
            return client.reads.get(url, what, client.lane(url), self._proxy, read, kept)
        except (tango.DevFailed, ApiError):
            raise
        except Exception as error:
            raise not_converted(error) from None

    def _change(self, kind: str, name: str, change: Callable[[tango.DeviceProxy], T], past_polling: bool = False) -> T:
        """For calls after which reads may give something else; kind: what it is counted as, if not by the lane."""
        client, url = self.host.client, self._url()
        lane, proxy = client.lane(url), self._proxy(past_polling)

        def change_and_tell() -> T:
            with client.reads.changing(url):  # in the call's own thread: it may go on when nobody waits any more
                return change(proxy)

        try:
            return lane.run(change_and_tell, kind=lane.kind or kind, what=(kind, folded(name)))
        except tango.DevFailed as failure:
            raise with_outcome(failure) from None
        except Exception as error:
            raise explained(not_converted(error), "the outcome is unknown") from None

    def _read_history(self, ask: Callable[[tango.DeviceProxy], T]) -> T:
        """PyTango does not make those methods green."""
        try:
            return self.host.client.lane(self._url()).run(ask, (self._proxy(),), kind="history")
        except tango.DevFailed:
            raise
        except Exception as error:
            raise not_converted(error) from None

    def _ask(self, ask: Callable[[tango.DeviceProxy], T]) -> T:
        """For metadata. Where that holds the GIL, a ping first finds out, without it, whether anybody answers."""

        def ping_and_ask(proxy: tango.DeviceProxy) -> T:
            proxy.ping()  # pyright: ignore[reportCallIssue]
            return ask(proxy)

        proxy, lane = self._proxy(), self.host.client.lane(self._url())
        return lane.metadata.run(ping_and_ask if METADATA_HOLDS_GIL else ask, (proxy,))

    @property
    def full_name(self) -> str:
        """The name as logs and figures have it: with the Tango host where that is not TANGO_HOST."""
        return self.host.prefix + self.name

    def _url(self) -> str:
        return self.full_name.lower()

    def _check_defined(self) -> None:
        """The database has an empty list also for a device that it does not know."""
        self.host.find_device(self.name)


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


def _output(data: tango.DeviceData) -> tuple[tango.CmdArgType, Any]:
    try:
        return data.get_type(), data.extract()
    except tango.DevFailed as failure:
        if failure.args[0].reason != "API_EmptyDeviceData":
            raise
        return tango.CmdArgType.DevVoid, None


def _configuration(proxy: tango.DeviceProxy, taken: Any) -> tango.AttributeInfoEx:
    """Of this moment, in a thread. PyTango takes the bytes of a name for reading and writing, but not for this."""
    if isinstance(taken, str):
        return proxy.get_attribute_config_ex(taken)[0]
    for info in proxy.attribute_list_query_ex():
        if raw_text(info, "name") == taken:
            return info
    raise tango_failure("API_AttrNotFound", f"{taken.decode('latin-1')} attribute not found")


def _read_together(proxy: tango.DeviceProxy, names: Sequence[str], taken: Sequence[Any]) -> list[Any]:
    """taken: the names as PyTango takes them."""
    once = dict(zip(map(folded, names), taken, strict=True))  # Tango refuses to read one twice in a call
    try:
        items = proxy.read_attributes(list(once.values()))
    except tango.DevFailed:
        raise
    except Exception:  # PyTango converts all or none: have those that it can
        items = [_read_alone(proxy, name, each) for name, each in once.items()]
    found = dict(zip(once, items, strict=True))
    return [found[folded(name)] for name in names]


def _read_alone(proxy: tango.DeviceProxy, name: str, taken: Any) -> Any:
    try:
        return proxy.read_attribute(taken)
    except tango.DevFailed as failure:
        return FailedReading(name, failure.args)
    except Exception as error:
        return FailedReading(name, not_converted(error).args)
