"""The four Nengo examples; the networks are those of NengoGUI's tutorials."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tasks.nef.spec import Connection, Constant, Ensemble, Nef, Noise, Pulse, Ramp, Sine, Square, Stimulus


def calculate(*, n: int = 50, seeds: int = 10, sweep: Sequence[int] = ()) -> Nef:
    """b is the square of a."""
    return Nef(
        name="calculate",
        n=n,
        seeds=seeds,
        sweep=tuple(sweep),
        ensembles=(Ensemble(name="a", neurons=n), Ensemble(name="b", neurons=n)),
        connections=(
            Connection(source="stim", target="a"),
            Connection(source="a", target="b", function="square", synapse=0.01),
        ),
        inputs=("stim",),
        output="b",
        stimuli=(
            Stimulus(name="constant", signals=(Constant(value=0.2),)),
            Stimulus(name="ramp", signals=(Ramp(start=-1, stop=1),)),
            Stimulus(name="noise", signals=(Noise(hertz=5, peak=1, seed=0),)),
        ),
    )


def add(*, n: int = 50, seeds: int = 10, sweep: Sequence[int] = ()) -> Nef:
    """c is the sum of a and b."""
    return Nef(
        name="add",
        n=n,
        seeds=seeds,
        sweep=tuple(sweep),
        ensembles=tuple(Ensemble(name=name, neurons=n) for name in "abc"),
        connections=(
            Connection(source="stim_a", target="a"),
            Connection(source="stim_b", target="b"),
            Connection(source="a", target="c"),
            Connection(source="b", target="c"),
        ),
        inputs=("stim_a", "stim_b"),
        output="c",
        stimuli=(
            Stimulus(name="constant", signals=(Constant(value=0.3), Constant(value=0.4))),
            Stimulus(name="ramp", signals=(Ramp(start=-0.5, stop=0.5), Sine(hertz=1, amplitude=0.5))),
            Stimulus(
                name="noise",
                signals=(Noise(hertz=5, peak=0.5, seed=0), Noise(hertz=5, peak=0.5, seed=1)),
            ),
        ),
    )


def multiply(*, n: int = 50, seeds: int = 10, sweep: Sequence[int] = ()) -> Nef:
    """d is the product of a and b, which meet in the two-dimensional c."""
    return Nef(
        name="multiply",
        n=n,
        seeds=seeds,
        sweep=tuple(sweep),
        ensembles=(
            Ensemble(name="a", neurons=n),
            Ensemble(name="b", neurons=n),
            Ensemble(name="c", neurons=4 * n, dimensions=2, radius=1.5),
            Ensemble(name="d", neurons=n),
        ),
        connections=(
            Connection(source="stim_a", target="a"),
            Connection(source="stim_b", target="b"),
            Connection(source="a", target="c", into=0),
            Connection(source="b", target="c", into=1),
            Connection(source="c", target="d", function="product"),
        ),
        inputs=("stim_a", "stim_b"),
        output="d",
        stimuli=(
            Stimulus(name="constant", signals=(Constant(value=0.2), Constant(value=0.5))),
            Stimulus(name="ramp", signals=(Ramp(start=-1, stop=1), Sine(hertz=1, amplitude=1))),
            Stimulus(name="noise", signals=(Noise(hertz=5, peak=1, seed=0), Noise(hertz=5, peak=1, seed=1))),
        ),
    )


def memory(*, n: int = 50, seeds: int = 10, sweep: Sequence[int] = ()) -> Nef:
    """b integrates a: transform 0.1 over the feedback's 0.1 s makes x' = u."""
    return Nef(
        name="memory",
        n=n,
        seeds=seeds,
        sweep=tuple(sweep),
        ensembles=(Ensemble(name="a", neurons=n), Ensemble(name="b", neurons=n)),
        connections=(
            Connection(source="stim", target="a"),
            Connection(source="a", target="b", transform=0.1),
            Connection(source="b", target="b", synapse=0.1),
        ),
        inputs=("stim",),
        output="b",
        stimuli=(
            Stimulus(name="square", signals=(Square(hertz=1, amplitude=1),)),
            Stimulus(name="pulse", signals=(Pulse(start=0.2, stop=0.7, amplitude=1),), hold=(1.0, 2.0)),
            Stimulus(name="noise", signals=(Noise(hertz=5, peak=1, seed=0),)),
        ),
    )


TASKS: dict[str, Callable[..., Nef]] = {
    "memory": memory,
    "add": add,
    "multiply": multiply,
    "calculate": calculate,
}
