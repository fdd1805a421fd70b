"""What a layer of an adapter must be able to do: ``builder(task, settings) -> Plastic``."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Pictures = NDArray[np.uint8]


class Plastic(Protocol):
    """A layer that learns from spikes, built for one task of spec.py under one ``Settings``."""

    def load_weights(self, weights: Array) -> None:
        """Set the weights [neurons, pixels] and forget all else that was learned, thresholds above all."""

    def weights(self) -> Array:
        """The weights [neurons, pixels]."""

    def train(self, images: Pictures, scales: Array) -> Array:
        """Learn from batches of images [batches, batch, pixels], each with its factor of ``scales`` (timed).

        Returns the output spikes that each image has caused meanwhile, [batches * batch, neurons].
        """

    def respond(self, images: Pictures) -> Array:
        """Output spikes per image of images [n, pixels], any n; nothing is learned from them (timed)."""

    def trace(self, inputs: Array, scale: float | None) -> Array:
        """Output spikes 0/1 [steps, n, neurons] of one batch of encoded inputs [steps, n, pixels].

        On the code path of ``train``, learning with the factor ``scale``, or of ``respond`` where that is
        None.
        """


class OpenPlastic(Plastic, Protocol):
    """One of the open division; its ``load_weights`` need do nothing and its ``trace`` is not asked for."""

    @property
    def network(self) -> str:
        """The network that really runs, in words."""

    @property
    def steps(self) -> int:
        """For how many steps it really shows an image."""
