"""snnTorch's tutorial 5, "Training spiking neural networks with snntorch", written from its settings."""

from __future__ import annotations

import snntorch
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from adapters.torch_family.example import Example
from tasks.classify.spec import Classify, Linear
from tasks.protocol import Settings, Unsupported

BETA = 0.95
RATE = 5e-4

Recorded = tuple[Tensor, Tensor]  # spikes and membranes of the outputs, [T, N, outputs] each


class Net(nn.Module):
    """Two linear layers with biases, each followed by ``Leaky`` as snnTorch sets it up by default."""

    def __init__(self, inputs: int, hidden: int, outputs: int, steps: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.lif1 = snntorch.Leaky(beta=BETA)
        self.fc2 = nn.Linear(hidden, outputs)
        self.lif2 = snntorch.Leaky(beta=BETA)
        self.steps = steps

    def forward(self, x: Tensor) -> Recorded:
        """The same input [N, inputs] at every step."""
        first, second = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(self.steps):
            hidden, first = self.lif1(self.fc1(x), first)
            out, second = self.lif2(self.fc2(hidden), second)
            spikes.append(out)
            membranes.append(second)
        return torch.stack(spikes), torch.stack(membranes)


class Tutorial5(Example):
    """Cross-entropy of the output membranes, summed over all steps; Adam; classes by the spike count.

    Raises:
        Unsupported: the task has another network than the tutorial.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        super().__init__(task, settings)
        sizes = [layer.features for layer in task.layers if isinstance(layer, Linear)]
        if task.name != "fc_lif" or len(sizes) != 2:
            raise Unsupported("snnTorch's tutorial 5 has two linear layers")
        hidden, outputs = sizes
        self.network = (
            f"snnTorch's tutorial 5: Linear {hidden}, Leaky, Linear {outputs}, Leaky, with biases; step by "
            "step, the image itself at every step"
        )
        self.model = Net(28 * 28, hidden, outputs, task.steps).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE)

    def run(self, images: Tensor) -> Recorded:
        """Spikes and membranes of the outputs."""
        return self.model(images.flatten(1))

    def loss(self, output: Recorded, labels: Tensor) -> Tensor:
        """One cross-entropy a step."""
        losses = torch.zeros(1, device=self.device)
        for membrane in output[1]:
            losses = losses + cross_entropy(membrane, labels)
        return losses

    def scores(self, output: Recorded) -> Tensor:
        """Spikes / steps."""
        return output[0].mean(0)
