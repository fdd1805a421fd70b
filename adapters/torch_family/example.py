"""The training loop of examples that frameworks ship or document, as classifiers of the table ``example``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adapters.torch_family.classifier import to_numpy
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify
from tasks.protocol import Settings, Unsupported


class Example(ABC):
    """``OpenClassifier`` of tasks/classify/protocol.py around a model written as its framework shows it.

    Data, batches and their order are the harness's, and the images lie on the device beforehand: the
    loaders, logs and files of examples are no part of it.  Sizes are the task's; neuron, input, loss,
    optimiser and initial weights are the example's.  ``network`` is what runs, in words.

    Raises:
        Unsupported: another precision than float32 is asked for.
    """

    network: str
    model: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, task: Classify, settings: Settings) -> None:
        if settings.precision != "float32":
            raise Unsupported("examples train in float32, the default of their frameworks")
        self.task = task
        self.device = torch.device(settings.device)

    @abstractmethod
    def run(self, images: Tensor) -> Any:
        """What the loss and the scores are made of, for images [N, *input_shape] from 0 to 1."""

    @abstractmethod
    def loss(self, output: Any, labels: Tensor) -> Tensor:
        """The loss of one batch with labels [N]."""

    @abstractmethod
    def scores(self, output: Any) -> Tensor:
        """By which a class is chosen: [N, classes], from 0 to 1."""

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol."""
        self.images = self._shown(images)
        self.labels = torch.tensor(labels, device=self.device, dtype=torch.int64)

    def _shown(self, images: NDArray[np.uint8]) -> Tensor:
        return torch.tensor(images, device=self.device).float() / 255

    def load_weights(self, weights: Any) -> None:  # noqa: B027 - not for subclasses to write
        """An example starts from weights of its own, drawn from the seed."""

    def weights(self) -> dict[str, Array]:
        """By the model's own names."""
        return {name: to_numpy(tensor) for name, tensor in self.model.named_parameters()}

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol."""
        self.model.train()
        scores = []
        for batch in torch.tensor(order, device=self.device, dtype=torch.int64):
            self.optimizer.zero_grad()
            output = self.run(self.images[batch])
            self.loss(output, self.labels[batch]).backward()
            self.optimizer.step()
            scores.append(self.scores(output).detach())
        return to_numpy(torch.cat(scores))

    @torch.no_grad()
    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol."""
        self.model.eval()
        shown = self._shown(images)
        return to_numpy(torch.cat([self.scores(self.run(batch)) for batch in shown.split(self.task.batch)]))

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """Nothing in the open division asks for it.

        Raises:
            Unsupported: always.
        """
        raise Unsupported("an example has no reference to compare with")
