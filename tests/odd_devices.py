"""A device server for the tests: names, texts and items that are unusual, and valid in Tango."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import tango
from tango.server import Device, attribute, command, run

ODD_NAMES = [
    *("Dynamic Attribute 1", "Humidity%", "temp:1", "a#b", "x?", "*star", 'quo"te', "it's", "back\\slash", "a->b"),
    *("a,b", "a&b=c", "a+b", "tango:", "#dbase=no", " lead", "trail ", "tab\tx", "é", "É", "Ω", "100 %", "%41", "[a]"),
]
MARKUP = '</script><script>window.hurt = 1</script><img src="x" onerror="window.hurt = 1">'
RIGHT_TO_LEFT = "\u202eabc \u05d0\u05d1"
LONG = "x" * 1_000_000
UTF_8 = "5 µm – Ω"  # noqa: RUF001
LATIN_1 = "5 µm"


def _as_bytes(text: str) -> str:
    """What PyTango, which writes values as Latin-1, has to be given so that the text is sent as UTF-8."""
    return text.encode("utf-8").decode("latin-1")


def _named(name: str, output: str) -> Callable[..., Any]:
    """A command of that name, which no method could have."""

    def run_command(_self: Device) -> str:
        return output

    run_command.__name__ = name
    return command(dtype_out=str)(run_command)


class Odd(Device):
    """Has attributes and commands with odd names."""

    def init_device(self) -> None:
        super().init_device()
        self.set_state(tango.DevState.ON)
        self._values = dict.fromkeys(ODD_NAMES, 1.0)
        for name in ODD_NAMES:
            kind = tango.Attr(name, tango.CmdArgType.DevDouble, tango.AttrWriteType.READ_WRITE)
            self.add_attribute(kind, self._read_odd, self._write_odd)
        self.set_change_event("temp:1", True, False)

    def _read_odd(self, read: tango.Attribute) -> None:
        read.set_value(self._values[read.get_name()])

    def _write_odd(self, written: tango.WAttribute) -> None:
        self._values[written.get_name()] = written.get_write_value()

    @attribute(dtype=float)
    def Value(self) -> float:  # noqa: N802
        return self._values.setdefault("Value", 1.0)

    @Value.write
    def Value(self, value: float) -> None:  # noqa: N802
        self._values["Value"] = value

    @attribute(dtype=float)
    def fails(self) -> float:
        tango.Except.throw_exception("Odd_Läuft", "läuft, 5 µm", "Odd.läuft")

    @command(dtype_in=str, dtype_out=str)
    def Str(self, text: str) -> str:  # noqa: N802
        return text

    @command(dtype_in=(float,), dtype_out=(float,))
    def Numbers(self, numbers: "list[float]") -> "list[float]":  # noqa: N802
        return numbers

    @command(dtype_in=float)
    def Rest(self, seconds: float) -> None:  # noqa: N802
        time.sleep(seconds)

    locals()["Do it 1%"] = _named("Do it 1%", "done")
    locals()["#dbase=no"] = _named("#dbase=no", "done")


class Texts(Device):
    """Sends texts as UTF-8, and some as Latin-1; what is written is sent back as it came."""

    def init_device(self) -> None:
        super().init_device()
        self.set_state(tango.DevState.RUNNING)
        self.set_status("läuft, 5 µm")
        self._choice = 0
        self._text = _as_bytes(UTF_8)
        self._texts = [_as_bytes(UTF_8), LATIN_1]
        self._format = _as_bytes("µ")

    @attribute(dtype=str)
    def text(self) -> str:
        return self._text

    @text.write
    def text(self, text: str) -> None:
        self._text = text

    @attribute(dtype=(str,), max_dim_x=10)
    def texts(self) -> "list[str]":
        return self._texts

    @texts.write
    def texts(self, texts: "list[str]") -> None:
        self._texts = texts

    @attribute(dtype=((str,),), max_dim_x=10, max_dim_y=10)
    def rows(self) -> "list[list[str]]":
        return [[_as_bytes(UTF_8), LATIN_1]]

    @attribute(dtype=tango.CmdArgType.DevEncoded)
    def encoded(self) -> "tuple[str, bytes]":
        return self._format, b"\xff\x00"

    @encoded.write
    def encoded(self, encoded: "tuple[str, bytes]") -> None:
        self._format = encoded[0]

    @attribute(dtype=tango.CmdArgType.DevEnum, enum_labels=["on", "off"])
    def choice(self) -> int:
        return self._choice

    @choice.write
    def choice(self, number: int) -> None:
        self._choice = number

    @attribute(dtype=float)
    def fails(self) -> float:
        tango.Except.throw_exception("Texts_Läuft", "läuft, 5 µm", "Texts.läuft")

    @command(dtype_in=str, dtype_out=str)
    def Echo(self, text: str) -> str:  # noqa: N802
        return text

    @command(dtype_in=(str,), dtype_out=(str,))
    def EchoMany(self, texts: "list[str]") -> "list[str]":  # noqa: N802
        return texts

    @command(dtype_in=tango.CmdArgType.DevVarLongStringArray, dtype_out=tango.CmdArgType.DevVarLongStringArray)
    def EchoBoth(self, both: Any) -> Any:  # noqa: N802
        return both

    @command(dtype_in=tango.CmdArgType.DevEncoded, dtype_out=tango.CmdArgType.DevEncoded)
    def EchoEncoded(self, encoded: Any) -> Any:  # noqa: N802
        return encoded


class NoStatus(Device):
    """Has a state, and no status."""

    def dev_state(self) -> tango.DevState:
        return tango.DevState.MOVING

    def dev_status(self) -> str:
        tango.Except.throw_exception("NoStatus_Läuft", "läuft nicht, 5 µm", "NoStatus.dev_status")


class Markup(Device):
    """Has texts that a page must only show: markup, right-to-left marks, a megabyte; and items for experts."""

    def init_device(self) -> None:
        super().init_device()
        self.set_state(tango.DevState.ALARM)
        self.set_status(f"{MARKUP}\n" * 4)
        self._written: dict[str, Any] = {"text": MARKUP, "trim": 1.0, "whole": 2**63 - 1}

    @attribute(dtype=str, label=f"<b>Text</b> {RIGHT_TO_LEFT}", doc=MARKUP, unit="<i>")
    def text(self) -> str:
        return self._written["text"]

    @text.write
    def text(self, text: str) -> None:
        self._written["text"] = text

    @attribute(dtype=str, label="Long")
    def long(self) -> str:
        return LONG

    @attribute(dtype=(str,), max_dim_x=10, label="Texts")
    def texts(self) -> "list[str]":
        return [MARKUP, LATIN_1]

    @attribute(dtype=tango.CmdArgType.DevEnum, enum_labels=["<b>one</b>", "two"], label="Choice")
    def choice(self) -> int:
        return 0

    @attribute(dtype=int, label="Whole")
    def whole(self) -> int:
        return self._written["whole"]

    @whole.write
    def whole(self, number: int) -> None:
        self._written["whole"] = number

    @attribute(dtype=float, label="Trim", display_level=tango.DispLevel.EXPERT)
    def trim(self) -> float:
        return self._written["trim"]

    @trim.write
    def trim(self, number: float) -> None:
        self._written["trim"] = number

    @attribute(dtype=float, label="Fails")
    def fails(self) -> float:
        tango.Except.throw_exception("Markup_Fails", MARKUP, MARKUP)

    @command(dtype_in=str, doc_in=MARKUP, dtype_out=str, doc_out=MARKUP)
    def Echo(self, text: str) -> str:  # noqa: N802
        return text

    @command(dtype_in=float)
    def Wait(self, seconds: float) -> None:  # noqa: N802
        time.sleep(seconds)

    @command(display_level=tango.DispLevel.EXPERT)
    def Calibrate(self) -> None:  # noqa: N802
        self._written["trim"] = 0.0


class Traps(Device):
    """Has what JavaScript does not take: formats with too many digits, labels that name methods, odd and bad images."""

    def init_device(self) -> None:
        super().init_device()
        self.set_state(tango.DevState.ON)

    @attribute(dtype=float, format="%.200f")
    def many_digits(self) -> float:
        return 1.5

    @attribute(dtype=float, format="%0999999999d")
    def wide(self) -> float:
        return 1.5

    @attribute(dtype=(float,), max_dim_x=4, format="%x")
    def not_hexadecimal(self) -> "list[float]":
        return [math.nan, math.inf, -1.5, 1e300]

    @attribute(dtype=tango.CmdArgType.DevEnum, enum_labels=["length", "fill"])
    def choice(self) -> int:
        return 1

    @attribute(dtype=tango.CmdArgType.DevLong64, format="%d")
    def large(self) -> int:
        return 2**63 - 1

    @attribute(dtype=str)
    def long(self) -> str:
        return LONG

    @attribute(dtype=((float,),), max_dim_x=100, max_dim_y=100, format="%.2f")
    def hot_pixel(self) -> "list[list[float]]":
        rows = [[column / 99 for column in range(100)] for _ in range(100)]
        rows[50][50] = 1e9
        return rows

    @attribute(dtype=tango.CmdArgType.DevEncoded)
    def grey_16(self) -> "tuple[str, bytes]":
        return "GRAY16", b"\x00\x03\x00\x02" + b"".join(value.to_bytes(2, "big") for value in (1, 2, 3, 4, 5, 60000))

    @attribute(dtype=tango.CmdArgType.DevEncoded)
    def jpeg(self) -> tango.EncodedAttribute:
        self._encoded = tango.EncodedAttribute()  # has to stay until the value is sent
        self._encoded.encode_jpeg_gray8([bytes(8)] * 8)
        return self._encoded

    @attribute(dtype=tango.CmdArgType.DevEncoded)
    def short_grey(self) -> "tuple[str, bytes]":
        return "GRAY8", b"\xff\xff\xff\xff\x00"

    @attribute(dtype=tango.CmdArgType.DevEncoded)
    def short_colours(self) -> "tuple[str, bytes]":
        return "RGB24", b"\x40\x00\x40\x00\x00"

    @attribute(dtype=tango.CmdArgType.DevEncoded)
    def no_head(self) -> "tuple[str, bytes]":
        return "GRAY8", b"\x00"

    @attribute(dtype=tango.CmdArgType.DevEncoded)
    def no_jpeg(self) -> "tuple[str, bytes]":
        return "JPEG_RGB", b"no JPEG"


if __name__ == "__main__":
    run((Odd, Texts, NoStatus, Markup, Traps), ["Odd", *sys.argv[1:]])
