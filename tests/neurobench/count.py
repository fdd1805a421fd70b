"""What NeuroBench counts in layers that are shown their inputs: python count.py FILE, in its environment.

FILE is an .npz with weight0, inputs0 [T, N, ...], padding0, weight1, ... of convolutions and linear layers.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from neurobench.metrics.static import Footprint
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel
from torch import Tensor, nn


class Shown(nn.Module):
    """Layers that are each called once a step with what they have been shown."""

    def __init__(self, layers: list[nn.Module], inputs: list[Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.inputs = inputs

    def forward(self, images: Tensor) -> Tensor:
        """The images themselves."""
        for layer, sequence in zip(self.layers, self.inputs, strict=True):
            for step in sequence:
                layer(step)
        return images


def layer(weight: Tensor, padding: int) -> nn.Module:
    """torch's layer of a weight [out, in, kernel, kernel] or [out, in]."""
    made: nn.Module
    if weight.ndim == 4:
        made = nn.Conv2d(*weight.shape[1::-1], weight.shape[2], padding=padding, bias=False)
    else:
        made = nn.Linear(*weight.shape[::-1], bias=False)
    made.weight = nn.Parameter(weight)
    return made


def main() -> None:
    """Print the counts as JSON."""
    given = np.load(sys.argv[1])
    numbers = range(sum(name.startswith("weight") for name in given))
    weights = [torch.tensor(given[f"weight{n}"]) for n in numbers]
    inputs = [torch.tensor(given[f"inputs{n}"]) for n in numbers]
    layers = [layer(weight, int(given[f"padding{n}"])) for n, weight in enumerate(weights)]
    model = TorchModel(Shown(layers, inputs))
    model.register_hooks()
    images = torch.zeros(inputs[0].shape[1], 1)
    model(images)
    print(
        json.dumps({**SynapticOperations()(model, images, (images, images)), "Footprint": Footprint()(model)})
    )


if __name__ == "__main__":
    main()
