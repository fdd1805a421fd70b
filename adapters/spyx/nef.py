"""The Nengo examples: all models and ensembles at once, in spyx's scan over time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from spyx import nn

from tasks.nef.matrices import matrices
from tasks.nef.model import Model
from tasks.nef.protocol import Array, NefResult
from tasks.nef.spec import Nef
from tasks.protocol import Settings


def _step(task: Nef, made: dict[str, jax.Array], drive: jax.Array, state: Any) -> tuple[Any, Any]:
    """One step of all networks; the equations are in ``Matrices`` and ``Nef`` of tasks/nef."""
    filtered, voltage, refractory = state
    current = (made["encoders"] @ filtered[..., None])[..., 0] + made["bias"]
    refractory = refractory - task.dt
    open_for = jnp.clip(task.dt - refractory, 0, task.dt)
    voltage = voltage - (current - voltage) * jnp.expm1(-open_for / task.tau_rc)
    spikes = voltage > 1
    rest = task.tau_ref + (task.dt + task.tau_rc * jnp.log1p((1 - voltage) / (current - 1)))
    voltage = jnp.where(spikes, 0, jnp.maximum(voltage, 0))
    arriving = (spikes.astype(voltage.dtype)[:, None] @ made["decoders"])[:, 0]
    refractory = jnp.where(spikes, rest, refractory)
    return (filtered, spikes), (made["keep"] * filtered + arriving + drive, voltage, refractory)


@partial(jax.jit, static_argnames="task")
def _simulate(task: Nef, made: dict[str, jax.Array], inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Filtered values and spikes, time first."""
    start = (jnp.zeros_like(made["decoders"][:, 0]), made["voltage"], jnp.zeros_like(made["voltage"]))
    seen, _ = nn.run(partial(_step, task, made), inputs @ made["from_inputs"], start)
    return seen


class SpyxNef:
    """``NefSimulator`` of tasks/nef/protocol.py."""

    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model]) -> None:
        self.task = task
        self.dtype = jnp.dtype(settings.precision)
        made = matrices(task, models)
        self.rows = made.rows
        names = ("encoders", "bias", "voltage", "decoders", "from_inputs", "keep")
        self.made = {name: jnp.asarray(getattr(made, name), self.dtype) for name in names}

    def run(self, inputs: Array) -> NefResult:
        """See the protocol."""
        seen = _simulate(self.task, self.made, jnp.asarray(inputs, self.dtype))
        filtered, spikes = (np.moveaxis(np.array(values), 0, 1) for values in seen)
        return NefResult(
            decoded=filtered[..., -self.task.ensemble(self.task.output).dimensions :],
            spikes={name: spikes[..., rows] for name, rows in self.rows.items()},
        )
