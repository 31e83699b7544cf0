"""Device: one Tango device, one method for each thing that can be asked of it."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import tango

from mtango_gevent.control.background import Job
from mtango_gevent.control.calls import Bulkhead
from mtango_gevent.control.device_metadata import DescribedDevice
from mtango_gevent.control.events import SUBSCRIBES_WITHOUT_READING, Listener, Source, Turn
from mtango_gevent.control.host import DeviceInfo, ready_argument, ready_texts
from mtango_gevent.control.properties import Properties
from mtango_gevent.control.reads import AttributeRead, Reading
from mtango_gevent.control.records import StateRecord, output, read_together
from mtango_gevent.errors import (
    ApiError,
    NotImplementedHere,
    explained,
    in_one_line,
    not_converted,
    tango_failure,
)
from mtango_gevent.names import canonical_name, folded
from mtango_gevent.text import from_utf8, raw_text, read_text

T = TypeVar("T")

# Every use of a pipe warns that later versions have none; the version that is installed is the operator's choice.
warnings.filterwarnings("ignore", r"\w*_pipe\w* is deprecated", DeprecationWarning)

# Before 10.1 PyTango has pipes.
PIPES = hasattr(tango.DeviceProxy, "read_pipe")

# More than any polling buffer holds: the server answers all it has.
HISTORY_DEPTH = 10_000


@dataclasses.dataclass(frozen=True)
class Device(DescribedDevice):
    """A device as the URL names it. All methods ask Tango or a cache, and raise DevFailed."""

    # --- what the database knows ---

    def read_info(self) -> DeviceInfo:
        return self.host.device_info(self.name)

    def read_alias(self) -> str | None:
        return self.host.device_alias(self.name)

    def properties(self) -> Properties:
        return Properties(self.host, self.name)

    def attribute_properties(self, attribute: str) -> Properties:
        """Return the properties of an attribute. Raises DevFailed, API_AttrNotFound."""
        return Properties(self.host, self.name, read_text(self.describe_attribute(attribute), "name"))

    def find_name(self) -> str:
        """Return the name in the database's spelling, cached for long: links need it while the database is away."""
        return self.host.device_name(self.name)

    # --- state and attributes ---

    def read_state(self) -> Reading[tuple[str, str]]:
        """Read (name of the state, status) in one call, shared as in read_value.

        A status that cannot be read is replaced by the reasons and descriptions of the failure.
        """
        reading = self.read_values(["State", "Status"])
        state, status = reading.items
        if state.has_failed:
            raise tango.DevFailed(*state.get_err_stack())
        failed = status.has_failed
        text = in_one_line(tango.DevFailed(status.get_err_stack()[0])) if failed else from_utf8(status.value or "")
        return Reading((str(state.value), text), reading.began)

    def read_value(self, name: str, kept: bool = True) -> Reading[tango.DeviceAttribute]:
        """Read an attribute, in one call with concurrent readers. kept: a reading in the cache will do."""
        return self._share(folded(name), AttributeRead(self._taken(name)), kept)

    def read_values(self, names: Sequence[str]) -> Reading[list[Any]]:
        """Read attributes in one call, shared with concurrent readers of the same names in the same order.

        An attribute that could not be read has `has_failed`.
        """
        if not names:
            return Reading([], time.perf_counter())
        taken = [self._taken(name) for name in names]
        return self._share(tuple(map(folded, names)), lambda proxy: read_together(proxy, names, taken))

    def read_attribute(self, name: str, past_polling: bool = False) -> tango.DeviceAttribute:
        """Read an attribute without sharing. past_polling: read from the device, not from its polling buffer."""
        return self._call("read", self._proxy(past_polling).read_attribute, self._taken(name))

    def read_back(self, names: Sequence[str]) -> list[Any]:
        """Read attributes from the device itself, in one call without sharing; failed ones have `has_failed`."""
        if not names:
            return []
        taken = [self._taken(name) for name in names]
        return self._call("read", read_together, self._proxy(past_polling=True), names, taken)

    def known_value(self, name: str) -> tuple[tango.DeviceAttribute, float] | None:
        """Return an attribute's newest value that is kept, as a reading or an event, and its age in seconds."""
        client, url, key = self.host.client, self._url(), folded(name)
        reading, now = client.reads.peek(url, key), time.perf_counter()
        known = [*client.events.last_values(url, key), *([(reading.items, now - reading.began)] if reading else [])]
        return min(known, key=lambda value_and_age: value_and_age[1], default=None)

    def write_attribute(self, info: tango.AttributeInfoEx, value: Any, about: str) -> None:
        """Write the result of values.attribute_argument. about: text that a failure has in addition."""
        try:  # with its configuration at hand PyTango does not ask for it, which would hold the GIL
            self._change("write", lambda proxy: proxy.write_attribute(info, value), past_polling=True)
        except tango.DevFailed as failure:
            raise explained(failure, about) from None

    def read_attribute_history(self, name: str) -> list[tango.DeviceAttributeHistory] | list[StateRecord]:
        """Return the polling buffer of an attribute, oldest first. Raises DevFailed, API_AttrNotPolled."""
        name = read_text(self.describe_attribute(name), "name")  # records have the name that was asked for
        taken = self._taken(name)
        records = list(self._read_history(lambda proxy: proxy.attribute_history(taken, HISTORY_DEPTH)))
        if name == "State":  # polled as an attribute, then, which the history of the command would not tell
            return [StateRecord(record) for record in self.read_command_history(name)]
        return records

    def listen(self, attribute: str, kind: str, from_last: bool = False, turn: Turn | None = None) -> Listener:
        """Listen to the events of an attribute that come after this call. kind: one of events.KINDS.

        from_last: begin with the last event, or the value from before the first one; turn: that of its feed.
        """
        client, url = self.host.client, self._url()
        bulkhead = client.bulkhead(url)

        def connected_bulkhead() -> Bulkhead:
            self._proxy()  # made where connections to a server are few
            return client.partitions.subscribing if SUBSCRIBES_WITHOUT_READING else bulkhead

        source = Source(
            url,
            attribute,
            kind,
            bulkhead,
            read=lambda: self.read_attribute(attribute),
            describe=lambda: self.ask_attribute(attribute),
            labels=self.enum_labels,
            follow_labels=functools.partial(client.watch.hold, url),
        )
        return client.events.listen(source, connected_bulkhead, from_last, turn)

    def event_arrival(self, attribute: str, kind: str, time: int) -> int | None:
        """Return when the event with that time arrived, in microseconds since the epoch; None if it is not kept.

        time: that of the event, in milliseconds since the epoch. Makes no call.
        """
        return self.host.client.events.arrival((self._url(), folded(attribute), kind), time)

    # --- commands ---

    def run_command(self, info: tango.CommandInfo, argument: Any) -> tuple[tango.CmdArgType, Any]:
        """Run a command and return (type, value) of its output; the type may be newer than that of `info`.

        argument: the result of values.command_argument.
        """
        arguments = [] if info.in_type == tango.CmdArgType.DevVoid else [ready_argument(info.in_type, argument)]
        name = raw_text(info, "cmd_name")
        return self._change("command", lambda proxy: output(proxy.command_inout_raw(name, *arguments)))

    def ask(self, command: str, argument: str | Sequence[str]) -> Any:
        """Run a command that changes nothing, and return its output. argument: of a text or a list of texts."""
        return self._call("command", self._proxy().command_inout, command, ready_texts(argument))

    def read_command_history(self, name: str) -> list[tango.DeviceDataHistory]:
        """Return the polling buffer of a command, oldest first. Raises DevFailed, API_CmdNotPolled."""
        return list(self._read_history(lambda proxy: proxy.command_history(name, HISTORY_DEPTH)))

    # --- pipes ---

    def list_pipes(self, max_age: float = math.inf) -> list[Any]:
        """Return the descriptions of the pipes, at most `max_age` seconds old; none where PyTango has no pipes."""
        if not PIPES:
            self._check_defined()
            return []
        return self.host.client.descriptions.get(
            self._url(), "pipes", lambda: self._ask(lambda proxy: list(proxy.get_pipe_config())), max_age
        )

    def describe_pipe(self, name: str, max_age: float = math.inf) -> Any:
        """Return the description of a pipe. Raises as read_pipe does."""
        self.check_pipes()
        for info in self.list_pipes(max_age):
            if folded(read_text(info, "name")) == folded(name):
                return info
        raise tango_failure("API_PipeNotFound", f"pipe {name} not found")

    def check_pipes(self) -> None:
        """Raise NotImplementedHere where PyTango has no pipes."""
        if not PIPES:
            raise NotImplementedHere(
                f"PyTango {tango.__version__} has no pipes, the last that has them is 10.0 (the extra `pipes`)"
            )

    def read_pipe(self, name: str) -> tuple[str, list[dict[str, Any]], float]:
        """Read (name of the pipe, elements of its root blob, time of reading).

        Raises DevFailed, API_PipeNotFound, and NotImplementedHere where PyTango has no pipes.
        """
        self.check_pipes()
        try:
            _, elements = self._call("pipe", self._proxy().read_pipe, name)
        except UnicodeDecodeError as error:  # in pipes alone PyTango takes texts for UTF-8, which Tango's are not
            raise tango_failure("MTANGO_NotDecodable", f"PyTango cannot decode pipe {name}: {error}") from None
        return (
            canonical_name(name, (read_text(info, "name") for info in self.list_pipes())) or name,
            elements,
            time.time(),
        )

    def write_pipe(self, name: str, blob: tuple[str, list[dict[str, Any]]]) -> None:
        """Write a root blob: (name, elements with name, dtype and value). Raises as read_pipe does."""
        self.check_pipes()
        self._change("pipe", lambda proxy: proxy.write_pipe(name, blob))

    # --- the ways to the device ---

    def later(self, about: str, job: Job) -> None:
        """Queue `job` behind those that wait for the device. Raises DevFailed when too many do."""
        client = self.host.client
        client.background.add(self._url(), f"{about} of {self.full_name}", client.tracing.carried(job))

    def _call(self, kind: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function` in the bulkhead of the device; kind: the label in metrics."""
        return self.host.client.bulkhead(self._url()).call(kind, function, *arguments)

    def _share(self, what: Hashable, read: Callable[[tango.DeviceProxy], T], kept: bool = True) -> Reading[T]:
        """Return the result of `read`, shared with concurrent callers. what: equal for equal reads."""
        client, url = self.host.client, self._url()
        try:
            return client.reads.get(url, what, client.bulkhead(url), self._proxy, read, kept)
        except (tango.DevFailed, ApiError):
            raise
        except Exception as error:
            raise not_converted(error) from None

    def _change(self, kind: str, change: Callable[[tango.DeviceProxy], T], past_polling: bool = False) -> T:
        """Call `change`, which may change later readings. kind: the label in metrics."""
        client, url = self.host.client, self._url()
        bulkhead, proxy = client.bulkhead(url), self._proxy(past_polling)

        def change_and_tell() -> T:
            with client.reads.changing(url):  # in the call's thread, which may go on after the deadline
                return change(proxy)

        try:
            return bulkhead.call(kind, change_and_tell)
        except tango.DevFailed as failure:
            raise self._failed_change(failure) from None
        except Exception as error:
            raise explained(not_converted(error), "the outcome is unknown") from None

    def _read_history(self, ask: Callable[[tango.DeviceProxy], T]) -> T:
        """Call one of PyTango's history methods, which are not green."""
        try:
            return self._call("history", ask, self._proxy())
        except tango.DevFailed:
            raise
        except Exception as error:
            raise not_converted(error) from None

    def _check_defined(self) -> None:
        """Raise DevFailed for an unknown device, for which the database has an empty list as well."""
        self.host.find_device(self.name)
