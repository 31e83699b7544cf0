"""A device server for the tests: devices that take as long as they are told to, and devices that send events."""

import os
import sys
import threading
import time
from collections.abc import Callable

import tango
from tango import AttrWriteType
from tango.server import Device, attribute, command, device_property, run

try:
    from tests.event_ports import EventPorts
except ImportError:  # as a program of its own
    from event_ports import EventPorts

event_ports = EventPorts()


class Slow(Device):
    def init_device(self) -> None:
        super().init_device()
        self._seconds = 1.0
        self._written = 0.0
        self._reads = 0

    @attribute(dtype=float, unit="s")
    def slow(self) -> float:
        return self._take()

    @attribute(dtype=float, doc="Takes as long as `slow`, and fails")
    def failing(self) -> float:
        self._take()
        raise RuntimeError("broken")

    def _take(self) -> float:
        self._reads += 1
        time.sleep(self._seconds)
        return self._seconds

    @attribute(dtype=int, doc="How often `slow` and `failing` have been read")
    def reads(self) -> int:
        return self._reads

    @attribute(dtype=float, unit="s", doc="Takes as many seconds to write as are written")
    def lazy(self) -> float:
        return self._written

    @lazy.write
    def lazy(self, seconds: float) -> None:
        time.sleep(seconds)
        self._written = seconds

    @attribute(dtype=float, unit="s")
    def quick(self) -> float:
        return self._seconds

    @attribute(dtype=int, doc="The process that answers: another one after a restart")
    def life(self) -> int:
        return os.getpid()

    @command(dtype_in=float, doc_in="Seconds that a read of `slow` takes")
    def TakeSeconds(self, seconds: float) -> None:
        self._seconds = seconds

    @command(dtype_in=float, doc_in="Seconds that this command takes")
    def Rest(self, seconds: float) -> None:
        time.sleep(seconds)


class Sender(Device):
    """Sends events of `sent0` to `sent99` when it is told to; their values are counted from 1."""

    def init_device(self) -> None:
        super().init_device()
        self._sent = [0] * 100
        self._reads = 0
        self._broken = False
        self._level = 0.0
        self._position = 0
        self._text = "0"
        self.set_change_event("text", True, False)
        for name in ("Position", "State"):
            self.set_change_event(name, True, False)
            self.set_archive_event(name, True, False)
        for number in range(len(self._sent)):
            self.add_attribute(tango.Attr(f"sent{number}", tango.CmdArgType.DevLong), self._read_sent)
            self.set_change_event(f"sent{number}", True, False)
            self.set_archive_event(f"sent{number}", True, False)

    def _read_sent(self, sent: tango.Attribute) -> None:
        sent.set_value(self._sent[int(sent.get_name().removeprefix("sent"))])

    @attribute(dtype=int, doc="Counts, and sends an event only with SendPosition and SendPositionFromPast")
    def Position(self) -> int:
        return self._position

    @attribute(dtype=str, doc="The last text that SendTexts has sent")
    def text(self) -> str:
        return self._text

    @command(dtype_in=str, doc_in="change, archive, user or alarm: also of State")
    def SendPosition(self, kind: str) -> None:
        self._position += 1
        for name, value in (("Position", self._position), ("State", self.get_state())):
            if kind == "user":
                self.push_event(name, [], [], value)
            elif kind == "archive":
                self.push_archive_event(name, value)
            else:
                quality = tango.AttrQuality.ATTR_ALARM if kind == "alarm" else tango.AttrQuality.ATTR_VALID
                self.push_change_event(name, value, time.time(), quality)

    @command(dtype_in=float, doc_in="Seconds by which the clock of the device is behind")
    def SendPositionFromPast(self, seconds: float) -> None:
        self._position += 1
        self.push_change_event("Position", self._position, time.time() - seconds, tango.AttrQuality.ATTR_VALID)

    @command
    def MovePosition(self) -> None:
        self._position += 1

    @command(dtype_in=bool, doc_in="Whether the attribute `sent99` is there")
    def Have(self, there: bool) -> None:
        if there:
            self.add_attribute(tango.Attr("sent99", tango.CmdArgType.DevLong), self._read_sent)
            self.set_change_event("sent99", True, False)
        else:
            self.remove_attribute("sent99")

    @command(dtype_in=bool, doc_in="Whether a new client of the server's events hears nothing")
    def CloseEventPorts(self, closed: bool) -> None:
        (event_ports.close if closed else event_ports.open)()

    @attribute(dtype=float, abs_change=0.1, doc="Sends no events, unless it is polled")
    def silent(self) -> float:
        self._reads += 1
        if self._broken:
            raise RuntimeError("broken")
        return self._level

    @silent.write
    def silent(self, level: float) -> None:
        self._level = level

    @attribute(dtype=int, doc="How often `silent` has been read")
    def reads(self) -> int:
        return self._reads

    @command(dtype_in=bool, doc_in="Whether reading `silent` fails")
    def Break(self, broken: bool) -> None:
        self._broken = broken

    @command(dtype_in=str, doc_in="change, archive or user")
    def SendOne(self, kind: str) -> None:
        self._sent[0] += 1
        push = {"change": self.push_change_event, "archive": self.push_archive_event}.get(kind)
        if push:
            push("sent0", self._sent[0])
        else:
            self.push_event("sent0", [], [], self._sent[0])

    @command
    def SendFailure(self) -> None:
        try:
            tango.Except.throw_exception("Sender_Broken", "this event is a failure", "Sender")
        except tango.DevFailed as failure:
            self.push_change_event("sent0", failure)

    @command(dtype_in=(float,), doc_in="Number of attributes, change events of each, events of each per second")
    def Send(self, wanted: "list[float]") -> None:
        attributes, events, per_second = wanted

        def push(_turn: int) -> None:
            for number in range(int(attributes)):
                self._sent[number] += 1
                self.push_change_event(f"sent{number}", self._sent[number])

        self._repeat(push, int(events), per_second)

    @command(dtype_in=(float,), doc_in="Number of change events of `text`, events per second, digits of each")
    def SendTexts(self, wanted: "list[float]") -> None:
        events, per_second, digits = wanted

        def push(turn: int) -> None:
            self._text = f"{turn + 1:0{int(digits)}}"
            self.push_change_event("text", self._text)

        self._repeat(push, int(events), per_second)

    def _repeat(self, push: Callable[[int], None], turns: int, per_second: float) -> None:
        """Start a thread that calls `push` once in each turn, with the number of the turn."""

        def run() -> None:
            with tango.EnsureOmniThread():
                begin = time.monotonic()
                for turn in range(turns):
                    time.sleep(max(0.0, begin + turn / per_second - time.monotonic()))
                    push(turn)

        threading.Thread(target=run, daemon=True).start()


