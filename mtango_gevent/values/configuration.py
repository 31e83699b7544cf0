"""Configurations of attributes: what PyTango's objects say, and how they are changed."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import tango
from tango import CmdArgType

from mtango_gevent.text import read_texts
from mtango_gevent.values.aliases import AttributeConfiguration

# Tango's kinds of memorized attributes, under the names of the REST API (contract: rc3, 2.6).
MEMORIZED = {
    "NOT_KNOWN": "UNKNOWN",
    "NONE": "NOT_MEMORIZED",
    "MEMORIZED": "MEMORIZED",
    "MEMORIZED_WRITE_INIT": "MEMORIZED_WRITE_INIT",
}


def enum_labels(info: AttributeConfiguration) -> list[str]:
    return read_texts(info, "enum_labels")


def is_enumeration(info: AttributeConfiguration) -> bool:
    return info.data_type == CmdArgType.DevEnum


def accepts_same_values(one: AttributeConfiguration, other: AttributeConfiguration) -> bool:
    """Return whether a value made for one configuration fits the other too."""
    return _shape(one) == _shape(other)


def _shape(info: AttributeConfiguration) -> tuple[object, ...]:
    return info.data_type, info.data_format, enum_labels(info)


def set_configuration(info: AttributeConfiguration, path: Sequence[str], value: str | list[str]) -> None:
    """Set the field at `path`, such as ("alarms", "min_alarm")."""
    holder = functools.reduce(getattr, path[:-1], info)
    if isinstance(value, list):  # PyTango 10.0 takes its own kind of list only
        vector = tango.StdStringVector()
        for text in value:
            vector.append(text)
        value = vector
    setattr(holder, path[-1], value)
