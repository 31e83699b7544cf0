"""One of each: `demo/types/1` has all types, formats, qualities, limits, commands, a pipe, and difficult values."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tango import AttrDataFormat, AttrQuality, CmdArgType, DevState
from tango.server import attribute

from mtango_gevent.demo.attributes import Keeping, by_name, kept, shown
from mtango_gevent.demo.commands import echo
from mtango_gevent.demo.pipes import pipes
from mtango_gevent.demo.signals import constant, sine

NAN, INFINITY = float("nan"), float("inf")
LATIN = 'Ångström: 5 µm, "quoted", l\'été;\nsecond line'


@dataclass(frozen=True)
class Kind:
    """A type with its first values: the last is the scalar, all are the spectrum and each row of the image."""

    dtype: CmdArgType
    values: list[Any]
    labels: tuple[str, ...] = ()


KINDS = {
    "boolean": Kind(CmdArgType.DevBoolean, [False, True]),
    "uchar": Kind(CmdArgType.DevUChar, [0, 1, 2**8 - 1]),
    "short": Kind(CmdArgType.DevShort, [-(2**15), -1, 0, 2**15 - 1]),
    "ushort": Kind(CmdArgType.DevUShort, [0, 1, 2**16 - 1]),
    "long": Kind(CmdArgType.DevLong, [-(2**31), -1, 0, 2**31 - 1]),
    "ulong": Kind(CmdArgType.DevULong, [0, 1, 2**32 - 1]),
    "long64": Kind(CmdArgType.DevLong64, [2**63 - 1, 2**53 + 1, 0, -(2**63)]),
    "ulong64": Kind(CmdArgType.DevULong64, [0, 2**53 + 1, 2**63, 2**64 - 1]),
    "float": Kind(CmdArgType.DevFloat, [0.0, -1.5, 1e-38, 0.1]),
    "double": Kind(CmdArgType.DevDouble, [0.0, -1.5, 5e-324, 1.7976931348623157e308, 0.1]),
    "string": Kind(CmdArgType.DevString, ["", "plain", LATIN]),
    "state": Kind(CmdArgType.DevState, [DevState.ON, DevState.OFF, DevState.UNKNOWN, DevState.MOVING]),
    "enum": Kind(CmdArgType.DevEnum, [0, 2, 1], labels=("LOW", "MIDDLE", "VERY HIGH")),
}

IMAGE_ROWS = 2
SPECTRUM = {"dformat": AttrDataFormat.SPECTRUM, "max_dim_x": 4096}
IMAGE = {"dformat": AttrDataFormat.IMAGE, "max_dim_x": 1024, "max_dim_y": 1024}

ECHOES = [
    *("DevBoolean", "DevShort", "DevUShort", "DevLong", "DevULong", "DevLong64", "DevULong64", "DevFloat", "DevDouble"),
    *("DevString", "DevState", "DevEnum", "DevEncoded"),
    *("DevVarBooleanArray", "DevVarCharArray", "DevVarShortArray", "DevVarUShortArray", "DevVarLongArray"),
    *("DevVarULongArray", "DevVarLong64Array", "DevVarULong64Array", "DevVarFloatArray", "DevVarDoubleArray"),
    *("DevVarStringArray", "DevVarLongStringArray", "DevVarDoubleStringArray"),
]
"""The types with a command `Echo<type>`: all that PyTango can serve as an argument and an output.

