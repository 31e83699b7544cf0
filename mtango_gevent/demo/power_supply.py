"""A magnet's power supply, `demo/powersupply/1`: a current that ramps, an interlock that trips."""

from enum import IntEnum

import numpy as np
import tango
from tango import DevState
from tango.server import attribute, command, device_property

from mtango_gevent.demo.reporting import Reporting
from mtango_gevent.demo.signals import Ramp

OVERHEATS_ABOVE = 450.0  # A


class Regulation(IntEnum):
    CONSTANT_CURRENT = 0
    CONSTANT_VOLTAGE = 1
    PULSED = 2


class PowerSupply(Reporting):
    """The power supply of a quadrupole magnet. More than 450 A trips its interlock; Reset clears it."""

    resistance = device_property(dtype=float, default_value=0.12, doc="Of the magnet and its cables, ohm")
    ramp_rate = device_property(dtype=float, default_value=50.0, doc="How fast the current changes, A/s")

    def init_device(self) -> None:
        super().init_device()
        self._random = np.random.default_rng()
        self._regulation = Regulation.CONSTANT_CURRENT
        self._wanted = 0.0
        self._output = Ramp(0.0, self.ramp_rate)
        self.get_device_attr().get_w_attr_by_name("current").set_write_value(0.0)
        self.report(DevState.OFF, "Off")

    def always_executed_hook(self) -> None:
        """Trip the interlock when the current is too high."""
        if self._output.value > OVERHEATS_ABOVE:
            self._output.set(0.0)
            self.report(DevState.FAULT, "Interlock: magnet too hot")

    @attribute(
        label="Current",
        doc="Current in the magnet; written: the set point, to which it ramps while the supply is on",
        unit="A",
        display_unit="1",
        standard_unit="1",
        format="%7.3f",
        min_value=0,
        max_value=500,
        max_alarm=440,
        max_warning=400,
        abs_change=0.1,
        archive_abs_change=1,
        archive_period=10000,
        polling_period=500,
    )
    def current(self) -> float:
        return self._output.value

    @current.write
    def current(self, current: float) -> None:
        self._wanted = current
        if self.get_state() == DevState.ON:
            self._output.go(current)

    @attribute(
        label="Voltage",
        doc="Voltage at the magnet",
        unit="V",
        format="%6.3f",
        max_alarm=53,
        max_warning=48,
        abs_change=0.05,
        polling_period=500,
    )
    def voltage(self) -> float:
        return self._output.value * self.resistance

    @attribute(
        label="Ripple",
        doc="Residual ripple of the current, peak to peak",
        unit="%",
        format="%5.3f",
        abs_change=0.01,
        max_warning=0.25,
        polling_period=1000,
    )
    def ripple(self) -> float:
        return float(abs(self._random.normal(0.05, 0.02))) if self._output.value else 0.0

    @attribute(label="Regulation", doc="What the supply holds steady", polling_period=1000)
    def regulation_mode(self) -> Regulation:
        return self._regulation

    @regulation_mode.write
    def regulation_mode(self, mode: Regulation) -> None:
        self._regulation = Regulation(mode)

    @command(doc_in="Nothing", doc_out="Nothing")
    def On(self) -> None:
        if self.get_state() == DevState.FAULT:
            tango.Except.throw_exception(
                "PowerSupply_Interlock", "The interlock has tripped: Reset it", "PowerSupply::On"
            )
        self._output.go(self._wanted)
        self.report(DevState.ON, "On")

    @command(doc_in="Nothing", doc_out="Nothing")
    def Off(self) -> None:
        self._output.set(0.0)
        self.report(DevState.OFF, "Off")

    @command(doc_in="Nothing", doc_out="Nothing")
    def Reset(self) -> None:
        if self.get_state() == DevState.FAULT:
            self.report(DevState.OFF, "Off")
