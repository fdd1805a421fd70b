"""One batch through the convolutional network and back, most of it in C: csnn.c.

The second convolution and the products of Linear are torch's.  All maps have their channels last; torch is
given views with the axes where it expects them.
"""

from __future__ import annotations

import ctypes
import math
from ctypes import Structure, c_double, c_int64, c_void_p
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from adapters.limit.batchnorm import Norm, Scaling
from adapters.limit.library import lanes, load, macros
from tasks.classify.spec import BatchNorm, Classify, Conv, Flatten, Linear, MaxPool, Neuron, Spike
from tasks.protocol import Settings, Unsupported


class _Shape(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("images", "height", "width", "channels", "steps")),
        *((name, c_double) for name in ("threshold", "alpha")),
    )


class Passed(NamedTuple):
    """A forward pass: what the backward pass needs of it, and its spikes; maps are [steps, images, ...]."""

    images: Tensor  # [steps or 1, images, height + 2, width + 2]
    patches: tuple[Tensor, ...]  # in training: sums of them [9], and of their products [9, 9]
    scalings: tuple[Scaling, Scaling]
    pooled: tuple[Tensor, Tensor]
    convolved: Tensor  # what the second convolution gives
    membranes: tuple[Tensor, Tensor]
    spikes: tuple[Tensor, Tensor]
    unpooled: tuple[Tensor, Tensor] | None  # spikes before pooling

    @property
    def rates(self) -> Tensor:
        """Output firing rates [images, outputs]."""
        return self.spikes[1].mean(0)