DevUChar, DevVarStateArray and DevVarEncodedArray do not come back as they were sent; PyTango refuses ConstDevString.
"""

ODD: dict[str, tuple[CmdArgType, Any, dict[str, Any]]] = {
    "nan_scalar": (CmdArgType.DevDouble, NAN, {}),
    "infinity_scalar": (CmdArgType.DevDouble, INFINITY, {}),
    "nonfinite_spectrum": (CmdArgType.DevDouble, [NAN, INFINITY, -INFINITY, 1.5], SPECTRUM),
    "nonfinite_image": (CmdArgType.DevDouble, [[NAN, INFINITY], [-INFINITY, 1.5]], IMAGE),
    "empty_spectrum": (CmdArgType.DevDouble, [], SPECTRUM),
    "empty_string": (CmdArgType.DevString, "", {}),
    "unicode_string": (CmdArgType.DevString, LATIN, {}),
}
"""Values that are difficult in JSON; read-only."""

LIMITS = {
    "label": "Limited scalar",
    "doc": "Everything that can be configured is configured",
    "unit": "mm",
    "standard_unit": "0.001",
    "display_unit": "1",
    "format": "%6.3f",
    "min_value": -100,
    "max_value": 100,
    "min_alarm": -90,
    "max_alarm": 90,
    "min_warning": -80,
    "max_warning": 80,
    "delta_val": 200,
    "delta_t": 1000,
    "abs_change": 0.5,
    "rel_change": 10,
    "period": 500,
    "archive_abs_change": 1,
    "archive_rel_change": 20,
    "archive_period": 5000,
    "polling_period": 1000,
}

BLOB = {
    "boolean": True,
    "long": 2**31 - 1,
    "long64": -(2**63),
    "double": 0.1,
    "string": 'plain, "quoted"',
    "state": DevState.MOVING,
    "booleans": [True, False],
    "longs": [1, 2, 3],
    "doubles": [1.5, NAN, INFINITY],
    "strings": ["one", "", "three"],
    "nested": ("inner", {"number": 1, "numbers": [1.5, 2.5], "deeper": ("innermost", {"string": "here"})}),
}
"""ASCII texts only: servers write Latin-1 into a pipe, and clients read UTF-8."""


def all_formats(name: str, kind: Kind) -> list[attribute]:
    """Return `<name>_scalar`, `<name>_spectrum` and `<name>_image`, which keep the values written."""
    config = {"enum_labels": list(kind.labels)} if kind.labels else {}
    return [
        kept(f"{name}_scalar", kind.dtype, constant(kind.values[-1]), **config),
        kept(f"{name}_spectrum", kind.dtype, constant(kind.values), **SPECTRUM, **config),
        kept(f"{name}_image", kind.dtype, constant([kind.values] * IMAGE_ROWS), **IMAGE, **config),
    ]


def with_quality(quality: AttrQuality) -> attribute:
    """Return `quality_<name>`, a number with this quality."""
    name = quality.name.removeprefix("ATTR_").lower()
    return shown(f"quality_{name}", CmdArgType.DevDouble, lambda: (1.5, time.time(), quality))


class Types(Keeping):
    """Attributes and commands of every type, and difficult values."""

    DEVICE_CLASS_INITIAL_STATE = DevState.ON

    vars().update(by_name(made for name, kind in KINDS.items() for made in all_formats(name, kind)))
    vars().update(by_name(with_quality(quality) for quality in AttrQuality.values.values()))
    vars().update(by_name(shown(name, kind, constant(value), **config) for name, (kind, value, config) in ODD.items()))
    vars().update({f"Echo{name}": echo(f"Echo{name}", CmdArgType.names[name]) for name in ECHOES})
    vars().update(
        pipes(
            blob={
                "fget": lambda device: device.written.get("blob", ("blob", BLOB)),
                "fset": lambda device, blob: device.written.update(blob=blob),
                "label": "Blob",
                "doc": "A blob with every type of element and a blob in a blob",
            }
        )
    )

    encoded_scalar = kept("encoded_scalar", CmdArgType.DevEncoded, constant(("BYTES", bytes(range(256)))))
    memorized_scalar = kept("memorized_scalar", CmdArgType.DevDouble, constant(0.0), memorized=True, hw_memorized=True)
    limited_scalar = kept("limited_scalar", CmdArgType.DevDouble, sine(0, 10, seconds=30), **LIMITS)

    def dev_state(self) -> DevState:
        return self.get_state()  # Tango would turn it into ALARM, as attributes are in alarm
