"""The parity certificate: does an adapter's layer fire, and does its gradient flow, as reference.py says?

Every comparison has a bound but those of mixed precision; what is no finite number breaks any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.layer import reference
from tasks.layer.protocol import Array, Pass, Passed
from tasks.layer.spec import Float, Flow, Layer, draw
from tasks.measuring import Deviation, Wrong, finite
from tasks.protocol import Settings

Build = Callable[[Any, Settings], Pass]


class Bounds(NamedTuple):
    """What a precision may deviate by; None: measured, not judged.

    ``spikes``: share that differs; ``gradient``: relative error; ``real_spikes`` and ``real_gradient``: as
    these two at a cell's own size, where among millions of membranes some are at the threshold but for
    rounding.
    """

    spikes: float | None
    gradient: float | None
    real_spikes: float | None
    real_gradient: float | None


BOUNDS = {
    "float64": Bounds(0.0, 1e-12, 0.0, 1e-12),
    "float32": Bounds(0.0, 1e-5, 1e-4, 0.05),
    "amp": Bounds(None, None, None, None),
    "tf32": Bounds(None, None, None, None),
}
NEURONS, STEPS, BATCH = 24, 16, 5  # three lengths that no exchange of axes leaves as they were
RATE_RANGE = (0.05, 0.95)
SEEN = 64  # neurons that are compared at the cell's own size


def shrink(task: Layer) -> Layer:
    """The task at a size that the reference runs in no time."""
    return replace(task, neurons=NEURONS, steps=STEPS, batch=BATCH)


def certify(build: Build, task: Layer, settings: Settings) -> Iterator[Deviation]:
    """Every comparison of one adapter, variant and precision with the reference."""
    small, bounds = shrink(task), BOUNDS[settings.arithmetic]
    layer = build(small, settings)
    flows = {"random": draw(small, 40), "others": draw(small, 41), "threshold": _on_a_grid(draw(small, 42))}
    for probe, flow in flows.items():
        expected = reference.run(flow, NEURONS)
        rate = float(np.mean(expected.spikes))
        vacuous = float(not RATE_RANGE[0] <= rate <= RATE_RANGE[1])
        yield Deviation("vacuous probes", probe, settings.arithmetic, vacuous, 0.0)
        layer.load(flow)
        # twice: neither a membrane nor a gradient may stay from the pass before
        for where in (probe, f"{probe}, again"):
            layer.forward()
            layer.backward()
            spikes, gradients = _compare(layer.passed(NEURONS), expected, everything=True)
            yield Deviation("spike difference", where, settings.arithmetic, spikes, bounds.spikes)
            for name, error in gradients.items():
                yield Deviation(f"{name} gradient error", where, settings.arithmetic, error, bounds.gradient)


def check_real_size(layer: Pass, task: Layer, settings: Settings, flow: Flow) -> float:
    """The last timed pass, for the first neurons.

    Returns:
        Their spikes per neuron and step.

    Raises:
        Wrong: it is not the reference's.
    """
    first = min(SEEN, task.neurons)
    expected, bounds = reference.run(flow, first), BOUNDS[settings.arithmetic]
    passed = layer.passed(first)
    spikes, gradients = _compare(passed, expected, everything=first == task.neurons)
    found = [("spikes", spikes, bounds.real_spikes)]
    found += [(f"{name} gradients", error, bounds.real_gradient) for name, error in gradients.items()]
    for what, value, bound in found:
        if bound is not None and not value <= bound:
            raise Wrong(
                f"at its real size, {what} differ by {value:.3g} from the reference, more than {bound:g}"
            )
    return float(np.mean(passed.spikes))


def _on_a_grid(flow: Flow) -> Flow:
    """Values in eighths: sums and membranes are exact in every precision, and some meet the threshold."""

    def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return (np.round(values * 8) / 8).astype(np.float32)

    if flow.weight is None:
        return replace(flow, inputs=rounded(flow.inputs))
    return replace(flow, weight=rounded(flow.weight))


def _compare(seen: Passed, expected: Passed, *, everything: bool) -> tuple[float, dict[str, float]]:
    """Share of spikes that differ, and the relative error of each gradient that the reference knows."""
    gradients = {}
    if everything or expected.weight_gradient is None:
        gradients["input"] = _error(seen.input_gradient, expected.input_gradient)
    if expected.weight_gradient is not None:
        gradients["weight"] = _error(seen.weight_gradient, expected.weight_gradient)
    return _difference(seen.spikes, expected.spikes), gradients


def _difference(seen: Array, expected: Array) -> float:
    """Share of spikes that differ; infinite where shapes do, or one is neither 0 nor 1."""
    found = finite(seen)
    if found is None or found.shape != expected.shape or not ((found == 0) | (found == 1)).all():
        return math.inf
    return float((found != expected).mean())


def _error(seen: Array | None, expected: Array) -> float:
    """Error relative to the gradient; infinite where shapes differ or there should be none."""
    found: Float | None = None if seen is None else finite(seen)
    size = float(np.linalg.norm(expected))
    if found is None or found.shape != expected.shape or size == 0:
        return math.inf
    return float(np.linalg.norm(found - expected)) / size
