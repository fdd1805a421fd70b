"""The words of the report, explained once for both of its formats."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "rank",
        "By s/epoch (simulated networks: by networks × s/s), among rows with status ok whose parity is exact "
        "or within and whose finished seeds all ended ok. Rows on another device than was asked for and rows "
        "of inference alone have no rank. R1, R2, ... rank the reduced precision rows among themselves.",
    ),
    (
        "test accuracy",
        "Share of all test images classified correctly after the last epoch, if there was any. The "
        "curves are evaluated on the number of images that their axis names.",
    ),
    (
        "s/epoch",
        "Seconds per training epoch: the median of the epochs after the first one, the device "
        "synchronised before and after. Evaluation is not part of it.",
    ),
    (
        "cold epoch",
        "Seconds of the first epoch, in which compilation, kernel selection and caching happen. It is "
        "never part of s/epoch.",
    ),
    ("training", "Seconds of all epochs together: the time to compare across divisions."),
    (
        "open division",
        "The same images and the same goal, reached in the framework's own way: another network or another "
        "kind of learning. It has no certificate and no rank.",
    ),
    (
        "inference alone",
        "A framework that cannot train is given weights trained on all 60,000 images at T = 100 for three "
        "epochs (tasks/trained.py); its certificate compares spikes, since it has no gradients.",
    ),
    (
        "× fastest",
        "This row's s/epoch (or seconds per network) over that of the fastest row ranked with it. It is a "
        "ratio within this one run on this one machine, without a confidence interval; it is no claim of a "
        "speed-up.",
    ),
    ("images/s", "Training images per second."),
    (
        "RMSE",
        "Root mean square difference between what a network decodes and its ideal, the same network with "
        "every ensemble replaced by its function; the median over networks and stimuli, the first 0.2 s left "
        "out.",
    ),
    (
        "networks × s/s",
        "Networks times simulated seconds per second of wall time: the median of the runs "
        "after the first one. Building and the first run are apart.",
    ),
    (
        "build, first run",
        "Build: seconds from the networks' arrays to a simulator that can run; drawing the neurons and "
        "solving the decoders is not part of it. First run: seconds of the first simulation, in which "
        "compilation and caching happen. Neither is part of networks × s/s.",
    ),
    (
        "RMSE over n",
        "The same networks in several sizes: n is the number of neurons of a one-dimensional ensemble. All "
        "tables and other plots are of the one size that was timed.",
    ),
    (
        "mean output, bias",
        "Mean over time of what a network decodes, and of its difference from the ideal, with its sign; "
        "the median over networks, the first 0.2 s left out. Worst RMSE is that of the worst network.",
    ),
    (
        "drift",
        "Slope of the straight line through what a memory decodes while it should hold its value, in units "
        "per second: the median over networks; worst drift is the steepest, without its sign.",
    ),
    (
        "raster",
        "When neurons fired: a line per neuron, a tick per spike, of the output ensemble of one network.",
    ),
    ("evaluation", "Seconds to classify all test images."),
    (
        "host peak",
        "Largest resident memory of the cell's process, libraries included. MB are 10^6 bytes.",
    ),
    (
        "device allocated, device used",
        "Peak of the framework's own allocator, and growth of the device's used memory. On the CPU "
        "there is no device memory and these columns are left out.",
    ),
    ("spike rate", "Spikes per neuron and time step."),
    (
        "parity",
        "Result of the certificate: the adapter's spikes, gradients and weight updates against a "
        "float64 reference, before anything is timed. exact: equal up to rounding. within: inside "
        "the stated tolerance. reduced precision: the same code path is certified in float32 and the "
        "deviation is measured. wrong: other work than was asked for, never ranked. Certificates are made "
        "on one CPU thread.",
    ),
    (
        "rounded reference",
        "The yardstick for the spike difference of simulated networks in float32: how many spikes differ "
        "when the float64 reference itself is given time constants rounded to float32. One spike that "
        "changes its step can move many that follow. Both are 1 minus the share of spikes in common.",
    ),
    (
        "seeds",
        "Number of seeds (processes) in the row. With several, a figure is their median and its range "
        "is given with it; n is said where fewer seeds have the figure.",
    ),
    (
        "plots",
        "Every point is one seed; a faint point of RMSE over n is one simulated network. Bars, the numbers "
        "beside them and the lines over n are medians. Curves that coincide lie on one another, and their "
        "points show as rings or, over n, side by side.",
    ),
)

STATUSES: tuple[tuple[str, str], ...] = (
    ("ok", "Finished."),
    ("skipped", "Not run; the reason says why."),
    ("wrong", "Did other work than was asked for: the certificate failed, or a setting was not honoured."),
    ("diverged", "The training left the finite numbers."),
    ("error", "The adapter raised an exception."),
    ("crashed", "The process ended without an answer."),
    ("timeout", "Stopped at its time limit."),
    ("out_of_memory", "Host or device memory did not suffice."),
    ("pending", "Planned, with no record yet."),
)
