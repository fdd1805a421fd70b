"""The tasks of the family and their default sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tasks.plasticity.spec import PIXELS, Encoder, Naive, Stdp, Task


class Form(NamedTuple):
    """How a naive layer starts: the range of its weights, and what it sees."""

    low: float
    high: float
    encoder: Encoder


# weights as linear layers have them by default; weights that let everything fire; the same on constant input
DEFAULT = PIXELS**-0.5
FORMS = {
    "silent": Form(-DEFAULT, DEFAULT, "bernoulli"),
    "saturated": Form(0.0, 1.0, "bernoulli"),
    "cancelling": Form(0.0, 1.0, "direct"),
}


def stdp(
    *,
    neurons: int = 400,
    steps: int = 40,
    batch: int = 32,
    epochs: int = 1,
    eta: float = 0.07,
    tplus: float = 0.7,
) -> Stdp:
    """The rule that works, with eta and tplus for 400 neurons."""
    return Stdp(neurons=neurons, steps=steps, batch=batch, epochs=epochs, eta=eta, tplus=tplus)


def stdp_naive(
    *, form: str = "silent", neurons: int = 10, steps: int = 4, batch: int = 128, epochs: int = 1
) -> Naive:
    """The settings of a user whose network did not learn, in one of the forms that this can take.

    Raises:
        ValueError: there is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    low, high, encoder = FORMS[form]
    return Naive(
        neurons=neurons, steps=steps, batch=batch, epochs=epochs, encoder=encoder, low=low, high=high
    )


TASKS: dict[str, Callable[..., Task]] = {"stdp": stdp, "stdp_naive": stdp_naive}
