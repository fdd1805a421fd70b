"""What a classifier of an adapter must be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One batch seen from inside.

    ``spikes``: per Spike layer, 0/1, [T, N, ...].  ``gradients``: d loss / d weight by the names of
    ``load_weights``; empty when not training.
    """

    spikes: tuple[Array, ...]
    gradients: Mapping[str, Array]


class Classifier(Protocol):
    """A network built for one ``Classify`` task under one ``Settings``, by a builder ``(task, settings)``.

    One under [inference] in adapter.toml does not learn: its ``train_epoch``, and its ``trace`` in
    training, raise ``Unsupported``.
    """

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """Take the training set, images [n, *input_shape] and labels [n], to the device (untimed)."""

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Set every parameter and running statistic, and forget the optimiser's state.

        Names are ``"<layer index>.<weight|bias|running_mean|running_var>"``; layouts as in spec.py.
        """

    def weights(self) -> dict[str, Array]:
        """The same names and layouts as ``load_weights``."""

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """Train on the loaded images in this order, [batches, batch]: an epoch or a slice of one (timed).

        Returns the output firing rates seen in training, [batches * batch, outputs].
        """

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """Output firing rates [n, outputs] of images [n, *input_shape], any n, in evaluation mode (timed)."""

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """Run one batch of already encoded inputs [T, N, *input_shape] with target codes [N, outputs].

        Uses the code path of ``train_epoch`` (or of ``predict``), but changes no weight.
        """

    def state(self) -> bytes:
        """All that a training goes on from: weights, running statistics, optimiser, random generators.

        Asked, as ``restore`` is, only of those that learn by batches.
        """

    def restore(self, state: bytes) -> None:
        """Go on from a state that ``state`` has given in a process before, to the last bit."""

    def steps(self) -> int:
        """How often the optimiser has stepped since ``load_weights``, as it says itself or a hook counts.

        Asked only of those that learn by batches.
        """


class Splitting(Classifier, Protocol):
    """One that can say where the time of a training step goes."""

    def split(self, order: NDArray[np.integer]) -> Mapping[str, float]:
        """Train as ``train_epoch`` does, and return the seconds of every part of split.py that there is.

        Raises:
            Unsupported: its parts cannot be told apart.
        """


class OpenClassifier(Classifier, Protocol):
    """One of the open division; its ``trace`` and ``load_weights`` need do nothing."""

    @property
    def network(self) -> str:
        """The network that really runs, in words."""
