"""`sys/tg_test/1`, with the interface of the C++ TangoTest."""

from typing import Any

import numpy as np
import tango
from tango import AttrDataFormat, CmdArgType, DevState, DispLevel
from tango.server import attribute, command

from mtango_gevent.demo.attributes import Keeping, by_name, kept, shown, swallowed
from mtango_gevent.demo.commands import echo
from mtango_gevent.demo.pipes import pipes
from mtango_gevent.demo.signals import Source, blank, constant, noise, random_integer, sine, whole

POINTS = 256
ROWS = COLUMNS = 251
SPECTRUM = {"dformat": AttrDataFormat.SPECTRUM, "max_dim_x": 4096}
IMAGE = {"dformat": AttrDataFormat.IMAGE, "max_dim_x": COLUMNS, "max_dim_y": ROWS}
ENUM = {"enum_labels": ["LABEL0", "LABEL1", "LABEL2"]}
BYTE = {"min_value": 0, "max_value": 255}
UNDESCRIBED = {"doc_in": "Uninitialised", "doc_out": "Uninitialised"}

TYPES: dict[str, tuple[CmdArgType, type]] = {
    "boolean": (CmdArgType.DevBoolean, bool),
    "double": (CmdArgType.DevDouble, np.float64),
    "float": (CmdArgType.DevFloat, np.float32),
    "long64": (CmdArgType.DevLong64, np.int64),
    "long": (CmdArgType.DevLong, np.int32),
    "short": (CmdArgType.DevShort, np.int16),
    "string": (CmdArgType.DevString, str),
    "uchar": (CmdArgType.DevUChar, np.uint8),
    "ulong64": (CmdArgType.DevULong64, np.uint64),
    "ulong": (CmdArgType.DevULong, np.uint32),
    "ushort": (CmdArgType.DevUShort, np.uint16),
}
"""The prefix of the attributes' names -> the type of an element in Tango and in NumPy."""

READ_ONLY_ARRAYS = {"long64", "ulong64", "ulong"}
"""The types with read-only spectra and images."""

SCALARS: dict[str, Source] = {
    "boolean": constant(True),
    "double": sine(0, 256, seconds=60),
    "float": constant(0.0),
    "long64": random_integer(),
    "long": whole(sine(128, 127, seconds=60)),
    "short": whole(sine(128, 127, seconds=90)),
    "string": constant("Default string"),
    "uchar": constant(0),
    "ulong64": random_integer(),
    "ulong": random_integer(),
    "ushort": constant(0),
}
"""The value of each `<type>_scalar` before the first write."""

PAIRS = ("double", "long", "short")
"""The types with a `<type>_scalar_w` to write and a `<type>_scalar_rww` to read.

In the C++ device the second is READ_WITH_WRITE and names the first. Here it is READ: PyTango does not pass the name of
the associated attribute to the C++ library ("Associated attribute not defined").
"""

DIFFERENT: dict[str, dict[str, Any]] = {
    "boolean_scalar": {"doc": "A boolean scalar attribute"},
    "float_scalar": {"doc": "A float attribute"},
    "float_spectrum": {"doc": "A float spectrum attribute"},
    "uchar_spectrum": {"doc": "An unsigned char spectrum attribute", **BYTE},
    "ushort_spectrum": {"doc": "An unsigned short spectrum attribute"},
    "string_spectrum": {"max_dim_x": 256},
    "string_spectrum_ro": {"max_dim_x": 256},
    "string_image": {"max_dim_x": 256, "max_dim_y": 256},
    "string_image_ro": {"max_dim_x": 256, "max_dim_y": 256},
    "boolean_image_ro": {"label": "boolean_image"},
    "float_image_ro": {"label": "float_image", "doc": "A float image attribute", **BYTE},
    "uchar_image_ro": {"label": "uchar_image", "doc": "An unsigned char image attribute", **BYTE},
    "ushort_image_ro": {"doc": "An unsigned short image attribute", **BYTE, "max_dim_x": 8192, "max_dim_y": 8192},
}
"""Attributes of the C++ device with descriptions, labels, limits or sizes of their own."""

ECHOES: dict[str, tuple[str, str]] = {
    "DevBoolean": ("Any boolean value", "Echo of the argin value"),
    "DevDouble": ("Any DevDouble value", "Echo of the argin value"),
    "DevFloat": ("Any DevFloat value", "Echo of the argin value"),
    "DevLong": ("Any DevLong value", "Echo of the argin value"),
    "DevLong64": ("Any DevLong64 value", "Echo of the argin value"),
    "DevShort": ("Any DevShort value", "Echo of the argin value"),
    "DevString": ("-", "-"),
    "DevULong": ("Any DevULong", "Echo of the argin value"),
    "DevULong64": ("Any DevULong64 value", "Echo of the argin value"),
    "DevUShort": ("Any DevUShort value", "Echo of the argin value"),
    "DevVarCharArray": ("-", "-"),
    "DevVarDoubleArray": ("-", "-"),
    "DevVarDoubleStringArray": ("-", "-"),
    "DevVarFloatArray": ("-", "-"),
    "DevVarLong64Array": ("Uninitialised", "Uninitialised"),
    "DevVarLongArray": ("-", "-"),
    "DevVarLongStringArray": ("-", "-"),
    "DevVarShortArray": ("-", "-"),
    "DevVarStringArray": ("-", "-"),
    "DevVarULong64Array": ("Uninitialised", "Uninitialised"),
    "DevVarULongArray": ("-", "-"),
    "DevVarUShortArray": ("-", "-"),
}
"""Commands whose output is their argument: name, which is also the type -> descriptions of argument and output."""

