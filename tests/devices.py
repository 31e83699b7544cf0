"""A device server for the tests: devices whose reads, writes and commands take as long as they are told to."""

import time

from tango.server import Device, attribute, command


class Slow(Device):
    def init_device(self) -> None:
        super().init_device()
        self._seconds = 1.0
        self._written = 0.0

    @attribute(dtype=float, unit="s")
    def slow(self) -> float:
        time.sleep(self._seconds)
        return self._seconds

    @attribute(dtype=float, unit="s", doc="Takes as many seconds to write as are written")
    def lazy(self) -> float:
        return self._written

    @lazy.write
    def lazy(self, seconds: float) -> None:
        time.sleep(seconds)
        self._written = seconds

    @attribute(dtype=float, unit="s")
    def quick(self) -> float:
        return self._seconds

    @command(dtype_in=float, doc_in="Seconds that a read of `slow` takes")
    def TakeSeconds(self, seconds: float) -> None:
        self._seconds = seconds

    @command(dtype_in=float, doc_in="Seconds that this command takes")
    def Rest(self, seconds: float) -> None:
        time.sleep(seconds)


if __name__ == "__main__":
    Slow.run_server()
