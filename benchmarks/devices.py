"""The devices that are read: what the C++ TangoTest has not, and a stand-in for it. `python devices.py INSTANCE`"""

import sys
import threading
import time

import numpy as np
import tango
from tango import AttrDataFormat
from tango.server import Device, attribute, command, run

from mtango_gevent.demo.tango_test import TangoTest

NAME = "MtangoBench"
POINTS, SIDE, FRAME_SIDE = 4096, 251, 1024
_dice = np.random.default_rng(1)


class Arrays(Device):
    """Large values, made once: it is not the device that is to be measured."""

    _spectrum = np.sin(np.arange(POINTS))
    _image = _dice.normal(size=(SIDE, SIDE))
    _frame = _dice.integers(0, 4096, (FRAME_SIDE, FRAME_SIDE), np.uint16)
    _count = 0

    @attribute(dtype=float, dformat=AttrDataFormat.SPECTRUM, max_dim_x=POINTS)
    def spectrum(self) -> np.ndarray:
        return self._spectrum

    @attribute(dtype=float, dformat=AttrDataFormat.IMAGE, max_dim_x=SIDE, max_dim_y=SIDE)
    def image(self) -> np.ndarray:
        return self._image

    @attribute(dtype=np.uint16, dformat=AttrDataFormat.IMAGE, max_dim_x=FRAME_SIDE, max_dim_y=FRAME_SIDE)
    def frame(self) -> np.ndarray:
        return self._frame

    @attribute(dtype=int, polling_period=50, abs_change=1, doc="Sends a change event with each polling")
    def count(self) -> int:
        self._count += 1
        return self._count


class Plain(Device):
    """One of many: a hundred of the C++ TangoTest would take two processors for themselves."""

    @attribute(dtype=float)
    def level(self) -> float:
        return 1.5


class Events(Device):
    """Sends change events of `sent0` to `sent99` when it is told to."""

    def init_device(self) -> None:
        super().init_device()
        self._sent = 0
        for number in range(100):
            self.add_attribute(tango.Attr(f"sent{number}", tango.CmdArgType.DevLong), self._read_sent)
            self.set_change_event(f"sent{number}", True, False)

    def _read_sent(self, sent: tango.Attribute) -> None:
        sent.set_value(self._sent)

    @command(dtype_in=(float,), doc_in="Number of attributes, events of each, events of each per second")
    def Send(self, wanted: "list[float]") -> None:  # noqa: N802
        threading.Thread(target=self._send, args=(int(wanted[0]), int(wanted[1]), wanted[2]), daemon=True).start()

    def _send(self, attributes: int, events: int, per_second: float) -> None:
        with tango.EnsureOmniThread():
            begin = time.monotonic()
            for turn in range(events):
                for number in range(attributes):
                    due = begin + (turn + number / attributes) / per_second
                    time.sleep(max(0.0, due - time.monotonic()))
                    self._sent += 1
                    self.push_change_event(f"sent{number}", self._sent)


if __name__ == "__main__":
    run([Arrays, Events, Plain, TangoTest], args=[NAME, *sys.argv[1:]])
