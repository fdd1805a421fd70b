"""What a training has come to, in words, from what was measured and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.plasticity.spec import Float

ALWAYS = 0.95  # spikes per neuron and step
STILL = 1e-4  # relative change of all weights
ALIKE = 0.99  # mean cosine between the weights of two neurons


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A training: its batches, output spikes per image, weights [neurons, pixels] before and after.

    ``steps``: for how many an image was shown; ``labelled``: how many neurons respond to a training image at
    all afterwards.
    """

    batches: int
    steps: int
    spikes: float
    before: Float
    after: Float
    labelled: int


def diagnose(seen: Seen) -> str:
    """One sentence: what is wrong, by what it is seen, and what to do; or what was learned."""
    rate = seen.spikes / (seen.steps * len(seen.after))  # per neuron and step
    moved = float(np.linalg.norm(seen.after - seen.before) / np.linalg.norm(seen.before))
    fired = f"outputs fire in {100 * rate:.3g} % of the steps"
    if seen.spikes == 0:
        return (
            f"silent: no output spikes in {seen.batches} batches, so that no weight can change; "
            "raise weights or lower the threshold"
        )
    if moved < STILL:
        return (
            f"cancelling: {fired} and no weight has moved in {seen.batches} batches, since potentiation and "
            "depression cancel; let inputs spike, or give depression another size than potentiation"
        )
    if rate >= ALWAYS:
        return (
            f"saturated: {fired} whatever they see, so that weights move by {100 * moved:.3g} % and outputs "
            "tell nothing apart; lower weights or raise the threshold"
        )
    if _likeness(seen.after) >= ALIKE:
        return (
            "alike: all neurons have the same weights; let a spike inhibit the others, so that they compete"
        )
    return (
        f"learning: an image causes {seen.spikes:.3g} spikes, weights have moved by {100 * moved:.3g} %, and "
        f"{seen.labelled} of {len(seen.after)} neurons respond to training images"
    )


def _likeness(weights: Float) -> float:
    """Mean cosine between the weights [neurons, pixels] of two neurons; 0 where there is only one."""
    count = len(weights)
    if count < 2:
        return 0.0
    lengths = np.linalg.norm(weights, axis=1, keepdims=True)
    units = weights / np.where(lengths > 0, lengths, 1)
    total = float((units.sum(axis=0) ** 2).sum())
    return (total - count) / (count * (count - 1))
