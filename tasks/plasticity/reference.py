"""The truth of the family: both rules in float64 NumPy, sample by sample as spec.py has them."""

from __future__ import annotations

import numpy as np

from tasks.plasticity.spec import Float, Naive, Stdp, Task, normalised


class Reference:
    """A layer with its ``weights`` [neurons, pixels] and, where they adapt, ``thresholds`` [neurons]."""

    def __init__(self, task: Task, weights: Float) -> None:
        self.task = task
        self.weights = weights.copy()
        self.thresholds = np.zeros(len(weights))

    def run(self, inputs: Float, scale: float | None = None) -> Float:
        """Spikes 0/1 [steps, n, neurons] of one batch [steps, n, pixels]; learns by ``scale``, if at all."""
        if isinstance(self.task, Stdp):
            return self._compete(self.task, inputs, scale)
        return self._fire(self.task, inputs, scale)

    def _compete(self, task: Stdp, inputs: Float, scale: float | None) -> Float:
        count = inputs.shape[1]
        membrane = np.zeros((count, len(self.weights)))
        trace = np.zeros(inputs.shape[1:])
        change = np.zeros_like(self.weights)
        spikes = np.zeros((len(inputs), count, len(self.weights)))
        for step, x in enumerate(inputs):
            membrane += task.gain * x @ self.weights.T - membrane / task.tau_membrane
            trace += x / (task.rate * task.tau_trace) - trace / task.tau_trace
            above = membrane - task.threshold - self.thresholds
            for sample, winner in enumerate(above.argmax(axis=1)):
                if above[sample, winner] >= 0:
                    spikes[step, sample, winner] = 1
                    membrane[sample] = 0
                    change[winner] += trace[sample]
            if scale is not None:
                fired = spikes[step].sum(axis=0)
                self.thresholds = self.thresholds + scale * task.tplus * (fired - fired.mean())
        if scale is not None:
            self.weights = normalised(self.weights + scale * task.eta * change, task.norm)
        return spikes

    def _fire(self, task: Naive, inputs: Float, scale: float | None) -> Float:
        count = inputs.shape[1]
        membrane = np.zeros((count, len(self.weights)))
        pre, post = np.zeros(inputs.shape[1:]), np.zeros_like(membrane)
        change = np.zeros_like(self.weights)
        spikes = np.zeros((len(inputs), count, len(self.weights)))
        for step, x in enumerate(inputs):
            membrane += (x @ self.weights.T - membrane) / task.tau
            fired = (membrane >= task.threshold).astype(np.float64)
            membrane *= 1 - fired
            pre += x - pre / task.tau
            post += fired - post / task.tau
            change += fired.T @ pre - post.T @ x
            spikes[step] = fired
        if scale is not None:
            force = np.clip(self.weights, -task.limit, task.limit)
            moved = self.weights + scale * task.lr * force * change
            self.weights = np.clip(moved, -task.limit, task.limit)
        return spikes
