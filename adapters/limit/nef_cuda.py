"""Networks of LIF ensembles on a GPU: one program takes a network through all its steps, in Triton.

Its neurons stand around a vector of channels, as nef.c has them; what they remember stays in registers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import triton
import triton.language as tl

from adapters.limit.nef import Layout
from tasks.nef.model import Model
from tasks.nef.protocol import Array, NefResult
from tasks.nef.spec import Nef
from tasks.protocol import Settings, Unsupported


@triton.jit
def expm1_over(x):  # type: ignore[no-untyped-def]
    """expm1(x) / x as a power series, right to the last bits for |x| <= 0.05."""
    y = 1 + x / 9
    y = 1 + x / 8 * y
    y = 1 + x / 7 * y
    y = 1 + x / 6 * y
    y = 1 + x / 5 * y
    y = 1 + x / 4 * y
    y = 1 + x / 3 * y
    return 1 + x / 2 * y


@triton.jit
def log1p_over(y, TERMS: tl.constexpr):  # type: ignore[no-untyped-def]
    """log1p(-y) / -y as a power series, right to the last bits for 0 <= y <= 0.05."""
    total = y * 0
    for back in tl.static_range(TERMS):
        total = total * y + 1.0 / (TERMS - back)
    return total


@triton.jit
def simulate(  # type: ignore[no-untyped-def]
    bias, voltage, encoders, decoders, keep, drive, decoded, fired, steps, neurons, channels, outputs,
    dt: tl.constexpr, tau_rc: tl.constexpr, tau_ref: tl.constexpr, NEURONS: tl.constexpr,
    CHANNELS: tl.constexpr, TERMS: tl.constexpr,
):  # fmt: skip
    """One network; see ``Nef`` in tasks/nef/spec.py for the neurons' step."""
    model = tl.program_id(0)
    neuron, channel = tl.arange(0, NEURONS), tl.arange(0, CHANNELS)
    lives, used = neuron < neurons, channel < channels
    b = tl.load(bias + model * neurons + neuron, mask=lives, other=0.0)
    v = tl.load(voltage + model * neurons + neuron, mask=lives, other=0.0)
    place = (model * channels + channel[:, None]) * neurons + neuron[None, :]
    whole = used[:, None] & lives[None, :]
    encoder = tl.load(encoders + place, mask=whole, other=0.0)
    decoder = tl.load(decoders + place, mask=whole, other=0.0)
    kept = tl.load(keep + channel, mask=used, other=0.0)
    r = tl.zeros_like(v)
    x = tl.zeros_like(kept)
    read = channel - (channels - outputs)  # the last channels are the decoded output
    for step in range(0, steps):
        row = model * steps + step
        tl.store(decoded + row * outputs + read, x, mask=used & (read >= 0))
        current = b + tl.sum(encoder * x[:, None], 0)
        left = r - dt
        opened = tl.minimum(tl.maximum(dt - left, 0.0), dt)
        z = -opened / tau_rc
        charged = v - (current - v) * (z * expm1_over(z))
        spikes = charged > 1
        over = tl.where(spikes, (charged - 1) / (current - 1), 0.0)
        r = tl.where(spikes, tau_ref + dt - tau_rc * (over * log1p_over(over, TERMS)), left)
        v = tl.where(spikes, 0.0, tl.maximum(charged, 0.0))
        tl.store(fired + row.to(tl.int64) * neurons + neuron, spikes.to(tl.int8), mask=lives)
        added = tl.load(drive + step * channels + channel, mask=used, other=0.0)
        x = x * kept + added + tl.sum(tl.where(spikes[None, :], decoder, 0.0), 1)


class Networks(Layout):
    """``NefSimulator`` of tasks/nef/protocol.py; ``device``: a GPU, or the CPU under Triton's interpreter.

    Raises:
        Unsupported: mixed precision, or a time step too long for the series that the kernel has.
    """

    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model], device: torch.device) -> None:
        if settings.precision == "amp":
            raise Unsupported("no kernel is written for mixed precision")
        super().__init__(task, models, lanes=1, double=settings.precision == "float64")
        self.device = device

    def run(self, inputs: Array) -> NefResult:
        """See the protocol."""
        models, steps = len(self.bias), len(inputs)
        outputs = self.task.ensemble(self.task.output).dimensions
        drive = np.ascontiguousarray(inputs @ self.from_inputs, self.dtype)
        arrays = (self.bias, self.voltage, self.encoders, self.decoders, self.keep, drive)
        tensors = [torch.tensor(array, device=self.device) for array in arrays]
        decoded = torch.empty(models, steps, outputs, dtype=tensors[0].dtype, device=self.device)
        fired = torch.empty(models, steps, self.neurons, dtype=torch.int8, device=self.device)
        simulate[(models,)](
            *tensors, decoded, fired, steps, self.neurons, len(self.channels), outputs, self.task.dt,
            self.task.tau_rc, self.task.tau_ref, NEURONS=triton.next_power_of_2(self.neurons),
            CHANNELS=triton.next_power_of_2(len(self.channels)),
            TERMS=12 if self.dtype == np.float64 else 6,
        )  # fmt: skip
        spikes = fired.bool().cpu().numpy()
        return NefResult(
            decoded=decoded.cpu().numpy(),
            spikes={name: spikes[:, :, rows] for name, rows in self.rows.items()},
        )