class Changing(Device):
    """What it has depends on its properties: after a change of these and a restart it is another device."""

    labels = device_property(dtype=(str,), default_value=["off", "on"])
    kind = device_property(dtype=str, default_value="DevLong", doc="Type of `typed` and of the argument of `Take`")

    answers = device_property(dtype=bool, default_value=True, doc="Whether `Take` has an output")

    def init_device(self) -> None:
        super().init_device()
        self._mode, self._typed = 1, None
        mode = attribute(name="mode", dtype="DevEnum", enum_labels=list(self.labels), fget=self._read_mode)
        self.add_attribute(mode)
        self.set_change_event("mode", True, False)
        typed = attribute(
            name="typed",
            dtype=self.kind,
            access=AttrWriteType.READ_WRITE,
            fget=self._read_typed,
            fset=self._write_typed,
        )
        self.add_attribute(typed)
        self.add_command(command(f=self.Take, dtype_in=self.kind, dtype_out=self.kind if self.answers else None))

    def _read_mode(self, _: tango.Attribute) -> int:
        return self._mode

    def _read_typed(self, _: tango.Attribute) -> object:
        return self._typed if self._typed is not None else ("" if self.kind == "DevString" else 0)

    def _write_typed(self, written: tango.WAttribute) -> None:
        self._typed = written.get_write_value()

    def Take(self, argument):  # without annotations, which PyTango would take for its types
        return argument if self.answers else None

    @command(dtype_in=int, doc_in="The new mode, which is sent as a change event")
    def SetMode(self, mode: int) -> None:
        self._mode = mode
        self.push_change_event("mode", mode)


class Light(Device):
    """Of these there can be many in one server."""

    def init_device(self) -> None:
        super().init_device()
        self._level = 0
        for number in range(4):
            self.add_attribute(tango.Attr(f"level{number}", tango.CmdArgType.DevLong), self._read_level)
            self.set_change_event(f"level{number}", True, False)

    def _read_level(self, level: tango.Attribute) -> None:
        level.set_value(self._level)

    @command
    def Step(self) -> None:
        self._level += 1
        for number in range(4):
            self.push_change_event(f"level{number}", self._level)

    @command(dtype_in=float, doc_in="Seconds for which the device answers nothing")
    def Hang(self, seconds: float) -> None:
        time.sleep(seconds)


class OneByOne(Device):
    """Fails each read of several attributes as a whole."""

    @attribute(dtype=int)
    def one(self) -> int:
        return 1

    @attribute(dtype=int)
    def two(self) -> int:
        return 2

    @attribute(dtype=int)
    def failing(self) -> int:
        raise RuntimeError("broken")

    def read_attr_hardware(self, numbers: "list[int]") -> None:
        if len(numbers) > 1:
            tango.Except.throw_exception("OneByOne_Refused", "expected one attribute", "read_attr_hardware")


# Ends a line or a header where it is let through, clears a terminal, and is neither ASCII nor UTF-8.
RUDE = 'x\r\nX-Injected: 1\x1b[2J"\xe9\x9b'


class Rude(Device):
    """All its texts are RUDE."""

    def init_device(self) -> None:
        super().init_device()
        self.set_status(RUDE)
        self.add_attribute(tango.Attr(RUDE, tango.CmdArgType.DevDouble), self._read_one)

    def _read_one(self, read: tango.Attribute) -> None:
        read.set_value(1.0)

    @attribute(dtype=str, label=RUDE, unit=RUDE, doc=RUDE, format=RUDE, display_unit=RUDE, standard_unit=RUDE)
    def text(self) -> str:
        return RUDE

    @attribute(dtype=float)
    def fails(self) -> float:
        tango.Except.throw_exception(RUDE, RUDE, RUDE)

    @command(dtype_out=str, doc_out=RUDE)
    def Fail(self) -> str:
        tango.Except.throw_exception(RUDE, RUDE, RUDE)


if __name__ == "__main__":
    run((Slow, Sender, Rude, Changing, Light, OneByOne), ["Slow", *sys.argv[1:]])
