"""Linear and LIF on Poisson spikes, trained on a GPU by kernels in Triton that keep no spike.

A spike is a function of a counter: what the forward pass drew, the backward pass draws again, so that the
input [T, N, inputs] is never in memory.  A program takes a block of images, or of pixels for the gradient of
the weights, through all steps.  Numbers of the neuron are constants of a kernel: as arguments they would be
in single precision.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from tasks.classify.codes import code_table
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Flatten, Linear, Spike
from tasks.protocol import Settings, Unsupported

IMAGES, PIXELS, OUTPUTS = 16, 64, 16  # of a block; a product takes at least 16 of each
PARTS = 8  # in which the gradient of the weights is summed
EVALUATED = 1024  # images at once


@triton.jit
def spike(word, pixel):  # type: ignore[no-untyped-def]
    """1 with probability pixel / 255: a draw from 0 to 254 lies below the pixel."""
    return ((word.to(tl.uint32, bitcast=True).to(tl.uint64) * 255) >> 32) < pixel


@triton.jit
def product(a, b, DOUBLE: tl.constexpr):  # type: ignore[no-untyped-def]
    """The matrix product in full precision."""
    if DOUBLE:
        return tl.sum(a[:, :, None] * b[None, :, :], 1)
    return tl.dot(a, b, input_precision="ieee")


@triton.jit
def draw(step, image, pixel, lit, key, inputs, groups):  # type: ignore[no-untyped-def]
    """Spikes [images, pixels] of four steps, the first of which is ``step``."""
    counter = (image[:, None] * inputs + pixel[None, :]) * groups + step // 4
    a, b, c, d = tl.randint4x(key, counter)
    return spike(a, lit), spike(b, lit), spike(c, lit), spike(d, lit)


@triton.jit
def look(given, step, image, pixel, size, inputs, steps):  # type: ignore[no-untyped-def]
    """Inputs [images, pixels] of one step that are given, 0 beyond the last."""
    place = (step * size + image[:, None]).to(tl.int64) * inputs + pixel[None, :]
    in_time = (image * 0 + step) < steps  # as many as there are images: a mask is no number
    known = (in_time & (image < size))[:, None] & (pixel[None, :] < inputs)
    return tl.load(given + place, mask=known, other=0.0)


@triton.jit
def charge(  # type: ignore[no-untyped-def]
    v, rate, current, step, steps, membranes,
    gain: tl.constexpr, keep: tl.constexpr, threshold: tl.constexpr,
):  # fmt: skip
    """One step of the neurons; what they are charged to is kept for the backward pass."""
    charged = keep * v + gain * current
    fired = (charged >= threshold) & (step < steps)
    tl.store(membranes, charged, mask=step < steps)
    return tl.where(fired, 0.0, charged), rate + tl.where(fired, 1.0, 0.0)


@triton.jit(do_not_specialize=["key"])
def forward(  # type: ignore[no-untyped-def]
    images, order, given, weight, membranes, rates, size, steps, inputs, key,
    gain: tl.constexpr, keep: tl.constexpr, threshold: tl.constexpr, DRAWN: tl.constexpr,
    DOUBLE: tl.constexpr, IMAGES: tl.constexpr, PIXELS: tl.constexpr, OUTPUTS: tl.constexpr,
):  # fmt: skip
    """Firing rates [size, OUTPUTS], and membranes [steps, size, OUTPUTS] before the reset."""
    real = tl.float64 if DOUBLE else tl.float32
    image = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    output = tl.arange(0, OUTPUTS)
    here = image < size
    groups = (steps + 3) // 4
    v = tl.zeros((IMAGES, OUTPUTS), real)
    rate = tl.zeros((IMAGES, OUTPUTS), real)
    if DRAWN:
        place = tl.load(order + image, mask=here, other=0)
    for step in range(0, steps, 4):
        c0 = tl.zeros((IMAGES, OUTPUTS), real)
        c1 = tl.zeros((IMAGES, OUTPUTS), real)
        c2 = tl.zeros((IMAGES, OUTPUTS), real)
        c3 = tl.zeros((IMAGES, OUTPUTS), real)
        for first in range(0, inputs, PIXELS):
            pixel = first + tl.arange(0, PIXELS)
            inside = pixel < inputs
            w = tl.load(weight + pixel[:, None] * OUTPUTS + output[None, :], mask=inside[:, None], other=0.0)
            if DRAWN:
                lit = tl.load(
                    images + place[:, None] * inputs + pixel[None, :],
                    mask=here[:, None] & inside[None, :], other=0,
                )  # fmt: skip
                s0, s1, s2, s3 = draw(step, image, pixel, lit, key, inputs, groups)
                x0, x1, x2, x3 = s0.to(real), s1.to(real), s2.to(real), s3.to(real)
            else:
                x0 = look(given, step, image, pixel, size, inputs, steps)
                x1 = look(given, step + 1, image, pixel, size, inputs, steps)
                x2 = look(given, step + 2, image, pixel, size, inputs, steps)
                x3 = look(given, step + 3, image, pixel, size, inputs, steps)
            c0 += product(x0, w, DOUBLE)
            c1 += product(x1, w, DOUBLE)
            c2 += product(x2, w, DOUBLE)
            c3 += product(x3, w, DOUBLE)
        row = membranes + (step * size + image[:, None]).to(tl.int64) * OUTPUTS + output[None, :]
        # images beyond the last are kept out of memory by steps that are
        last = tl.where(here[:, None], steps, 0)
        v, rate = charge(v, rate, c0, step, last, row, gain, keep, threshold)
        v, rate = charge(v, rate, c1, step + 1, last, row + size * OUTPUTS, gain, keep, threshold)
        v, rate = charge(v, rate, c2, step + 2, last, row + 2 * size * OUTPUTS, gain, keep, threshold)
        v, rate = charge(v, rate, c3, step + 3, last, row + 3 * size * OUTPUTS, gain, keep, threshold)
    tl.store(rates + image[:, None] * OUTPUTS + output[None, :], rate / steps, mask=here[:, None])


@triton.jit
def backward_neurons(  # type: ignore[no-untyped-def]
    membranes, to_rates, size, steps, gain: tl.constexpr, keep: tl.constexpr, threshold: tl.constexpr,
    alpha: tl.constexpr, IMAGES: tl.constexpr, OUTPUTS: tl.constexpr,
):  # fmt: skip
    """Membranes become the gradients of the currents, from the last step to the first."""
    image = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    output = tl.arange(0, OUTPUTS)
    here = (image < size)[:, None]
    to_spike = tl.load(to_rates + image[:, None] * OUTPUTS + output[None, :], mask=here, other=0.0) / steps
    ahead = tl.zeros_like(to_spike)
    for back in range(0, steps):
        row = (
            membranes + ((steps - 1 - back) * size + image[:, None]).to(tl.int64) * OUTPUTS + output[None, :]
        )
        v = tl.load(row, mask=here, other=0.0)
        bent = 1.5707963267948966 * alpha * (v - threshold)
        slope = alpha / 2 / (1 + bent * bent)
        fired = v >= threshold
        to_v = tl.where(fired, 0.0, ahead) + (to_spike - ahead * v) * slope
        tl.store(row, gain * to_v, mask=here)
        ahead = keep * to_v


@triton.jit(do_not_specialize=["key"])
def backward_weights(  # type: ignore[no-untyped-def]
    images, order, given, to_currents, gradient, size, steps, inputs, key,
    DRAWN: tl.constexpr, DOUBLE: tl.constexpr, IMAGES: tl.constexpr, PIXELS: tl.constexpr,
    OUTPUTS: tl.constexpr,
):  # fmt: skip
    """A part of the gradient of the weights [parts, inputs, OUTPUTS]; the spikes are drawn once more."""
    real = tl.float64 if DOUBLE else tl.float32
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    part, parts = tl.program_id(1), tl.num_programs(1)
    output = tl.arange(0, OUTPUTS)
    inside = pixel < inputs
    groups = (steps + 3) // 4
    total = tl.zeros((PIXELS, OUTPUTS), real)
    for first in range(part * IMAGES, size, parts * IMAGES):
        image = first + tl.arange(0, IMAGES)
        here = image < size
        if DRAWN:
            place = tl.load(order + image, mask=here, other=0)
            lit = tl.load(
                images + place[:, None] * inputs + pixel[None, :],
                mask=here[:, None] & inside[None, :], other=0,
            )  # fmt: skip
        for step in range(0, steps, 4):
            if DRAWN:
                s0, s1, s2, s3 = draw(step, image, pixel, lit, key, inputs, groups)
                x0, x1, x2, x3 = s0.to(real), s1.to(real), s2.to(real), s3.to(real)
            else:
                x0 = look(given, step, image, pixel, size, inputs, steps)
                x1 = look(given, step + 1, image, pixel, size, inputs, steps)
                x2 = look(given, step + 2, image, pixel, size, inputs, steps)
                x3 = look(given, step + 3, image, pixel, size, inputs, steps)
            g0 = look(to_currents, step, image, output, size, OUTPUTS, steps)
            g1 = look(to_currents, step + 1, image, output, size, OUTPUTS, steps)
            g2 = look(to_currents, step + 2, image, output, size, OUTPUTS, steps)
            g3 = look(to_currents, step + 3, image, output, size, OUTPUTS, steps)
            total += product(tl.trans(x0), g0, DOUBLE)
            total += product(tl.trans(x1), g1, DOUBLE)
            total += product(tl.trans(x2), g2, DOUBLE)
            total += product(tl.trans(x3), g3, DOUBLE)
    row = (part * inputs + pixel[:, None]) * OUTPUTS + output[None, :]
    tl.store(gradient + row, total, mask=inside[:, None])


class FullyConnected:
    """``Classifier`` of tasks/classify/protocol.py for Flatten - Linear - Spike of at most 16 outputs.

    ``device`` is where the kernels run: a GPU, or the CPU under Triton's interpreter.

    Raises:
        Unsupported: other layers, another encoder than Poisson, another optimiser than Adam, or mixed
            precision.
    """

    def __init__(self, task: Classify, settings: Settings, device: torch.device) -> None:
        match task.layers:
            case (Flatten(), Linear(features=outputs), Spike(neuron=neuron)) if outputs <= OUTPUTS:
                pass
            case _:
                raise Unsupported(f"no kernel is written for {task.network} on a GPU")
        if task.encoder != "poisson" or task.optimizer != "adam":
            raise Unsupported(f"no kernel is written for {task.encoder} input and {task.optimizer}")
        if settings.precision == "amp":
            raise Unsupported("no kernel is written for mixed precision")
        self.task, self.seed, self.device, self.outputs = task, settings.seed, device, outputs
        self.dtype = torch.float64 if settings.precision == "float64" else torch.float32
        self.gain, self.keep = (1.0, 1.0) if neuron.tau is None else (1 / neuron.tau, 1 - 1 / neuron.tau)
        self.neuron = neuron
        self.inputs = math.prod(task.input_shape)
        self.weight = torch.zeros(self.inputs, OUTPUTS, dtype=self.dtype, device=device)
        self.codes = torch.zeros(task.classes, OUTPUTS, dtype=self.dtype, device=device)
        self.codes[:, :outputs] = torch.tensor(code_table(task), dtype=self.dtype)
        self.drawn = 0
        self._new_optimizer()

    def _new_optimizer(self) -> None:
        self.optimizer = torch.optim.Adam([self.weight], lr=self.task.lr)
        self.stepped = 0
        self.optimizer.register_step_post_hook(self._count)

    def _count(self, *_: object) -> None:
        self.stepped += 1

    def steps(self) -> int:
        """See the protocol."""
        return self.stepped

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol."""
        self.images = torch.tensor(images, device=self.device).flatten(1)
        self.labels = torch.tensor(labels, dtype=torch.int64, device=self.device)

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """See the protocol."""
        self.weight.zero_()
        self.weight[:, : self.outputs] = torch.tensor(np.asarray(weights["1.weight"]).T, dtype=self.dtype)
        self._new_optimizer()

    def weights(self) -> dict[str, Array]:
        """See the protocol."""
        return {"1.weight": self._as_given(self.weight)}

    def _as_given(self, weight: Tensor) -> Array:
        """[inputs, 16] in the protocol's layout."""
        return weight[:, : self.outputs].T.contiguous().cpu().numpy().copy()

    def _forward(self, images: Tensor, order: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rates [N, 16] and membranes [T, N, 16]."""
        size = len(order)
        steps = self.task.steps if given is None else len(given)
        membranes = torch.empty(steps, size, OUTPUTS, dtype=self.dtype, device=self.device)
        rates = torch.empty(size, OUTPUTS, dtype=self.dtype, device=self.device)
        forward[(triton.cdiv(size, IMAGES),)](
            images, order, given, self.weight, membranes, rates, size, steps, self.inputs, self._key(),
            self.gain, self.keep, self.neuron.threshold,
            DRAWN=given is None, DOUBLE=self.dtype == torch.float64, IMAGES=IMAGES, PIXELS=PIXELS,
            OUTPUTS=OUTPUTS,
        )  # fmt: skip
        return rates, membranes

    def _key(self) -> int:
        """Of Philox: one for each batch that is drawn."""
        return self.seed << 32 | self.drawn

    def _gradient(
        self, images: Tensor, order: Tensor, given: Tensor | None, membranes: Tensor, to_rates: Tensor
    ) -> Tensor:
        """Of the weights [inputs, 16]; the membranes are used up."""
        steps, size = membranes.shape[:2]
        backward_neurons[(triton.cdiv(size, IMAGES),)](
            membranes, to_rates, size, steps, self.gain, self.keep, self.neuron.threshold,
            self.neuron.alpha, IMAGES=IMAGES, OUTPUTS=OUTPUTS,
        )  # fmt: skip
        parts = torch.empty(PARTS, self.inputs, OUTPUTS, dtype=self.dtype, device=self.device)
        backward_weights[(triton.cdiv(self.inputs, PIXELS), PARTS)](
            images, order, given, membranes, parts, size, steps, self.inputs, self._key(),
            DRAWN=given is None, DOUBLE=self.dtype == torch.float64, IMAGES=IMAGES, PIXELS=PIXELS,
            OUTPUTS=OUTPUTS,
        )  # fmt: skip
        return parts.sum(0)

    def _to_rates(self, rates: Tensor, codes: Tensor) -> Tensor:
        """The gradient of the mean squared error over all outputs that there are."""
        return 2 * (rates - codes) / (len(rates) * self.outputs)

    @torch.no_grad()
    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol."""
        seen = []
        for batch in torch.tensor(order, dtype=torch.int64, device=self.device):
            rates, membranes = self._forward(self.images, batch, None)
            to_rates = self._to_rates(rates, self.codes[self.labels[batch]])
            self.weight.grad = self._gradient(self.images, batch, None, membranes, to_rates)
            self.drawn += 1
            self.optimizer.step()
            seen.append(rates[:, : self.outputs])
        return torch.cat(seen).cpu().numpy()

    @torch.no_grad()
    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol."""
        pixels = torch.tensor(images, device=self.device).flatten(1)
        seen = []
        for order in torch.arange(len(pixels), device=self.device).split(EVALUATED):
            seen.append(self._forward(pixels, order, None)[0][:, : self.outputs])
            self.drawn += 1
        return torch.cat(seen).cpu().numpy()

    @torch.no_grad()
    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """See the protocol."""
        steps, size = inputs.shape[:2]
        given = torch.tensor(np.ascontiguousarray(inputs), dtype=self.dtype, device=self.device)
        given = given.reshape(steps, size, -1)
        order = torch.arange(size, device=self.device)
        rates, membranes = self._forward(given, order, given)
        spikes = (membranes >= self.neuron.threshold)[..., : self.outputs].to(self.dtype)
        gradients = {}
        if training:
            targets = torch.zeros_like(rates)
            targets[:, : self.outputs] = torch.tensor(np.asarray(codes), dtype=self.dtype)
            to_rates = self._to_rates(rates, targets)
            gradients["1.weight"] = self._as_given(self._gradient(given, order, given, membranes, to_rates))
        return Trace(spikes=(spikes.cpu().numpy(),), gradients=gradients)

    def state(self) -> bytes:
        """See the protocol; random numbers are a function of the seed and of the batches drawn."""
        buffer = io.BytesIO()
        counts = [self.stepped, self.drawn, self.seed]
        torch.save(
            {"weight": self.weight, "optimizer": self.optimizer.state_dict(), "counts": counts}, buffer
        )
        return buffer.getvalue()

    def restore(self, state: bytes) -> None:
        """See the protocol."""
        kept = torch.load(io.BytesIO(state), map_location=self.device, weights_only=True)
        self.weight.copy_(kept["weight"])
        self._new_optimizer()
        self.optimizer.load_state_dict(kept["optimizer"])
        self.stepped, self.drawn, self.seed = kept["counts"]
