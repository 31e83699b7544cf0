"""A beam viewer's camera, `demo/camera/1`: a spot that wanders over a noisy image."""

import struct
import time

import numpy as np
from tango import AttrDataFormat, DevState
from tango.server import attribute, command, device_property

from mtango_gevent.demo.reporting import Reporting

HEIGHT, WIDTH = 240, 320
SPOT = 18.0  # radius in pixels
FULL_SCALE = 4095  # of the 12 bits of a pixel
DARK_LEVEL = 60

_rows, _columns = np.mgrid[0:HEIGHT, 0:WIDTH]


def render(number: int, exposure: float) -> np.ndarray:
    """Frame `number`, always the same for the same number: HEIGHT x WIDTH of 12 bits in uint16."""
    x = WIDTH / 2 + 90 * np.cos(number / 20)
    y = HEIGHT / 2 + 60 * np.sin(number / 13)
    spot = np.exp(-((_columns - x) ** 2 + (_rows - y) ** 2) / (2 * SPOT**2))
    noise = np.random.default_rng(number).normal(DARK_LEVEL, 8, (HEIGHT, WIDTH))
    return np.clip(30_000 * exposure * spot + noise, 0, FULL_SCALE).astype(np.uint16)


class Camera(Reporting):
    """A camera that looks at a fluorescent screen in the beam."""

    frames_per_second = device_property(dtype=float, default_value=10.0, doc="At exposures that leave time for it")

    def init_device(self) -> None:
        super().init_device()
        self._exposure = 0.1
        self._frames_before = 0
        self._started: float | None = None
        self.get_device_attr().get_w_attr_by_name("exposure").set_write_value(self._exposure)
        self.Start()

    def _frame(self) -> int:
        """How many frames have been taken."""
        if self._started is None:
            return self._frames_before
        period = max(self._exposure, 1 / self.frames_per_second)
        return self._frames_before + int((time.monotonic() - self._started) / period)

    @attribute(
        dtype=np.uint16,
        dformat=AttrDataFormat.IMAGE,
        max_dim_x=WIDTH,
        max_dim_y=HEIGHT,
        label="Image",
        doc="The last frame, 12 bits a pixel",
        unit="counts",
        max_value=FULL_SCALE,
    )
    def image(self) -> np.ndarray:
        return render(self._frame(), self._exposure)

    @attribute(dtype="DevEncoded", label="Image, encoded", doc="The last frame as GRAY8, the upper 8 of its 12 bits")
    def image_encoded(self) -> tuple[str, bytes]:
        pixels = (render(self._frame(), self._exposure) >> 4).astype(np.uint8)
        return "GRAY8", struct.pack(">HH", WIDTH, HEIGHT) + pixels.tobytes()

    @attribute(
        label="Exposure",
        doc="How long a frame is exposed",
        unit="s",
        display_unit="1000",
        standard_unit="1",
        format="%5.3f",
        min_value=0.001,
        max_value=10,
        abs_change=0.001,
        polling_period=1000,
    )
    def exposure(self) -> float:
        return self._exposure

    @exposure.write
    def exposure(self, seconds: float) -> None:
        self._frames_before = self._frame()
        self._exposure = seconds
        if self._started is not None:
            self._started = time.monotonic()

    @attribute(dtype="DevULong", label="Frames", doc="Frames since Init", abs_change=1, polling_period=500)
    def frame_counter(self) -> int:
        return self._frame()

    @command(doc_in="Nothing", doc_out="Nothing")
    def Start(self) -> None:
        if self._started is None:
            self._started = time.monotonic()
        self.report(DevState.RUNNING, "Taking frames")

    @command(doc_in="Nothing", doc_out="Nothing")
    def Stop(self) -> None:
        self._frames_before, self._started = self._frame(), None
        self.report(DevState.STANDBY, "Stopped")