PIPE = [
    {"name": "FirstDE", "value": "The string", "dtype": CmdArgType.DevString},
    {"name": "SecondDE", "value": 666, "dtype": CmdArgType.DevLong},
    {"name": "ThirdDE", "value": 12, "dtype": CmdArgType.DevShort},
]


def scalars() -> list[attribute]:
    made = []
    for name, source in SCALARS.items():
        dtype, _ = TYPES[name]
        made.append(kept(f"{name}_scalar", dtype, source, **DIFFERENT.get(f"{name}_scalar", {})))
        if name in PAIRS:
            made += [swallowed(f"{name}_scalar_w", dtype), shown(f"{name}_scalar_rww", dtype, source)]
    return made


def arrays(kind: str, shape: tuple[int, ...], config: dict[str, Any]) -> list[attribute]:
    """Return `<type>_<kind>_ro` with noise for each type, and `<type>_<kind>` for the types that can be written."""
    made = []
    for name, (dtype, element) in TYPES.items():
        plain, read_only = f"{name}_{kind}", f"{name}_{kind}_ro"
        made.append(shown(read_only, dtype, noise(element, *shape), **config | DIFFERENT.get(read_only, {})))
        if name not in READ_ONLY_ARRAYS:
            made.append(kept(plain, dtype, blank(element, *shape), **config | DIFFERENT.get(plain, {})))
    return made


class TangoTest(Keeping):
    """A device to test generic clients: attributes and commands of all types."""

    DEVICE_CLASS_INITIAL_STATE = DevState.RUNNING

    vars().update(by_name(scalars()))
    vars().update(by_name(arrays("spectrum", (POINTS,), SPECTRUM)))
    vars().update(by_name(arrays("image", (ROWS, COLUMNS), IMAGE)))
    vars().update({name: echo(name, CmdArgType.names[name], *docs) for name, docs in ECHOES.items()})
    vars().update(pipes(string_long_short_ro={"fget": lambda device: ("", PIPE), "doc": "Pipe example"}))

    enum_scalar = kept("enum_scalar", CmdArgType.DevEnum, constant(0), **ENUM)
    enum_scalar_ro = shown("enum_scalar_ro", CmdArgType.DevEnum, random_integer(3), **ENUM)
    enum_spectrum = kept("enum_spectrum", CmdArgType.DevEnum, blank(np.int16, POINTS), **SPECTRUM, **ENUM)
    enum_spectrum_ro = shown("enum_spectrum_ro", CmdArgType.DevEnum, constant([0, 1, 2]), **SPECTRUM, **ENUM)

    short_scalar_ro = shown("short_scalar_ro", CmdArgType.DevShort, random_integer())
    no_value = shown("no_value", CmdArgType.DevLong, constant(None))
    ampli = swallowed("ampli", CmdArgType.DevDouble)

    @attribute(dtype=CmdArgType.DevDouble, **SPECTRUM)
    def wave(self) -> np.ndarray:
        return self.written.get("ampli", 1.0) * np.sin(np.arange(POINTS) * 2 * np.pi / POINTS)

    @attribute(dtype=CmdArgType.DevLong)
    def throw_exception(self) -> int:
        tango.Except.throw_exception("exception test", "here is the exception you requested", "TangoTest::read")

    @command(doc_in="N/A", doc_out="N/A")
    def DevVoid(self) -> None:
        pass

    @command(**UNDESCRIBED)
    def SwitchStates(self) -> None:
        self.set_state(DevState.FAULT if self.get_state() == DevState.RUNNING else DevState.RUNNING)

    @command(**UNDESCRIBED, display_level=DispLevel.EXPERT)
    def DumpExecutionState(self) -> None:
        self.info_stream(f"written so far: {sorted(self.written)}")

    @command(**UNDESCRIBED, display_level=DispLevel.EXPERT)
    def CrashFromDevelopperThread(self) -> None:
        self._refuse_to_crash("CrashFromDevelopperThread")

    @command(**UNDESCRIBED, display_level=DispLevel.EXPERT)
    def CrashFromOmniThread(self) -> None:
        self._refuse_to_crash("CrashFromOmniThread")

    def _refuse_to_crash(self, name: str) -> None:
        tango.Except.throw_exception("Demo_DoesNotCrash", "The device of the demo does not crash", f"TangoTest::{name}")
