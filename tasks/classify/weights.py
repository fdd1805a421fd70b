"""The weights that every adapter starts from or is given, and the order in which it sees the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.classify.spec import BatchNorm, Classify, Conv, Linear, input_shapes

# fc_lif: plain torch on the CPU at T = 100, three epochs of MNIST's 60,000 training images, seed 0;
# written by scripts/train_weights.py
TRAINED = Path(__file__).parent / "trained"


def initial_weights(task: Classify, seed: int) -> dict[str, NDArray[np.float64]]:
    """Weights that every adapter starts from, by the names of ``Classifier.load_weights``.

    Conv and Linear are uniform within 1 / sqrt(fan_in) and rounded to float32, so that every precision
    starts from the same numbers; BatchNorm starts as the identity.
    """
    rng = np.random.default_rng([seed, 0])
    weights: dict[str, NDArray[np.float64]] = {}
    size: tuple[int, ...]
    shapes = input_shapes(task.layers, task.input_shape)
    for index, (layer, shape) in enumerate(zip(task.layers, shapes, strict=True)):
        match layer:
            case Conv():
                size = (layer.channels, shape[0], layer.kernel, layer.kernel)
            case Linear():
                size = (layer.features, shape[0])
            case BatchNorm():
                for name, value in (("weight", 1.0), ("bias", 0.0)):
                    weights[f"{index}.{name}"] = np.full(shape[0], value)
                for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
                    weights[f"{index}.{name}"] = np.full(shape[0], value)
                continue
            case _:
                continue
        bound = 1 / np.sqrt(np.prod(size[1:]))
        drawn = rng.uniform(-bound, bound, size)
        weights[f"{index}.weight"] = drawn.astype(np.float32).astype(np.float64)
    return weights


def epoch_order(*, images: int, batch: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Image indices of one training epoch, [batches, batch]; the last partial batch is dropped.

    Raises:
        ValueError: there are fewer images than one batch.
    """
    if images < batch:
        raise ValueError(f"{images} training images make no batch of {batch}")
    order = np.random.default_rng([seed, 1, epoch]).permutation(images)
    return order[: images // batch * batch].reshape(-1, batch)


def trained_weights(task: Classify) -> dict[str, NDArray[np.float64]]:
    """Trained weights for those who cannot train; names and layouts as ``initial_weights`` has them.

    Raises:
        LookupError: none are kept for this task, or with another loss.
    """
    path = TRAINED / f"{task.name}.npz"
    if not path.exists():
        raise LookupError(f"no trained weights are kept for {task.name}")
    if task.loss != "mse":
        raise LookupError(f"the weights that are kept for {task.name} were trained with the loss mse")
    with np.load(path) as archive:
        return {name: archive[name].astype(np.float64) for name in archive.files}
