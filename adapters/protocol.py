"""What an adapter is: the one screen that its author must read.

An adapter is a folder with ``adapter.toml``, ``requirements.in``/``requirements.txt`` and ``adapter.py``.
The module ``adapter.py`` has three names:

    versions() -> dict[str, str]                 packages, and the back end really in use
    configure(settings) -> dict[str, object]     sets flags, threads and seed; returns the values READ BACK
    BUILDERS: Mapping[type[Task], Callable[..., Workload]], with any of
        Classify: Callable[[Classify, Settings], Classifier]
        Nef: Callable[[Nef, Settings, Sequence[Model]], NefSimulator]     one model for each seed

The harness owns clock, seeds, data order, initial weights, models, settings, loss and accuracy; an adapter
owns behaviour and hands over firing rates or decoded values.  There is no base class: a task family that
an adapter lacks is simply not in ``BUILDERS``.  A variant under [inference] in adapter.toml does not learn:
its ``train_epoch``, and its ``trace`` in training, raise ``Unsupported``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Unsupported(Exception):
    """This framework cannot do this here; the message is the reason that the report prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a cell runs; the harness's choice, the same for every adapter."""

    device: Literal["cpu", "cuda"]
    precision: Literal["float32", "amp", "float64"]
    tf32: bool
    cudnn_benchmark: bool
    deterministic: bool
    threads: int
    seed: int
    variant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One batch seen from inside.

    ``spikes``: per Spike layer, 0/1, [T, N, ...].  ``gradients``: d loss / d weight by the names of
    ``load_weights``; empty when not training.
    """

    spikes: tuple[Array, ...]
    gradients: Mapping[str, Array]


class Classifier(Protocol):
    """A network built for one ``Classify`` task under one ``Settings``."""

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """Take the training set, images [n, *input_shape] and labels [n], to the device (untimed)."""

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Set every parameter and running statistic, and forget the optimiser's state.

        Names are ``"<layer index>.<weight|bias|running_mean|running_var>"``; layouts as in tasks/spec.py.
        """

    def weights(self) -> dict[str, Array]:
        """The same names and layouts as ``load_weights``."""

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """Train on the loaded images in this order, [batches, batch] (timed).

        Returns the output firing rates seen in training, [batches * batch, outputs].
        """

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """Output firing rates [n, outputs] of images [n, *input_shape], any n, in evaluation mode (timed)."""

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """Run one batch of already encoded inputs [T, N, *input_shape] with target codes [N, outputs].

        Uses the code path of ``train_epoch`` (or of ``predict``), but changes no weight.
        """

    def sync(self) -> None:
        """Return when the device is idle."""

    def device_memory(self) -> int | None:
        """Peak of the device allocator in bytes; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NefResult:
    """One run of every model.

    ``decoded`` [seeds, steps, dimensions of the output]; ``spikes`` by ensemble [seeds, steps, neurons].
    """

    decoded: Array
    spikes: Mapping[str, NDArray[np.bool_]]


class NefSimulator(Protocol):
    """The models of one ``Nef`` task, built under one ``Settings``."""

    def run(self, inputs: Array) -> NefResult:
        """Simulate every model from its initial state on the inputs [steps, inputs], any steps (timed)."""

    def sync(self) -> None:
        """Return when the device is idle."""

    def device_memory(self) -> int | None:
        """Peak of the device allocator in bytes; None where there is none."""


Workload = Classifier | NefSimulator
