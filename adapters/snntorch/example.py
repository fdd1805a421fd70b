"""snnTorch's tutorials 5 and 6 on training spiking networks, written from their settings."""

from __future__ import annotations

import snntorch
import torch
from snntorch import functional, surrogate, utils
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from adapters.torch_family.example import Example
from tasks.classify.spec import Classify, Conv, Linear, MaxPool
from tasks.protocol import Settings, Unsupported

Recorded = tuple[Tensor, Tensor]  # spikes and membranes of the outputs, [T, N, outputs] each


class FullyConnected(nn.Module):
    """Two linear layers with biases, each followed by ``Leaky`` as snnTorch sets it up by default."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.lif1 = snntorch.Leaky(beta=0.95)
        self.fc2 = nn.Linear(hidden, outputs)
        self.lif2 = snntorch.Leaky(beta=0.95)

    def forward(self, x: Tensor, steps: int) -> Recorded:
        """The same input [N, inputs] at every step."""
        first, second = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(steps):
            hidden, first = self.lif1(self.fc1(x), first)
            out, second = self.lif2(self.fc2(hidden), second)
            spikes.append(out)
            membranes.append(second)
        return torch.stack(spikes), torch.stack(membranes)


class Tutorial5(Example):
    """Cross-entropy of the output membranes, summed over all steps; Adam; classes by the spike count."""

    def __init__(self, task: Classify, settings: Settings, hidden: int) -> None:
        super().__init__(task, settings)
        self.network = (
            f"snnTorch's tutorial 5: Linear {hidden}, Leaky, Linear 10, Leaky, with biases; step by step, "
            "the image itself at every step"
        )
        self.model = FullyConnected(28 * 28, hidden, 10).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=5e-4)

    def run(self, images: Tensor) -> Recorded:
        """Spikes and membranes of the outputs."""
        return self.model(images.flatten(1), self.task.steps)

    def loss(self, output: Recorded, labels: Tensor) -> Tensor:
        """One cross-entropy a step."""
        losses = torch.zeros(1, device=self.device)
        for membrane in output[1]:
            losses = losses + cross_entropy(membrane, labels)
        return losses

    def scores(self, output: Recorded) -> Tensor:
        """Spikes / steps."""
        return output[0].mean(0)


class Tutorial6(Example):
    """Convolutions, the neurons' states kept inside; cross-entropy of rates; Adam."""

    def __init__(self, task: Classify, settings: Settings, first: int, second: int) -> None:
        super().__init__(task, settings)
        self.network = (
            f"snnTorch's tutorial 6: Conv {first} 5x5, MaxPool 2, Leaky, Conv {second} 5x5, MaxPool 2, "
            "Leaky, Linear 10, Leaky, with biases; step by step, the image itself at every step"
        )
        leaky = {"beta": 0.5, "spike_grad": surrogate.fast_sigmoid(slope=25), "init_hidden": True}
        self.model = nn.Sequential(
            nn.Conv2d(1, first, 5),
            nn.MaxPool2d(2),
            snntorch.Leaky(**leaky),
            nn.Conv2d(first, second, 5),
            nn.MaxPool2d(2),
            snntorch.Leaky(**leaky),
            nn.Flatten(),
            nn.Linear(second * 4 * 4, 10),
            snntorch.Leaky(**leaky, output=True),
        ).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)
        self.rate_loss = functional.ce_rate_loss()

    def run(self, images: Tensor) -> Tensor:
        """Spikes of the outputs [T, N, 10]."""
        utils.reset(self.model)
        return torch.stack([self.model(images)[0] for _ in range(self.task.steps)])

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        """snnTorch's own."""
        return self.rate_loss(output, labels)

    def scores(self, output: Tensor) -> Tensor:
        """Spikes / steps."""
        return output.mean(0)


def example(task: Classify, settings: Settings) -> Example:
    """Variant ``tutorial``.

    Raises:
        Unsupported: no tutorial has this network.
    """
    channels = [layer.channels for layer in task.layers if isinstance(layer, Conv)]
    features = [layer.features for layer in task.layers if isinstance(layer, Linear)]
    if task.name == "fc_lif" and len(features) == 2:
        return Tutorial5(task, settings, hidden=features[0])
    if task.name == "lenet" and isinstance(task.layers[1], MaxPool) and len(features) == 1:
        return Tutorial6(task, settings, *channels)
    raise Unsupported(
        "snnTorch's tutorials have two linear layers (fc_lif with hidden neurons), or convolutions that are "
        "pooled before their neurons (lenet without hidden ones)"
    )
