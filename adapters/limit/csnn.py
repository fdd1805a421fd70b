"""The convolutional network trained on batches; network.py passes them."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapters.limit.network import Network
from tasks.classify.codes import code_table
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify
from tasks.protocol import Settings, Unsupported


class Convolutional:
    """``Classifier`` of tasks/classify/protocol.py for ``csnn`` and ``csnn_stepbn``.

    Raises:
        Unsupported: see ``Network``.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        self.task = task
        self.network = Network(task, settings)
        self.dtype = self.network.dtype
        self.codes = torch.tensor(code_table(task), dtype=self.dtype)
        self._new_optimizer()

    def _new_optimizer(self) -> None:
        parameters = list(self.network.learned.values())
        self.optimizer = torch.optim.SGD(parameters, lr=self.task.lr, momentum=self.task.momentum, fused=True)
        self.stepped = 0
        self.optimizer.register_step_post_hook(self._count)

    def _count(self, *_: object) -> None:
        self.stepped += 1

    def steps(self) -> int:
        """See the protocol."""
        return self.stepped

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol."""
        self.images = torch.tensor(images)
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def _running(self) -> dict[str, Tensor]:
        """The running moments by the protocol's names."""
        return {
            f"{layer}.{name}": getattr(norm, name)
            for layer, norm in zip((1, 5), self.network.norms, strict=True)
            for name in ("running_mean", "running_var")
        }

    def _tensors(self) -> dict[str, Tensor]:
        return self.network.learned | self._running()

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """See the protocol."""
        for name, tensor in self._tensors().items():
            value = torch.tensor(np.asarray(weights[name]), dtype=self.dtype)
            if name == "0.weight":
                value = value.flatten(1).T
            elif name == "9.weight":
                value = value.unflatten(1, (self.network.channels, -1)).transpose(1, 2).flatten(1)
            tensor.copy_(value)
        self._new_optimizer()

    def weights(self) -> dict[str, Array]:
        """See the protocol."""
        return self._named(self._tensors())

    def _named(self, tensors: Mapping[str, Tensor]) -> dict[str, Array]:
        """Copies of what the network has in its own layouts, in those of the protocol."""
        found = {}
        for name, tensor in tensors.items():
            value = tensor.detach()
            if name == "0.weight":
                value = value.T.reshape(-1, 1, 3, 3)
            elif name == "9.weight":
                value = value.unflatten(1, (-1, self.network.channels)).transpose(1, 2).flatten(1)
            found[name] = value.contiguous().numpy().copy()
        return found

    def _shown(self, images: Tensor) -> Tensor:
        """uint8 [n, 1, height, width] as the network takes them: the same at every step."""
        return (images.to(self.dtype) / 255).transpose(0, 1)

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol."""
        rates = []
        for batch in torch.tensor(order, dtype=torch.int64):
            passed = self.network.forward(self._shown(self.images[batch]), self.task.steps, training=True)
            gradients = self.network.backward(passed, self.codes[self.labels[batch]])
            for name, tensor in self.network.learned.items():
                tensor.grad = gradients[name]
            self.optimizer.step()
            rates.append(passed.rates)
        return torch.cat(rates).numpy()

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol."""
        rates = [
            self.network.forward(self._shown(batch), self.task.steps, training=False).rates
            for batch in torch.tensor(images).split(self.task.batch)
        ]
        return torch.cat(rates).numpy()

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """See the protocol.

        Raises:
            Unsupported: inputs that change from step to step, in training.
        """
        steps = len(inputs)
        constant = bool((inputs == inputs[:1]).all())
        if training and not constant:
            raise Unsupported("the network learns from inputs that are the same at every step")
        shown = torch.tensor(inputs[:1] if constant else inputs, dtype=self.dtype)[:, :, 0]
        kept = {name: tensor.clone() for name, tensor in self._running().items()}
        passed = self.network.forward(shown, steps, training=training, watched=True)
        gradients = {}
        if training:
            gradients = self._named(self.network.backward(passed, torch.tensor(codes, dtype=self.dtype)))
        for name, tensor in self._running().items():
            tensor.copy_(kept[name])
        maps = [maps.permute(0, 1, 4, 2, 3) for maps in passed.unpooled or ()]
        return Trace(
            spikes=tuple(layer.contiguous().numpy() for layer in (*maps, *passed.spikes)), gradients=gradients
        )

    def state(self) -> bytes:
        """See the protocol; nothing here is random."""
        kept = {
            "tensors": {name: tensor.detach() for name, tensor in self._tensors().items()},
            "optimizer": self.optimizer.state_dict(),
            "stepped": self.stepped,
        }
        buffer = io.BytesIO()
        torch.save(kept, buffer)
        return buffer.getvalue()

    @torch.no_grad()
    def restore(self, state: bytes) -> None:
        """See the protocol."""
        kept = torch.load(io.BytesIO(state), weights_only=True)
        for name, tensor in self._tensors().items():
            tensor.copy_(kept["tensors"][name])
        self._new_optimizer()
        self.optimizer.load_state_dict(kept["optimizer"])
        self.stepped = kept["stepped"]
