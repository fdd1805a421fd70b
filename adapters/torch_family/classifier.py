"""The classifier of every torch-based adapter: resident data, one training loop, one trace."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from adapters.torch_family.encode import ENCODERS, Encode
from adapters.torch_family.network import SpikingNetwork
from adapters.torch_family.split import split
from tasks.classify.codes import code_table
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Loss, Spike
from tasks.protocol import Settings

TENSORS = ("weight", "bias", "running_mean", "running_var")
# of rates and codes [N, outputs]; the codes of cross-entropy are one-hot, which torch takes for shares
LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "cross_entropy": functional.cross_entropy,
}


class TorchClassifier:
    """``Classifier`` of tasks/classify/protocol.py for a ``SpikingNetwork``.

    ``encode`` turns uint8 images [N, ...] into inputs [T, N, ...]; an adapter whose framework
    brings its own encoder passes it, else the task's encoder in encode.py is used.
    """

    def __init__(
        self, task: Classify, settings: Settings, network: SpikingNetwork, encode: Encode | None = None
    ) -> None:
        self.task = task
        self.device = torch.device(settings.device)
        self.dtype = torch.float64 if settings.precision == "float64" else torch.float32
        self.network = network.to(self.device, self.dtype)
        self.encode = encode or ENCODERS[task.encoder]
        self.loss = LOSSES[task.loss]
        self.codes = torch.tensor(code_table(task), device=self.device, dtype=self.dtype)
        self.amp = settings.precision == "amp"
        # float16 needs its loss scaled; the CPU's bfloat16 has float32's range and does not
        self.half = torch.float16 if settings.device == "cuda" else torch.bfloat16
        self._new_optimizer()

    def _new_optimizer(self) -> None:
        parameters = list(self.network.parameters())
        self.optimizer: torch.optim.Optimizer
        if self.task.optimizer == "adam":
            self.optimizer = torch.optim.Adam(parameters, lr=self.task.lr)
        else:
            self.optimizer = torch.optim.SGD(parameters, lr=self.task.lr, momentum=self.task.momentum)
        self.stepped = 0
        self.optimizer.register_step_post_hook(self._count)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.amp and self.half is torch.float16)

    def _count(self, *_: object) -> None:
        self.stepped += 1

    def steps(self) -> int:
        """See the protocol; in float16 fewer than batches where GradScaler left out an infinite gradient."""
        return self.stepped

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol; images stay uint8 on the device."""
        self.images = torch.tensor(images, device=self.device)
        self.labels = torch.tensor(labels, device=self.device, dtype=torch.int64)

    def _tensors(self) -> dict[str, Tensor]:
        """Every weight and running statistic by the protocol's name."""
        return {
            f"{index}.{name}": getattr(module, name)
            for index, module in enumerate(self.network.stages)
            for name in TENSORS
            if not isinstance(self.network.layers[index], Spike) and getattr(module, name, None) is not None
        }

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """See the protocol."""
        tensors = self._tensors()
        if tensors.keys() != weights.keys():
            raise ValueError(f"weights {sorted(weights)} given for tensors {sorted(tensors)}")
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(torch.as_tensor(np.asarray(weights[name]), device=self.device))
        self._new_optimizer()

    def weights(self) -> dict[str, Array]:
        """See the protocol."""
        return {name: to_numpy(tensor) for name, tensor in self._tensors().items()}

    def state(self) -> bytes:
        """See the protocol; without the neurons' states, which every batch begins anew."""
        kept = {
            "weights": {name: tensor.detach() for name, tensor in self._tensors().items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "stepped": self.stepped,
            "random": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            kept["device_random"] = torch.cuda.get_rng_state(self.device)
        buffer = io.BytesIO()
        torch.save(kept, buffer)
        return buffer.getvalue()

    def restore(self, state: bytes) -> None:
        """See the protocol."""
        kept = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(kept["weights"][name])
        self._new_optimizer()
        self.optimizer.load_state_dict(kept["optimizer"])
        self.scaler.load_state_dict(kept["scaler"])
        self.stepped = kept["stepped"]
        torch.set_rng_state(kept["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(kept["device_random"], self.device)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=self.half, enabled=self.amp)

    def _rates(self, inputs: Tensor) -> Tensor:
        """Firing rates [N, outputs] of inputs [T, N, ...]."""
        return self.network(inputs).mean(0)

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol."""
        self.network.train()
        rates = []
        for batch in torch.tensor(order, device=self.device, dtype=torch.int64):
            inputs = self.encode(self.images[batch], self.task.steps, self.dtype)
            with self._autocast():
                output = self._rates(inputs)
                loss = self.loss(output, self.codes[self.labels[batch]])
            self.optimizer.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            rates.append(output.detach())
        return to_numpy(torch.cat(rates))

    def split(self, order: NDArray[np.integer]) -> dict[str, float]:
        """See the protocol."""
        return split(self, order)

    @torch.no_grad()
    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol."""
        self.network.eval()
        rates = []
        for start in range(0, len(images), self.task.batch):
            batch = torch.tensor(images[start : start + self.task.batch], device=self.device)
            with self._autocast():
                rates.append(self._rates(self.encode(batch, self.task.steps, self.dtype)))
        return to_numpy(torch.cat(rates))

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """See the protocol; running statistics are put back afterwards."""
        recorded: list[list[Tensor]] = []
        hooks = []
        for layer, module in zip(self.network.layers, self.network.stages, strict=True):
            if isinstance(layer, Spike):
                calls: list[Tensor] = []
                recorded.append(calls)
                hooks.append(module.register_forward_hook(lambda _m, _i, out, to=calls: to.append(out)))
        kept = {name: tensor.detach().clone() for name, tensor in self._tensors().items()}
        self.network.train(training)
        self.optimizer.zero_grad()
        try:
            target = torch.tensor(codes, device=self.device, dtype=self.dtype)
            # stride 0 is kept, so that a constant sequence takes the path of ``direct``
            constant = inputs.strides[0] == 0
            sequence = torch.tensor(inputs[:1] if constant else inputs, device=self.device, dtype=self.dtype)
            if constant:
                sequence = sequence.expand(len(inputs), *sequence.shape[1:])
            with torch.set_grad_enabled(training), self._autocast():
                loss = self.loss(self._rates(sequence), target)
            gradients = {}
            if training:
                loss.backward()
                gradients = {
                    name: to_numpy(tensor.grad)
                    for name, tensor in self._tensors().items()
                    if tensor.grad is not None
                }
        finally:
            for hook in hooks:
                hook.remove()
            with torch.no_grad():
                for name, tensor in self._tensors().items():
                    tensor.copy_(kept[name])
            self.optimizer.zero_grad()
        join = torch.stack if self.network.stepwise else torch.cat
        return Trace(spikes=tuple(to_numpy(join(calls)) for calls in recorded), gradients=gradients)


def to_numpy(tensor: Tensor) -> Array:
    """A copy on the host; half precision becomes float32, which NumPy can hold."""
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    return tensor.detach().cpu().numpy().copy()
