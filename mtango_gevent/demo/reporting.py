"""Devices that report their own state."""

from tango import DevState
from tango.server import Device


class Reporting(Device):
    """A device whose state stays as reported; Tango would turn ON into ALARM if an attribute is in alarm."""

    def report(self, state: DevState, status: str) -> None:
        self.set_state(state)
        self.set_status(status)

    def dev_state(self) -> DevState:
        return self.get_state()
