"""The devices that are read: what the C++ TangoTest has not, and a stand-in for it. `python devices.py INSTANCE`"""

import sys

import numpy as np
from tango import AttrDataFormat
from tango.server import Device, attribute, run

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


if __name__ == "__main__":
    run([Arrays, Plain, TangoTest], args=[NAME, *sys.argv[1:]])