class Network:
    """Layers of ``csnn`` or ``csnn_stepbn`` in any size, for inputs that are the same at every step.

    ``learned``: the parameters by the protocol's names, in layouts of their own: "0.weight" [9, channels],
    "4.weight" with its channels last, "9.weight" with the channels last among its inputs.

    Raises:
        Unsupported: other layers, or mixed precision.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        _, self.height, self.width = task.input_shape
        match task.layers:
            case (
                Conv(channels=channels, kernel=3, padded=True),
                BatchNorm(over=over),
                Spike(neuron=Neuron(tau=None) as neuron),
                MaxPool(),
                *block,
                Flatten(),
                Linear(features=hidden),
                Spike(),
                Linear(features=outputs),
                Spike(),
            ) if tuple(block) == task.layers[:4] and task.layers.count(task.layers[2]) == 4:
                pass
            case _:
                raise Unsupported(f"no kernel is written for {task.network}")
        if task.encoder != "direct" or task.input_shape[0] != 1 or self.height % 4 or self.width % 4:
            raise Unsupported(
                "the kernels are written for grey pixels themselves, and sides that are halved twice"
            )
        self.neuron, self.channels = neuron, channels
        self.dtype = torch.float64 if settings.precision == "float64" else torch.float32
        together = math.gcd(channels, lanes(settings))
        self.library = load("csnn", f"LANES={together}", *macros(settings))
        torch.set_num_threads(settings.threads)
        self.norms = tuple(Norm(channels, self.dtype, each_step=over == "batch") for _ in range(2))
        kernel = torch.zeros(channels, channels, 3, 3, dtype=self.dtype)
        self.learned = {
            "0.weight": torch.zeros(9, channels, dtype=self.dtype),
            "1.weight": self.norms[0].weight,
            "1.bias": self.norms[0].bias,
            "4.weight": kernel.contiguous(memory_format=torch.channels_last),
            "5.weight": self.norms[1].weight,
            "5.bias": self.norms[1].bias,
            "9.weight": torch.zeros(hidden, self.height * self.width // 16 * channels, dtype=self.dtype),
            "11.weight": torch.zeros(outputs, hidden, dtype=self.dtype),
        }

    def _call(self, kernel: str, maps: Tensor, halved: int, *arguments: Tensor | int | None) -> None:
        """Run a kernel for the steps and images of ``maps`` [steps, images, ...], sides halved that often."""
        shape = _Shape(
            images=maps.shape[1],
            height=self.height >> halved,
            width=self.width >> halved,
            channels=self.channels,
            steps=len(maps),
            threshold=self.neuron.threshold,
            alpha=self.neuron.alpha,
        )
        converted: list[Any] = [
            c_void_p(each.data_ptr()) if isinstance(each, Tensor) else None if each is None else c_int64(each)
            for each in arguments
        ]
        getattr(self.library, kernel)(ctypes.byref(shape), *converted)

    def _maps(self, steps: int, images: int, halved: int) -> Tensor:
        """Room for maps, or spikes of them."""
        return torch.empty(
            steps, images, self.height >> halved, self.width >> halved, self.channels, dtype=self.dtype
        )

    @torch.no_grad()
    def forward(self, images: Tensor, steps: int, *, training: bool, watched: bool = False) -> Passed:
        """Images [steps or 1, images, height, width] through the network, by their own moments in training.

        Which takes images that are the same at every step.  ``watched``: spikes before pooling are kept.
        """
        count = images.shape[1]
        padded = functional.pad(images, (1, 1, 1, 1)).contiguous()
        unpooled = (self._maps(steps, count, 0), self._maps(steps, count, 1)) if watched else None
        patches = self._patches(padded) if training else ()
        first = self._first_scaling(patches, steps, count) if patches else self.norms[0].look()
        pooled = self._maps(steps, count, 1), self._maps(steps, count, 2)
        self._call(
            "front",
            pooled[0],
            0,
            padded,
            0 if len(padded) == 1 else padded[0].numel(),
            self.learned["0.weight"],
            first.scale[0].to(self.dtype),
            first.shift[0].to(self.dtype),
            pooled[0],
            unpooled and unpooled[0],
        )
        with torch.set_grad_enabled(training):  # torch's own way back through its convolution
            inputs = pooled[0].requires_grad_(training).flatten(0, 1).permute(0, 3, 1, 2)
            kernel = self.learned["4.weight"].requires_grad_(training)
            convolved = functional.conv2d(inputs, kernel, padding=1).permute(0, 2, 3, 1)
            convolved = convolved.unflatten(0, (steps, count))
        assert convolved.is_contiguous()
        second = self._second_scaling(convolved) if training else self.norms[1].look()
        scale, shift = (self._each_step(factor, steps) for factor in (second.scale, second.shift))
        self._call("back", convolved, 1, convolved, scale, shift, pooled[1], unpooled and unpooled[1])
        membranes, spikes = [], []
        below = pooled[1].flatten(2)
        for name in ("9.weight", "11.weight"):
            membrane = below @ self.learned[name].T
            below = torch.empty_like(membrane)
            self._call("fire", membrane, 0, membrane[0].numel(), membrane, below)
            membranes.append(membrane)
            spikes.append(below)
        return Passed(
            padded,
            patches,
            (first, second),
            pooled,
            convolved,
            (membranes[0], membranes[1]),
            (spikes[0], spikes[1]),
            unpooled,
        )

    def _each_step(self, factor: Tensor, steps: int) -> Tensor:
        """A factor [rows, channels] of BatchNorm as a kernel takes it, [steps, channels]."""
        return factor.to(self.dtype).expand(steps, -1).contiguous()

    def _patches(self, padded: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of patches [9] and of their products [9, 9]."""
        count = padded.shape[1]
        first, second = (torch.empty(count, *size, dtype=torch.float64) for size in ((9,), (9, 9)))
        self._call("patches", padded, 0, padded, first, second)
        return first.sum(0), second.sum(0)

    def _first_scaling(self, patches: tuple[Tensor, ...], steps: int, images: int) -> Scaling:
        """By the moments of the first convolution, which are the same in every step."""
        norm, weight = self.norms[0], self.learned["0.weight"].double()
        count = images * self.height * self.width
        first, second = (sums / count for sums in patches)
        mean = first @ weight
        var = (((second - torch.outer(first, first)) @ weight) * weight).sum(0).clamp(min=0)
        rows = steps if norm.each_step else 1
        return norm.learn(mean.expand(rows, -1), var.expand(rows, -1), count * steps // rows)

    def _second_scaling(self, convolved: Tensor) -> Scaling:
        """By the moments of the second convolution [steps, images, height, width, channels]."""
        norm = self.norms[1]
        sums = torch.empty(*convolved.shape[:2], 2, self.channels, dtype=torch.float64)
        self._call("moments", convolved, 1, convolved, sums)
        sums = norm.rows(sums.sum(1))
        count = convolved.numel() // self.channels // len(sums)
        mean, square = (sums / count).unbind(1)
        return norm.learn(mean, (square - mean * mean).clamp(min=0), count)

    @torch.no_grad()
    def backward(self, passed: Passed, codes: Tensor) -> dict[str, Tensor]:
        """Gradients of the mean squared error between rates and codes [images, outputs], as ``learned``."""
        found = {}
        rates, steps = passed.rates, len(passed.convolved)
        grad = (2 / rates.numel() / steps * (rates - codes)).expand(steps, *rates.shape).contiguous()
        below = (passed.pooled[1].flatten(2), passed.spikes[0])
        for index, name in ((1, "11.weight"), (0, "9.weight")):
            self._call("fire_back", grad, 0, grad[0].numel(), grad, passed.membranes[index])
            found[name] = grad.flatten(0, 1).T @ below[index].flatten(0, 1)
            grad = grad @ self.learned[name]
        first, second = passed.scalings
        delta, sums = self._through_second(passed, grad)
        total, product = sums.unbind(1)
        found["5.weight"] = second.weight_gradient(total, product).sum(0)
        found["5.bias"] = total.sum(0)
        kernel = self.learned["4.weight"]
        outer, found["4.weight"] = torch.autograd.grad(passed.convolved, (passed.pooled[0], kernel), delta)
        count = passed.images.shape[1]
        sums = torch.empty(count, 11, self.channels, dtype=torch.float64)
        self._call(
            "front_back",
            passed.pooled[0],
            0,
            passed.images,
            self.learned["0.weight"],
            first.scale[0].to(self.dtype),
            first.shift[0].to(self.dtype),
            outer.contiguous(),
            sums,
        )
        total, product, *_ = by_patch = sums.sum(0)
        found["1.weight"] = first.weight_gradient(total, product)[0]
        found["1.bias"] = total
        # of all steps together: what their moments take is the same whether they share them or not
        constant, by_x = first.back(total, product, count * self.height * self.width)
        once, twice = passed.patches
        found["0.weight"] = (
            first.scale[0] * by_patch[2:]
            + constant[0] * once[:, None]
            + by_x[0] * (twice @ self.learned["0.weight"].double())
        )
        return {name: found[name].to(self.dtype) for name in self.learned}

    def _through_second(self, passed: Passed, grad: Tensor) -> tuple[Tensor, Tensor]:
        """From the gradient of the pooled spikes to that of the second convolution x.

        With sums [rows, 2, channels] of the gradient of the scaled x, and of that times x.
        """
        norm, scaling, x = self.norms[1], passed.scalings[1], passed.convolved
        steps, images = x.shape[:2]
        delta = torch.empty_like(x)
        sums = torch.empty(images, steps, 2, self.channels, dtype=torch.float64)
        scale, shift = (self._each_step(factor, steps) for factor in (scaling.scale, scaling.shift))
        self._call("back_back", x, 1, x, scale, shift, grad, delta, sums)
        sums = norm.rows(sums.sum(0))
        total, product = sums.unbind(1)
        constant, by_x = scaling.back(total, product, x.numel() // self.channels // len(sums))
        factors = [self._each_step(factor, steps) for factor in (by_x, constant)]
        self._call("combine", x, 1, delta, x, scale, *factors)
        return delta, sums
