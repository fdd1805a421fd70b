"""GPU memory as the driver sees it, polled by the harness while a worker runs."""

from __future__ import annotations

import threading
from types import TracebackType

import pynvml

POLL_SECONDS = 0.05


class GpuMemory:
    """Peak of used memory above what was used at the start, in bytes, on the first GPU.

    Counts every process on that GPU, so it is right only where the benchmark has it alone.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> GpuMemory:
        pynvml.nvmlInit()
        self._handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        self._before = self._used()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        pynvml.nvmlShutdown()

    def stop(self) -> None:
        """Leave the peak as it is."""
        self._stop.set()
        self._thread.join()

    def _used(self) -> int:
        return int(pynvml.nvmlDeviceGetMemoryInfo(self._handle).used)

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.peak_bytes = max(self.peak_bytes, self._used() - self._before)
