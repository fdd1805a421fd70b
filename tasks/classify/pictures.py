"""What the report draws of a trained network: ten test images, what they are taken for, and its spikes.

Arrays are kept small: bytes, or one bit each, compressed, with their shape.  The text is URL-safe Base64, in
which nothing looks like a path.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.classify.codes import decode
from tasks.classify.protocol import Array
from tasks.classify.spec import Classify
from tasks.classify.values import Float

STEPS = 100  # of those that a raster shows, the first
MAPS = 8  # feature maps of one image, the first
MAP_STEPS = 8


def tested(
    task: Classify, rates: Float, images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> dict[str, Any]:
    """The first test image of each class: its pixels, its label, and the class that was found.

    From the rates [n, outputs] of all test images [n, *input_shape].
    """
    places = _firsts(labels)
    return {
        "pixels": _packed(images[places]),
        "labels": labels[places].tolist(),
        "found": decode(task, rates[places]).tolist(),
    }


def traced(
    task: Classify, inputs: Float, spikes: Sequence[Array], labels: NDArray[np.uint8]
) -> dict[str, Any]:
    """Spikes of those images of ``tested`` that are in the batch, and what its output spikes stand for.

    ``images``: their places in ``tested``.  ``outputs`` [T, n, outputs], of all of them.  Of the first one,
    ``input`` [*input_shape, T], where that is spikes, and ``maps`` [T, channels, height, width] of the
    first layer of neurons, where it has maps.  From inputs [T, N, *input_shape] and spikes per layer.
    """
    places = _firsts(labels)
    images = np.flatnonzero(places < inputs.shape[1])
    batch = places[images]
    outputs = spikes[-1][:, batch]
    found = {
        "images": images.tolist(),
        "outputs": _packed(outputs[:STEPS] == 1),
        "found": decode(task, outputs.mean(axis=0)).tolist(),
    }
    if task.encoder == "poisson":
        # a pixel fires alike at all steps: in this order it takes half of the space
        found["input"] = _packed(np.moveaxis(inputs[:STEPS, batch[0]], 0, -1) == 1)
    if spikes[0].ndim == 5:
        found["maps"] = _packed(spikes[0][:MAP_STEPS, batch[0], :MAPS] == 1)
    return found


def _firsts(labels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The place of the first image of each class, in the order of the classes."""
    firsts: NDArray[np.intp] = np.unique(labels, return_index=True)[1]
    return firsts


def _packed(array: NDArray[np.uint8] | NDArray[np.bool_]) -> dict[str, Any]:
    """An array of bytes, or of truth values as ``bits``."""
    kind, plain = ("bits", np.packbits(array)) if array.dtype == bool else ("bytes", array)
    text = base64.urlsafe_b64encode(zlib.compress(plain.tobytes(), 9)).decode("ascii")
    return {"shape": list(array.shape), kind: text}
