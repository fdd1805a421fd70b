"""The words of the report, explained once for both of its formats; figures explain themselves."""

from __future__ import annotations

from collections.abc import Iterable

from bench.report.figures import FIGURES
from bench.report.pages import Page

_COMPARISON: tuple[tuple[str, str], ...] = (
    (
        "round",
        "All frameworks of one question live side by side and take turns, one at a time, in an order "
        "shuffled anew each round: a slice of the same batches, or the same simulation. What disturbs the "
        "machine disturbs them all.",
    ),
    (
        "baseline, control",
        "The baseline is what the others are compared with. The control is the same once more, in a process "
        "of its own: how far its ratio strays from 1 is what this run cannot tell apart.",
    ),
    (
        "time / baseline",
        "The median over rounds of a row's time over the baseline's in the same round, with its 95 % "
        "interval and the rounds that were used; below 1 is faster. It speaks of the processes of this run "
        "on this machine. With several seeds, each is one value, and the interval comes from how far all "
        "programs of these heats lie apart.",
    ),
    (
        "time / fastest",
        "As time / baseline, beside the row that is fastest by its median. Which of several tied rows that "
        "is depends on the run; = marks all that are not told apart from it.",
    ),
    (
        "disturbed",
        "A turn in which others, or a quota of CPU time (cgroup), took more than 6 % of the cores that its "
        "threads need. It stays in the "
        "record and out of the comparison.",
    ),
    (
        "tie group",
        "Rows with a letter in common are equally fast as far as this run can say; with a question mark, a "
        "difference shows and is not sure enough. One is called faster only where the interval of their "
        "ratio excludes 1, the ratio exceeds both 1.05 and the control's interval, and the pair stands "
        "Holm's correction.",
    ),
    (
        "closed, open division",
        "Closed: the same network, equations, initial weights, optimiser and order of data, compared only "
        "with a certificate that passed. Open: the same data and goal, the framework's own way. It has no "
        "certificate and stands apart.",
    ),
)
_CERTIFICATES: tuple[tuple[str, str], ...] = (
    (
        "parity",
        "Result of the certificate: the adapter's spikes, gradients and weight updates against a float64 "
        "reference, before anything is timed. exact: equal up to rounding. within: inside the stated "
        "tolerance. reduced precision (amp, TF32): the same code path is certified in float32 and the "
        "deviation is measured. wrong: other work than was asked for, never compared. Certificates are made "
        "on one CPU thread and kept until something that they depend on changes.",
    ),
    (
        "seeds",
        "Number of seeds (processes) in the row. With several, a figure is their median and its range is "
        "given with it; n is said where fewer seeds have the figure.",
    ),
    (
        "plots",
        "A colour is a framework, the same in every plot and run; a marker, a dash or a hatch is a variant. "
        "Every point is one seed, or one round where the title speaks of rounds. Bars, the numbers beside "
        "them and lines over sizes are medians; lines of a sweep go through means. Frameworks whose curves "
        "coincide share a line.",
    ),
)

STATUSES: tuple[tuple[str, str], ...] = (
    ("ok", "Finished."),
    ("skipped", "Not run; the reason says why."),
    ("wrong", "Did other work than was asked for: the certificate failed, or a setting was not honoured."),
    ("diverged", "A loss, a weight or a rate became NaN or infinite."),
    ("error", "The adapter raised an exception."),
    ("crashed", "The process ended without an answer."),
    ("timeout", "Stopped at its time limit."),
    ("out_of_memory", "Host or device memory did not suffice."),
    ("pending", "Planned, with no record yet."),
)


def glossary(pages: Iterable[Page], measured: Iterable[str]) -> list[tuple[str, str]]:
    """Every term of a report that shows these pages and measured these figures."""
    known = set(measured)
    figures = [(figure.heading, figure.meaning) for name, figure in FIGURES.items() if name in known]
    own = [term for page in pages for term in page.terms]
    return [*_COMPARISON, *figures, *own, *_CERTIFICATES]
