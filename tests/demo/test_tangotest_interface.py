"""The demo's TangoTest against the real one in C++, where that is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import tango

from mtango_gevent.demo.embedded import EmbeddedTango

CPP_SERVER = shutil.which("TangoTest", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/lib/tango"]))
READ_ELSEWHERE = {"double_scalar_rww", "long_scalar_rww", "short_scalar_rww"}
"""READ_WITH_WRITE in C++, which PyTango cannot serve."""


@pytest.fixture(scope="session")
def cpp(embedded: EmbeddedTango, device: Callable[[str], tango.DeviceProxy]) -> tango.DeviceProxy:
    if CPP_SERVER is None:
        pytest.skip("the C++ TangoTest is not installed (Debian: tango-test)")
    embedded.add_server([CPP_SERVER, "interface"], "TangoTest/interface", {"test/interface/1": "TangoTest"})
    return device("test/interface/1")


def described(config: Any, *fields: str) -> dict[str, str]:
    return {field: str(getattr(config, field)) for field in fields}


def attributes(proxy: tango.DeviceProxy) -> dict[str, dict[str, str]]:
    fields = [
        *("data_type", "data_format", "writable", "writable_attr_name", "max_dim_x", "max_dim_y", "label", "unit"),
        *("standard_unit", "display_unit", "format", "description", "min_value", "max_value", "min_alarm", "max_alarm"),
        *("disp_level", "memorized"),
    ]
    return {config.name: described(config, *fields) for config in proxy.attribute_list_query_ex()}


def commands(proxy: tango.DeviceProxy) -> dict[str, dict[str, str]]:
    fields = ["in_type", "out_type", "in_type_desc", "out_type_desc", "disp_level"]
    return {info.cmd_name: described(info, *fields) for info in proxy.command_list_query()}


def test_attributes_are_those_of_the_cpp_device(cpp: tango.DeviceProxy, tangotest: tango.DeviceProxy) -> None:
    wanted, found = attributes(cpp), attributes(tangotest)
    for name in READ_ELSEWHERE:
        assert wanted[name]["writable"] == "READ_WITH_WRITE"
        wanted[name] |= {"writable": "READ", "writable_attr_name": "None"}
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.slow
def test_there_are_only_enumerations_besides(cpp: tango.DeviceProxy, tangotest: tango.DeviceProxy) -> None:
    besides = {name for name in attributes(tangotest).keys() - attributes(cpp).keys() if not name.startswith("enum_")}
    assert besides == set()


def test_commands_are_those_of_the_cpp_device(cpp: tango.DeviceProxy, tangotest: tango.DeviceProxy) -> None:
    assert commands(tangotest) == commands(cpp)


def test_values_have_the_types_and_sizes_of_the_cpp_device(
    cpp: tango.DeviceProxy, tangotest: tango.DeviceProxy
) -> None:
    def shapes(proxy: tango.DeviceProxy, names: list[str]) -> dict[str, tuple[str, int, int, str]]:
        values = zip(names, proxy.read_attributes(names), strict=True)
        return {name: (str(value.type), value.dim_x, value.dim_y, type(value.value).__name__) for name, value in values}

    names = sorted(attributes(cpp).keys() - {"no_value", "throw_exception"})
    assert shapes(tangotest, names) == shapes(cpp, names)


@pytest.mark.parametrize("name", ["no_value", "throw_exception"])
def test_failures_have_the_reasons_of_the_cpp_device(
    cpp: tango.DeviceProxy, tangotest: tango.DeviceProxy, name: str
) -> None:
    reasons = []
    for proxy in (cpp, tangotest):
        with pytest.raises(tango.DevFailed) as failure:
            proxy.read_attribute(name)
        reasons.append([entry.reason for entry in failure.value.args])
    assert reasons[0] == reasons[1]


@pytest.mark.skipif(not hasattr(tango.DeviceProxy, "read_pipe"), reason="this PyTango has no pipes")
def test_the_pipe_is_that_of_the_cpp_device(cpp: tango.DeviceProxy, tangotest: tango.DeviceProxy) -> None:
    name = "string_long_short_ro"
    assert list(tangotest.get_pipe_list()) == [name]
    assert tangotest.read_pipe(name) == cpp.read_pipe(name)
    wanted, found = cpp.get_pipe_config(name), tangotest.get_pipe_config(name)
    fields = ["label", "description", "writable", "disp_level"]
    assert described(found, *fields) == described(wanted, *fields)
