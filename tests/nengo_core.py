"""What Nengo core makes of the NEF tasks' parts, beside ours; runs in Nengo's environment.

python -m tests.nengo_core      one JSON object on stdout, see ``main``
"""

from __future__ import annotations

import json
from dataclasses import replace

import nengo
import numpy as np

from adapters.nengo.adapter import VARIANTS, Together, configure, nef_simulator
from adapters.nengo.inference import Layer
from tasks.classify import reference
from tasks.classify.networks import csnn, fc_lif
from tasks.classify.probes import probes
from tasks.classify.spec import Flatten, Linear, Spike
from tasks.nef.examples import TASKS, memory
from tasks.nef.model import Model, build_model, gain_and_bias, rates, solve_decoders
from tasks.nef.reference import simulate
from tasks.nef.scores import ideal
from tasks.nef.spec import FUNCTIONS, Float, Nef
from tasks.nef.stimuli import stimulus_array
from tasks.protocol import Settings, Unsupported

SETTINGS = Settings(precision="float64")


def simulators() -> dict[str, dict[str, float]]:
    """By task: spikes of Nengo core, those that differ from the reference's, largest decoded difference.

    ``planted``: spikes that differ where the reference starts one neuron of each ensemble elsewhere.
    """
    found = {}
    for name, factory in TASKS.items():
        task = factory(n=50)
        models = [build_model(task, seed) for seed in range(2)]
        simulator = nef_simulator(task, SETTINGS, models, kind=Together)
        counts = {"spikes": 0, "different": 0, "planted": 0}
        error = 0.0
        for stimulus in task.stimuli:
            inputs = stimulus_array(task, stimulus)
            core, truth = simulator.run(inputs), simulate(task, models, inputs)
            moved = simulate(task, [_moved(model) for model in models], inputs)
            error = max(error, float(np.abs(core.decoded - truth.decoded).max()))
            for ensemble, spikes in core.spikes.items():
                counts["spikes"] += int(spikes.sum())
                counts["different"] += int((spikes != truth.spikes[ensemble]).sum())
                counts["planted"] += int((spikes != moved.spikes[ensemble]).sum())
        found[name] = counts | {"error": error}
    return found


def _moved(model: Model) -> Model:
    populations = {}
    for name, population in model.populations.items():
        voltage = population.voltage.copy()
        loudest = population.bias.argmax()
        voltage[loudest] = (voltage[loudest] + 0.5) % 1
        populations[name] = replace(population, voltage=voltage)
    return replace(model, populations=populations)


def integrate_and_fire() -> dict[str, int]:
    """Spikes of the certificate's integrate-and-fire probes, and those of Nengo core that differ."""
    found = {"spikes": 0, "different": 0}
    for probe in probes(csnn()):
        match probe.task.layers:
            case (Flatten(), Linear(), Spike() as spike):
                weight = probe.weights["1.weight"]
            case _:
                continue  # convolutions
        truth = reference.run(probe.task.layers, probe.weights, probe.inputs, probe.codes, training=False)
        seen = Layer(spike, weight, probe.inputs.shape[1]).run(probe.inputs)
        found["spikes"] += int(seen.sum())
        found["different"] += int((seen != truth.spikes[-1]).sum())
    return found


def ideals() -> dict[str, float]:
    """By task: largest difference between ``ideal`` and Nengo's ``Direct`` mode, over all stimuli."""
    worst = {}
    for name, factory in TASKS.items():
        task = factory()
        worst[name] = max(
            float(np.abs(_direct(task, inputs) - ideal(task, inputs)).max())
            for inputs in (stimulus_array(task, stimulus) for stimulus in task.stimuli)
        )
    return worst


def _direct(task: Nef, inputs: Float) -> Float:
    with nengo.Network() as network:
        sources = {
            name: nengo.Node(lambda t, i=index: inputs[round(t / task.dt) - 1, i], size_out=1)
            for index, name in enumerate(task.inputs)
        }
        for e in task.ensembles:
            sources[e.name] = nengo.Ensemble(1, e.dimensions, neuron_type=nengo.Direct())
        for c in task.connections:
            function = FUNCTIONS[c.function] if c.source not in task.inputs else None
            target = sources[c.target][c.arrives]
            how = {"synapse": c.synapse, "transform": c.transform}
            nengo.Connection(sources[c.source], target, function=function, **how)
        probe = nengo.Probe(sources[task.output], synapse=task.probe_synapse)
    with nengo.Simulator(network, dt=task.dt, progress_bar=False) as simulator:
        simulator.run_steps(len(inputs), progress_bar=False)
    decoded: Float = simulator.data[probe]
    return decoded


def parts() -> dict[str, float]:
    """Largest relative difference between our gains, rates and decoders and those of Nengo's classes."""
    task = memory()
    rng = np.random.default_rng(0)
    largest, intercepts = rng.uniform(200, 400, 40), rng.uniform(-1, 1, 40)
    gain, bias = gain_and_bias(task, largest, intercepts)
    core = nengo.LIF(tau_rc=task.tau_rc, tau_ref=task.tau_ref)
    core_gain, core_bias = core.gain_bias(largest, intercepts)
    x = rng.uniform(-1, 1, (300, 1))
    activities = rates(task, gain * x + bias)
    core_activities = core.rates(np.broadcast_to(x, (300, 40)), gain, bias)
    decoders = solve_decoders(activities, x, 0.1)
    core_decoders, _ = nengo.solvers.LstsqL2(reg=0.1)(activities, x, rng=np.random.RandomState(0))
    pairs = {
        "gain": (gain, core_gain),
        "bias": (bias, core_bias),
        "rates": (activities, core_activities),
        "decoders": (decoders, core_decoders),
    }
    return {name: float(np.abs(a - b).max() / np.abs(b).max()) for name, (a, b) in pairs.items()}


def refusal() -> str:
    """What least squares say to a task with cross-entropy."""
    try:
        VARIANTS["least-squares"](fc_lif(loss="cross_entropy"), SETTINGS)
    except Unsupported as reason:
        return str(reason)
    return ""


def main() -> None:
    """Print ``simulators``, ``integrate_and_fire``, ``ideals``, ``parts`` and ``refusal``."""
    configure(SETTINGS)
    found = {"simulators": simulators(), "if": integrate_and_fire(), "ideals": ideals(), "parts": parts()}
    print(json.dumps(found | {"refusal": refusal()}))


if __name__ == "__main__":
    main()
