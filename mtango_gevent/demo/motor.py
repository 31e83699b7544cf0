"""A stepper motor, `demo/motor/1`: a position that travels to its set point between two limit switches."""

from tango import DevState
from tango.server import attribute, command, device_property

from mtango_gevent.demo.reporting import Reporting
from mtango_gevent.demo.signals import Ramp


class Motor(Reporting):
    """A stepper motor on a translation stage: write `position` to move, `Stop` to stop."""

    velocity_at_start = device_property(dtype=float, default_value=5.0, doc="Velocity after Init, mm/s")
    lower_switch = device_property(dtype=float, default_value=-45.0, doc="Where the lower limit switch is, mm")
    upper_switch = device_property(dtype=float, default_value=45.0, doc="Where the upper limit switch is, mm")
    steps_per_mm = device_property(dtype=float, default_value=2000.0, doc="Motor steps per millimetre")

    def init_device(self) -> None:
        super().init_device()
        self._axis = Ramp(0.0, self.velocity_at_start)
        attributes = self.get_device_attr()
        attributes.get_w_attr_by_name("position").set_write_value(0.0)
        attributes.get_w_attr_by_name("velocity").set_write_value(self.velocity_at_start)
        self.always_executed_hook()

    def always_executed_hook(self) -> None:
        """Stop at a limit switch and work out the state, before every request."""
        position = self._axis.value
        reached = min(max(position, self.lower_switch), self.upper_switch)
        if reached != position:
            self._axis.set(reached)
        switch = {self.lower_switch: "lower", self.upper_switch: "upper"}.get(reached)
        if self._axis.moving:
            self.report(DevState.MOVING, f"Moving to {self._axis.target:.4f} mm")
        elif switch:
            self.report(DevState.ALARM, f"On the {switch} limit switch")
        else:
            self.report(DevState.ON, "Standing still")

    @attribute(
        label="Position",
        doc="Where the stage is; written: where it goes",
        unit="mm",
        standard_unit="0.001",
        display_unit="1",
        format="%8.4f",
        min_value=-50,
        max_value=50,
        min_alarm=-44.5,
        max_alarm=44.5,
        min_warning=-40,
        max_warning=40,
        abs_change=0.01,
        archive_abs_change=0.1,
        period=1000,
        polling_period=200,
    )
    def position(self) -> float:
        return self._axis.value

    @position.write
    def position(self, target: float) -> None:
        self._axis.go(target)
        self.always_executed_hook()

    @attribute(
        label="Velocity",
        doc="How fast the stage travels",
        unit="mm/s",
        format="%6.2f",
        min_value=0.01,
        max_value=50,
    )
    def velocity(self) -> float:
        return self._axis.speed

    @velocity.write
    def velocity(self, velocity: float) -> None:
        self._axis.speed = velocity

    @attribute(label="Steps", doc="Position of the motor's axis", unit="steps", abs_change=1, polling_period=200)
    def steps(self) -> int:
        return round(self._axis.value * self.steps_per_mm)

    @attribute(label="Lower limit switch", doc="True when it is pressed", polling_period=200)
    def lower_limit_switch(self) -> bool:
        return self._axis.value <= self.lower_switch

    @attribute(label="Upper limit switch", doc="True when it is pressed", polling_period=200)
    def upper_limit_switch(self) -> bool:
        return self._axis.value >= self.upper_switch

    @command(doc_in="Nothing", doc_out="Nothing")
    def Stop(self) -> None:
        self._axis.halt()

    @command(doc_in="Distance, mm", doc_out="Nothing")
    def MoveRelative(self, distance: float) -> None:
        self._axis.go(self._axis.value + distance)
