"""SpikingJelly's own examples ``lif_fc_mnist`` and ``conv_fashion_mnist``, their models from its package."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from spikingjelly.activation_based import encoding, functional
from torch import Tensor
from torch.nn.functional import mse_loss, one_hot

from adapters.torch_family.example import Example
from tasks.classify.spec import Classify, Conv, Linear
from tasks.protocol import Settings, Unsupported


def shipped(name: str) -> Any:
    """One of the examples in the package; to import it, TensorBoard need not be there."""
    absent = ModuleType("torch.utils.tensorboard")
    absent.__dict__["SummaryWriter"] = None
    with mock.patch.dict(sys.modules, {absent.__name__: absent}):
        return importlib.import_module(f"spikingjelly.activation_based.examples.{name}")


class _Rates(Example):
    """Both train firing rates to be one-hot labels, and forget the neurons' states after each batch."""

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        """Mean squared error."""
        return mse_loss(output, one_hot(labels, self.task.classes).float())

    def scores(self, output: Tensor) -> Tensor:
        """The rates themselves."""
        functional.reset_net(self.model)
        return output


class FullyConnected(_Rates):
    """``lif_fc_mnist``: a loop over time steps, each with a Poisson draw of its own.

    Raises:
        Unsupported: the task has another network than the example.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        super().__init__(task, settings)
        if sum(isinstance(layer, Linear) for layer in task.layers) > 1:
            raise Unsupported("SpikingJelly's example lif_fc_mnist has no hidden layer")
        self.network = "SpikingJelly's lif_fc_mnist: Linear 10, LIF, step by step"
        self.model = shipped("lif_fc_mnist").SNN(tau=2.0).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.encoder = encoding.PoissonEncoder()

    def run(self, images: Tensor) -> Tensor:
        """Firing rates [N, 10]."""
        spikes = torch.zeros(1, device=self.device)
        for _ in range(self.task.steps):
            spikes = spikes + self.model(self.encoder(images))
        return spikes / self.task.steps


class Convolutional(_Rates):
    """``conv_fashion_mnist``: step mode m over an image that stays the same; without its cosine schedule.

    Raises:
        Unsupported: the task has another network than the example.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        super().__init__(task, settings)
        channels = [layer.channels for layer in task.layers if isinstance(layer, Conv)]
        hidden = [layer.features for layer in task.layers if isinstance(layer, Linear)]
        if channels != [channels[0]] * 2 or hidden != [16 * channels[0], 10]:
            raise Unsupported(
                "SpikingJelly's example conv_fashion_mnist has two convolutions of the same channels and 16 "
                "times as many hidden neurons"
            )
        self.network = (
            f"SpikingJelly's conv_fashion_mnist with {channels[0]} channels: its layers in step mode m"
        )
        self.model = shipped("conv_fashion_mnist").CSNN(T=task.steps, channels=channels[0]).to(self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def run(self, images: Tensor) -> Tensor:
        """Firing rates [N, 10]."""
        return self.model(images)


def example(task: Classify, settings: Settings) -> Example:
    """Variant ``shipped``.

    Raises:
        Unsupported: SpikingJelly ships no example of this network.
    """
    if task.name == "fc_lif":
        return FullyConnected(task, settings)
    if task.name == "csnn":
        return Convolutional(task, settings)
    raise Unsupported(f"SpikingJelly ships no example of {task.name}")
