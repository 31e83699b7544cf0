"""The device with one of everything: nothing gets lost on the way to a Tango client and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tango
from tango import AttrQuality, DevState

HAVE_PIPES = hasattr(tango.CmdArgType, "DevPipeBlob")
TYPES = [
    *("boolean", "uchar", "short", "ushort", "long", "ulong", "long64", "ulong64", "float", "double"),
    *("string", "state", "enum"),
]
KEPT = [f"{name}_{kind}" for name in TYPES for kind in ("scalar", "spectrum", "image")] + ["encoded_scalar"]

ARGUMENTS = {
    "DevBoolean": True,
    "DevShort": -(2**15),
    "DevUShort": 2**16 - 1,
    "DevLong": -(2**31),
    "DevULong": 2**32 - 1,
    "DevLong64": -(2**63),
    "DevULong64": 2**64 - 1,
    "DevFloat": 0.5,
    "DevDouble": 0.1,
    "DevString": 'é, "quoted"\n',
    "DevState": DevState.MOVING,
    "DevEnum": 1,
    "DevEncoded": ("format", b"\x00\xff"),
    "DevVarBooleanArray": [True, False],
    "DevVarCharArray": [0, 255],
    "DevVarShortArray": [-(2**15), 2**15 - 1],
    "DevVarUShortArray": [0, 2**16 - 1],
    "DevVarLongArray": [-(2**31), 2**31 - 1],
    "DevVarULongArray": [0, 2**32 - 1],
    "DevVarLong64Array": [-(2**63), 2**63 - 1],
    "DevVarULong64Array": [0, 2**64 - 1],
    "DevVarFloatArray": [0.5, math.inf],
    "DevVarDoubleArray": [0.1, math.inf],
    "DevVarStringArray": ["", "é"],
    "DevVarLongStringArray": [[1, 2], ["a", "b"]],
    "DevVarDoubleStringArray": [[0.1], ["a", "b"]],
}


def plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [plain(each) for each in value] if isinstance(value, list) else value


def writable(read: tango.DeviceAttribute) -> object:
    """The value of an attribute as it can be written: PyTango reads arrays of states as numbers."""
    if read.type == tango.CmdArgType.DevState and isinstance(read.value, np.ndarray):
        return np.vectorize(lambda number: DevState.values[number], otypes=[object])(read.value).tolist()
    return read.value


@pytest.mark.parametrize("name", KEPT)
def test_every_type_in_every_format_keeps_what_is_written(types: tango.DeviceProxy, name: str) -> None:
    first = types.read_attribute(name)
    assert types.get_attribute_config(name).writable == tango.AttrWriteType.READ_WRITE
    types.write_attribute(name, writable(first))
    again = types.read_attribute(name)
    assert repr(again.value) == repr(first.value)
    assert repr(again.w_value) == repr(first.value)


def test_the_first_values_reach_the_ends_of_their_types(types: tango.DeviceProxy) -> None:
    assert types.long64_scalar == -(2**63)
    assert types.ulong64_scalar == 2**64 - 1
    assert 2**63 - 1 in types.long64_spectrum.tolist()
    assert types.read_attribute("enum_scalar").value == 1
    assert list(types.get_attribute_config("enum_scalar").enum_labels)[2] == "VERY HIGH"


def test_numbers_may_be_none(types: tango.DeviceProxy) -> None:
    assert math.isnan(types.nan_scalar)
    assert types.infinity_scalar == math.inf
    assert repr(types.nonfinite_spectrum.tolist()) == "[nan, inf, -inf, 1.5]"
    assert repr(types.nonfinite_image.tolist()) == "[[nan, inf], [-inf, 1.5]]"


def test_values_may_be_empty_or_awkward(types: tango.DeviceProxy) -> None:
    assert types.empty_spectrum.tolist() == []
    assert types.empty_string == ""
    assert types.unicode_string == 'Ångström: 5 µm, "quoted", l\'été;\nsecond line'


@pytest.mark.parametrize("quality", AttrQuality.values.values(), ids=str)
def test_there_is_a_value_of_every_quality(types: tango.DeviceProxy, quality: AttrQuality) -> None:
    read = types.read_attribute(f"quality_{quality.name.removeprefix('ATTR_').lower()}")
    assert read.quality == quality
    assert read.value == (None if quality == AttrQuality.ATTR_INVALID else 1.5)


def test_alarms_leave_the_state_alone(types: tango.DeviceProxy) -> None:
    assert types.state() == DevState.ON


def test_a_value_is_memorized(types: tango.DeviceProxy) -> None:
    assert str(types.get_attribute_config("memorized_scalar").memorized) == "MEMORIZED_WRITE_INIT"
    types.memorized_scalar = 4.25
    types.Init()
    assert types.memorized_scalar == 4.25


def test_everything_is_configured(types: tango.DeviceProxy) -> None:
    config = types.get_attribute_config("limited_scalar")
    assert (config.label, config.unit, config.format) == ("Limited scalar", "mm", "%6.3f")
    assert (config.min_value, config.max_value, config.min_alarm) == ("-100", "100", "-90")
    assert (config.alarms.min_warning, config.alarms.delta_t) == ("-80", "1000")
    assert (config.events.ch_event.abs_change, config.events.arch_event.archive_period) == ("0.5", "5000")
    with pytest.raises(tango.DevFailed, match="API_WAttrOutsideLimit"):
        types.write_attribute("limited_scalar", 101)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_kind_of_argument_comes_back(types: tango.DeviceProxy, name: str) -> None:
    info = types.get_command_config(f"Echo{name}")
    assert str(info.in_type) == str(info.out_type) == name
    assert plain(types.command_inout(f"Echo{name}", ARGUMENTS[name])) == ARGUMENTS[name]


def test_there_is_no_other_echo(types: tango.DeviceProxy) -> None:
    echoes = {name.removeprefix("Echo") for name in types.get_command_list() if name.startswith("Echo")}
    assert echoes == ARGUMENTS.keys()


@pytest.mark.skipif(not HAVE_PIPES, reason="this PyTango has no pipes")
def test_the_pipe_has_blobs_in_blobs_and_can_be_written(types: tango.DeviceProxy) -> None:
    name, elements = types.read_pipe("blob")
    values = {element["name"]: element["value"] for element in elements}
    assert name == "blob"
    assert values["long64"] == -(2**63)
    inner, nested = values["nested"]
    assert inner == "inner"
    assert [element["name"] for element in nested] == ["number", "numbers", "deeper"]
    types.write_pipe("blob", ("changed", [{"name": "answer", "value": 42}]))
    name, elements = types.read_pipe("blob")
    assert (name, elements[0]["name"], elements[0]["value"]) == ("changed", "answer", 42)
