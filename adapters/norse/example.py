"""Norse's MNIST example (norse.task.mnist): its encoder and network, both from its package."""

from __future__ import annotations

import torch
from norse.torch.models.conv import ConvNet4
from norse.torch.module.encode import ConstantCurrentLIFEncoder
from torch import Tensor
from torch.nn.functional import log_softmax, nll_loss

from adapters.torch_family.example import Example
from tasks.classify.spec import Classify, Conv, Linear, Spike
from tasks.protocol import Settings, Unsupported

MEAN, SPREAD = 0.1307, 0.3081  # of MNIST's pixels, with which the example normalises its images


class ConvolutionalExample(Example):
    """``ConvNet4`` on images that neurons of constant current turn into spikes; Adam.

    Raises:
        Unsupported: the task has another network than the example.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        super().__init__(task, settings)
        channels = [layer.channels for layer in task.layers if isinstance(layer, Conv)]
        features = [layer.features for layer in task.layers if isinstance(layer, Linear)]
        same = task.name == "lenet" and isinstance(task.layers[1], Spike)
        if not same or (channels, features) != ([32, 64], [1024, 10]):
            raise Unsupported(
                "Norse's example is lenet with first = 32, second = 64, hidden = 1024, pool_first = false"
            )
        self.network = (
            "Norse's MNIST example: LIF neurons encode the image; Conv 32 5x5, LIF, MaxPool 2, Conv 64 5x5, "
            "LIF, MaxPool 2, Linear 1024, LIF, Linear 10, leaky integrators, with biases; step by step"
        )
        self.encoder = ConstantCurrentLIFEncoder(seq_length=task.steps)
        self.model = ConvNet4().to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)

    def run(self, images: Tensor) -> Tensor:
        """Logarithms of the classes' probabilities, of the highest voltage of each output [N, 10]."""
        spikes = self.encoder((images.flatten(1) - MEAN) / SPREAD)
        voltages = self.model(spikes.unflatten(2, images.shape[1:]))
        return log_softmax(voltages.max(0).values, dim=1)

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        """Negative log-likelihood."""
        return nll_loss(output, labels)

    def scores(self, output: Tensor) -> Tensor:
        """The probabilities."""
        return output.exp()
