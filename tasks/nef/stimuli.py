"""What the networks are shown: signals as arrays."""

from __future__ import annotations

import numpy as np

from tasks.nef.spec import (
    Constant,
    Float,
    Nef,
    Noise,
    Pulse,
    Ramp,
    Signal,
    Sine,
    Square,
    Stimulus,
    single,
)


def stimulus_array(task: Nef, stimulus: Stimulus) -> Float:
    """The inputs of a run, [steps, inputs]; row k is what holds during step k, from k dt to (k + 1) dt.

    Signals are taken at the end of the step, as Nengo's clock has it, but a jump never falls on one.
    """
    columns = [_signal(signal, task.steps, task.dt) for signal in stimulus.signals]
    return single(np.stack(columns, axis=1))


def _signal(signal: Signal, steps: int, dt: float) -> Float:
    time = np.arange(1, steps + 1, dtype=np.float64) * dt
    middle = time - dt / 2  # where rounding cannot move a jump to the next step
    match signal:
        case Constant():
            return np.full(steps, signal.value)
        case Ramp():
            return np.linspace(signal.start, signal.stop, steps)
        case Sine():
            return signal.amplitude * np.sin(2 * np.pi * signal.hertz * time)
        case Square():
            return np.where(np.floor(2 * signal.hertz * middle) % 2 == 0, 1.0, -1.0) * signal.amplitude
        case Pulse():
            return np.where((middle > signal.start) & (middle < signal.stop), signal.amplitude, 0.0)
        case Noise():
            rng = np.random.default_rng(signal.seed)
            hertz = np.arange(0.5, signal.hertz + 0.25, 0.5)
            phase = rng.uniform(0, 2 * np.pi, len(hertz))
            wave = np.cos(2 * np.pi * time[:, None] * hertz + phase) @ rng.normal(size=len(hertz))
            scaled: Float = wave * (signal.peak / np.abs(wave).max())
            return scaled
