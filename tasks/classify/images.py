"""The data set of the family, and the two encoders in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.classify.spec import Encoder
from tasks.images import MNIST, Images, load

__all__ = ["MNIST", "Images", "encode", "load"]


def encode(
    images: NDArray[np.uint8], *, encoder: Encoder, steps: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Input of a network over time, [steps, n, *shape], from images uint8 [n, *shape].

    ``poisson``: per pixel and step a spike with probability pixel / 255, so that 255 always fires and
    0 never; ``direct``: pixel / 255 at every step.
    """
    intensity = images / 255.0
    if encoder == "direct":
        return np.repeat(intensity[None], steps, axis=0)
    return (rng.random((steps, *images.shape)) < intensity).astype(np.float64)
