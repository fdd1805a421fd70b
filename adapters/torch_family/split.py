"""Where the time of a training step goes, by hooks around the very loop that is timed elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapters.torch_family.settings import sync
from tasks.classify.spec import Spike
from tasks.protocol import Unsupported

if TYPE_CHECKING:
    from adapters.torch_family.classifier import TorchClassifier


class Stopwatch:
    """Seconds by name; what has passed since the stop before belongs to the name of this one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = perf_counter()

    def stop(self, name: str) -> None:
        """Wait for the device, and count."""
        sync()
        now = perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.last
        self.last = now


def split(classifier: TorchClassifier, order: NDArray[np.integer]) -> dict[str, float]:
    """See ``Splitting`` in tasks/classify/protocol.py.

    Raises:
        Unsupported: a module is called more than once a batch.
    """
    if classifier.network.stepwise:
        raise Unsupported("modules that are called step by step mix forward passes of layers and neurons")
    watch = Stopwatch()
    with _watched(classifier, watch):
        classifier.train_epoch(order)
        watch.stop("other")
    return watch.seconds


@contextlib.contextmanager
def _watched(classifier: TorchClassifier, watch: Stopwatch) -> Iterator[None]:
    """Every boundary between two parts of a training step stops the watch."""
    kinds = [
        "neurons" if isinstance(layer, Spike) else "stateless layers" for layer in classifier.network.layers
    ]
    encode, loss = classifier.encode, classifier.loss

    def encoded(images: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
        watch.stop("other")
        inputs = encode(images, steps, dtype)
        watch.stop("encoder")
        return inputs

    def graded(rates: Tensor, codes: Tensor) -> Tensor:
        value = loss(rates, codes)
        value.register_hook(lambda _: watch.stop("other"))  # the backward pass begins
        watch.stop("loss")
        return value

    def after(stage: int, output: Tensor) -> None:
        watch.stop(f"{kinds[stage]} forward")
        if output.requires_grad:
            # its gradient is there when all behind it is done
            behind = f"{kinds[stage + 1]} backward" if stage + 1 < len(kinds) else "loss"
            output.register_hook(lambda _: watch.stop(behind))

    hooks = [
        module.register_forward_hook(lambda _m, _i, output, stage=stage: after(stage, output))
        for stage, module in enumerate(classifier.network.stages)
    ]
    stages = zip(kinds, classifier.network.stages, strict=True)
    first = next(kind for kind, module in stages if any(p.requires_grad for p in module.parameters()))
    hooks += [
        classifier.optimizer.register_step_pre_hook(lambda *_: watch.stop(f"{first} backward")),
        classifier.optimizer.register_step_post_hook(lambda *_: watch.stop("optimiser")),
    ]
    classifier.encode, classifier.loss = encoded, graded
    try:
        yield
    finally:
        classifier.encode, classifier.loss = encode, loss
        for hook in hooks:
            hook.remove()
