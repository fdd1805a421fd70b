"""The one registry of figures: what stands in results.csv, in tables and plots, and how to read it.

A record with a figure that is not here, or with a value out of its range, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.report.text import megabytes, percent, rate, significant, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    ``heading`` of its column, ``unit`` as it is stored, ``meaning`` in a sentence, ``better`` is ``lower``,
    ``higher`` or empty, ``spell`` writes a value, from 0 to ``most``, in the unit of the heading.
    """

    name: str
    heading: str
    unit: str
    meaning: str
    better: str = ""
    spell: Callable[[float], str] = significant
    most: float = math.inf
    scale: float = 1.0  # from the stored unit to that of the heading, for axes

    def check(self, value: float) -> None:
        """Raise ValueError where the value cannot be one of this figure."""
        if not (math.isfinite(value) and 0 <= value <= self.most):
            raise ValueError(f"{self.name} is {value!r}, which no {self.heading} can be")


_ALL = (
    Figure(
        name="test_accuracy",
        heading="test accuracy (%)",
        unit="share",
        better="higher",
        most=1.0,
        spell=percent,
        scale=100.0,
        meaning="Share of all test images classified correctly after the last epoch, if there was any. "
        "The curves are evaluated on the number of images that their axis names.",
    ),
    Figure(
        name="bitwise_accuracy",
        heading="bitwise accuracy (%)",
        unit="share",
        better="higher",
        most=1.0,
        spell=percent,
        scale=100.0,
        meaning="The test accuracy where the label code is one of bits and every output's rate is read as a "
        "bit, 1 above one half, in place of the nearest codeword; a word of no class is an error.",
    ),
    Figure(
        name="best_test_accuracy",
        heading="best test accuracy (%)",
        unit="share",
        better="higher",
        most=1.0,
        spell=percent,
        scale=100.0,
        meaning="The best test accuracy of any epoch, where every epoch has seen all test images.",
    ),
    Figure(
        name="train_accuracy",
        heading="train accuracy (%)",
        unit="share",
        better="higher",
        most=1.0,
        spell=percent,
        scale=100.0,
        meaning="Share of the training images classified correctly while the last epoch trained on them.",
    ),
    Figure(
        name="rmse",
        heading="RMSE",
        unit="",
        better="lower",
        meaning="Root mean square difference between what a network decodes and its ideal, the same network "
        "with every ensemble replaced by its function; the median over networks and stimuli, the first 0.2 "
        "s left out.",
    ),
    Figure(
        name="build_seconds",
        heading="build (s)",
        unit="s",
        better="lower",
        meaning="Seconds from weights, or from the networks' arrays, to something that can run; drawing "
        "neurons and solving decoders is not part of it.",
    ),
    Figure(
        name="first_run_seconds",
        heading="first run (s)",
        unit="s",
        better="lower",
        meaning="Seconds of the first simulation, in which compilation and caching happen.",
    ),
    Figure(
        name="cold_epoch_seconds",
        heading="cold epoch (s)",
        unit="s",
        better="lower",
        meaning="Seconds of the first epoch, in which compilation, kernel selection and caching happen. It "
        "is never part of s/epoch.",
    ),
    Figure(
        name="epoch_seconds",
        heading="s/epoch",
        unit="s",
        better="lower",
        meaning="Seconds per training epoch: the median of the epochs after the first one, the device "
        "synchronised before and after each turn. Evaluation is not part of it.",
    ),
    Figure(
        name="train_seconds",
        heading="training (s)",
        unit="s",
        better="lower",
        meaning="Seconds of all epochs together: the time to compare across divisions.",
    ),
    Figure(
        name="eval_seconds",
        heading="evaluation (s)",
        unit="s",
        better="lower",
        meaning="Seconds to classify all test images.",
    ),
    Figure(
        name="element_nanoseconds",
        heading="ns/neuron/step",
        unit="ns",
        better="lower",
        meaning="Nanoseconds of a pass, forward and backward, per neuron, time step and sample.",
    ),
    Figure(
        name="pass_seconds",
        heading="pass (s)",
        unit="s",
        better="lower",
        meaning="Seconds of a pass through one layer, forward and backward, at the median turn.",
    ),
    Figure(
        name="forward_seconds",
        heading="forward (s)",
        unit="s",
        better="lower",
        meaning="Seconds from input to spikes, at the median turn.",
    ),
    Figure(
        name="backward_seconds",
        heading="backward (s)",
        unit="s",
        better="lower",
        meaning="Seconds from the gradient of the spikes to those of input and weights, at the median turn.",
    ),
    Figure(
        name="images_per_second",
        heading="images/s",
        unit="1/s",
        better="higher",
        spell=whole,
        meaning="Training images per second, at the median epoch.",
    ),
    Figure(
        name="sim_speed",
        heading="networks × s/s",
        unit="s/s",
        better="higher",
        meaning="Networks times simulated seconds per second of wall time, at the median run after the "
        "first one.",
    ),
    Figure(
        name="host_peak_bytes",
        heading="host peak (MB)",
        unit="bytes",
        better="lower",
        spell=megabytes,
        scale=1e-6,
        meaning="Largest resident memory of the cell's process, libraries included. MB are 10^6 bytes.",
    ),
    Figure(
        name="imported_bytes",
        heading="host peak, imports (MB)",
        unit="bytes",
        better="lower",
        spell=megabytes,
        scale=1e-6,
        meaning="Largest resident memory of the cell's process when the framework had been imported and set "
        "up, and nothing else done.",
    ),
    Figure(
        name="built_bytes",
        heading="host peak, until built (MB)",
        unit="bytes",
        better="lower",
        spell=megabytes,
        scale=1e-6,
        meaning="Largest resident memory of the cell's process when it had its data and its network, before "
        "the first turn.",
    ),
    Figure(
        name="device_allocated_bytes",
        heading="device allocated (MB)",
        unit="bytes",
        better="lower",
        spell=megabytes,
        scale=1e-6,
        most=1e13,
        meaning="Peak of the framework's own allocator on the device. The training images, which lie there, "
        "are among it, and about 34 MB in which cuBLAS works.",
    ),
    Figure(
        name="device_used_bytes",
        heading="device used (MB)",
        unit="bytes",
        better="lower",
        spell=megabytes,
        scale=1e-6,
        most=1e13,
        meaning="Most memory of the device that the driver counted for the cell's process at the end of a "
        "turn, its context included.",
    ),
    Figure(
        name="device_context_bytes",
        heading="device context (MB)",
        unit="bytes",
        better="lower",
        spell=megabytes,
        scale=1e-6,
        most=1e13,
        meaning="Memory of the device that the driver counted for the cell's process before it had built "
        "anything: what the CUDA context and the framework's libraries take by themselves.",
    ),
    Figure(
        name="energy_joules",
        heading="energy (J)",
        unit="J",
        better="lower",
        most=1e12,
        meaning="Energy of the device in all turns that the cell had to itself, by the driver's counter: its "
        "idle power, which stands among the provenance as idle_watts, is part of it. Absent where the turns "
        "add up to less than 10 s, or another's process was on the device.",
    ),
    Figure(
        name="sm_clock_mhz",
        heading="SM clock (MHz)",
        unit="MHz",
        spell=whole,
        most=1e4,
        meaning="Clock of the device's multiprocessors at the end of a turn; the median of the cell's turns.",
    ),
    Figure(
        name="lowest_sm_clock_mhz",
        heading="lowest SM clock (MHz)",
        unit="MHz",
        spell=whole,
        most=1e4,
        meaning="The lowest clock of the device's multiprocessors at the end of any of the cell's turns.",
    ),
    Figure(
        name="device_celsius",
        heading="device temperature (°C)",
        unit="°C",
        spell=whole,
        most=150.0,
        meaning="The highest temperature of the device at the end of any of the cell's turns.",
    ),
    Figure(
        name="device_others",
        heading="others on the device",
        unit="1",
        spell=whole,
        meaning="The most processes of others that the driver counted on the device at the end of a turn; "
        "where there is one, times may be its doing.",
    ),
    Figure(
        name="spike_rate",
        heading="spike rate",
        unit="1",
        spell=rate,
        most=1.0,
        meaning="Spikes per neuron and time step.",
    ),
    Figure(
        name="active_neurons",
        heading="active neurons (%)",
        unit="share",
        most=1.0,
        spell=percent,
        scale=100.0,
        meaning="Share of the neurons that respond to any of the training images by which they get their "
        "labels.",
    ),
    Figure(
        name="dense_synops",
        heading="dense operations per image",
        unit="1",
        spell=whole,
        meaning="Synaptic operations per image over all its steps, zeros included, as NeuroBench counts "
        "them: weights of convolutions and linear layers that an input meets; no biases, no padding.",
    ),
    Figure(
        name="effective_macs",
        heading="effective MACs per image",
        unit="1",
        better="lower",
        spell=whole,
        meaning="Of the dense operations those of inputs and weights that are not 0, in layers whose "
        "inputs are no spikes: multiplications and additions.",
    ),
    Figure(
        name="effective_acs",
        heading="effective ACs per image",
        unit="1",
        better="lower",
        spell=whole,
        meaning="Of the dense operations those of inputs and weights that are not 0, in layers whose "
        "inputs are spikes: additions alone.",
    ),
    Figure(
        name="training_operations",
        heading="least operations per training image",
        unit="1",
        spell=whole,
        meaning="What a training step cannot do without, in weights that are multiplied or added: twice the "
        "effective operations (forward, and for the gradient of the weights) and once the dense ones (for "
        "the gradient of the inputs, but in the first layer); an input that never changes is seen once.",
    ),
    Figure(
        name="footprint_bytes",
        heading="footprint (bytes)",
        unit="bytes",
        better="lower",
        spell=whole,
        meaning="All parameters and running statistics in float32.",
    ),
)

FIGURES: dict[str, Figure] = {figure.name: figure for figure in _ALL}
