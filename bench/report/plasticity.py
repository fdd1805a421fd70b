"""The page of learning from spike times: what the neurons stand for, and what a training has come to."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from bench.measure.peaks import Peaks
from bench.records import Cell, Record
from bench.report.drawing import WIDTH, Kind, Styles, bars, label, note
from bench.report.memory import MEMORY
from bench.report.pages import Page
from bench.report.sections import Row, Section
from bench.report.tables import Entry, Heading, Table, by_tier, names

_SIDE = 28  # of an image, in pixels
_COLUMNS = 16  # tiles in a line
_PANELS = 3  # confusion matrices in a line
# pictures stay as they are in a dark theme, and so must what is written on them
_ON_WHITE, _ON_BLACK = "#aa3377", "#fefefe"


def _receptive_fields(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    """A picture per row, a tile per neuron: its weights, each at the pixel that it comes from.

    Pictures are no figures: those that are compared with nothing are shown as well.
    """
    known = [(row, fields) for row in section.rows if (fields := row.shown("fields"))]
    if not known:
        return None
    pictures = [_mosaic(fields) for _, fields in known]
    shares = [len(picture) for picture in pictures]
    width = max(picture.shape[1] for picture in pictures)
    heights = [0.45 + 8 * share / width for share in shares]
    figure = Drawing(figsize=(WIDTH, 0.7 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(known), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (row, fields), picture in zip(panels, known, pictures, strict=True):
        axes.imshow(picture, cmap="Greys", interpolation="nearest")
        axes.set_title(" ".join(label(row, look).split()), loc="left", fontsize=9.5)
        axes.set_axis_off()
        for place, own in enumerate(fields["labels"]):
            line, column = divmod(place, _COLUMNS)
            corner = column * (_SIDE + 1) + 1, line * (_SIDE + 1) + 1
            axes.text(*corner, "" if own < 0 else str(own), va="top", fontsize=6, color=_ON_WHITE)
    note(figure, "weights of the first neurons, darker is larger, each with its digit")
    digits = sorted({len({label for label in fields["labels"] if label >= 0}) for _, fields in known})
    span = f"{digits[0]} to {digits[-1]}" if len(digits) > 1 else f"{digits[0]}"
    figure.suptitle(f"{section.title} on {section.cell.device}: receptive fields of {span} digits")
    return figure


def _mosaic(fields: Mapping[str, Any]) -> NDArray[np.float64]:
    """The tiles of all neurons in lines, 0 to 255, with lines of nothing between them."""
    pixels = np.frombuffer(base64.b64decode(fields["pixels"]), np.uint8).reshape(-1, _SIDE, _SIDE)
    lines = -(-len(pixels) // _COLUMNS)
    columns = min(len(pixels), _COLUMNS)
    picture = np.full((lines * (_SIDE + 1), columns * (_SIDE + 1)), np.nan)
    for place, tile in enumerate(pixels):
        line, column = (number * (_SIDE + 1) for number in divmod(place, _COLUMNS))
        picture[line : line + _SIDE, column : column + _SIDE] = tile
    return picture


def _confusion(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    """A matrix per row, all seeds together, in percent of the images of each digit."""
    known = [
        (row, np.sum(found, axis=0))
        for row in section.rows
        if (found := [record.shows["confusion"] for record in row.records if "confusion" in record.shows])
    ]
    if not known:
        return None
    lines = -(-len(known) // _PANELS)
    figure = Drawing(figsize=(WIDTH, 0.6 + 2.9 * lines), layout="constrained")
    panels = figure.subplots(lines, _PANELS, squeeze=False).ravel()
    worst = 0.0
    for axes, (row, counts) in zip(panels, known, strict=False):
        shares = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        mistaken = np.where(np.eye(len(counts), dtype=bool), 0, shares)
        if mistaken.max() > worst:
            worst = mistaken.max()
            digit, taken = np.unravel_index(mistaken.argmax(), mistaken.shape)
            figure.suptitle(
                f"{section.title} on {section.cell.device}: most confusion is of a {digit} taken for a "
                f"{taken}, {worst:.0f} % of its images ({row.adapter})"
            )
        axes.imshow(shares, cmap="Greys", vmin=0, vmax=100)
        for digit, taken in np.argwhere(shares >= 1):
            share = shares[digit, taken]
            ink = _ON_BLACK if share > 50 else _ON_WHITE
            axes.text(taken, digit, f"{share:.0f}", ha="center", va="center", fontsize=5.5, color=ink)
        axes.set_title(label(row, look), fontsize=9)
        axes.set(xticks=range(len(counts)), yticks=range(len(counts)))
        axes.grid(visible=False)
        sns.despine(ax=axes, left=True, bottom=True)
    for axes in panels[len(known) :]:
        axes.set_axis_off()
    note(figure, "taken for, in % of the digit's test images")
    figure.supylabel("digit", fontsize=10)
    return figure


def _time_bars(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    return bars(rows, look, ("train_seconds", "eval_seconds"))


def _diagnoses(section: Section, _: Peaks | None) -> Table:
    """What each training has come to, in the words of the run."""
    lines = [
        (row, [names(row), Entry(str(record.cell.seed)), Entry(str(record.shows["diagnosis"]))])
        for row in section.rows
        for record in row.records
        if "diagnosis" in record.shows
    ]
    return by_tier([Heading("adapter"), Heading("seed", numeric=True), Heading("diagnosis")], lines)


def _of(record: Record) -> Mapping[str, str]:
    """What the figures of one record are made of."""
    work = record.cell.work
    epochs = "1 epoch" if work["epochs"] == 1 else f"{work['epochs']} epochs"
    return {"test_accuracy": f"{work['test_images']:,} images", "train_seconds": epochs}


def _work(cell: Cell) -> str:
    work = cell.work
    epochs = "1 epoch" if work["epochs"] == 1 else f"{work['epochs']} epochs"
    return (
        f"{work['neurons']} neurons, {work['train_images']:,} training images without labels, "
        f"T = {work['steps']}, batch {work['batch']}, {epochs}; labels of neurons from "
        f"{work['label_images']:,} training images, {work['test_images']:,} test images"
    )


PAGE = Page(
    quality="test_accuracy",
    pace="train_seconds",
    others=(
        "images_per_second",
        "eval_seconds",
        "host_peak_bytes",
        "device_allocated_bytes",
        "device_used_bytes",
        "device_context_bytes",
        "energy_joules",
        "sm_clock_mhz",
        "lowest_sm_clock_mhz",
        "device_celsius",
        "device_others",
        "build_seconds",
        "spike_rate",
        "active_neurons",
    ),
    proof="weight error",
    of=_of,
    work=_work,
    tables=(("Diagnosis", _diagnoses),),
    plots=(
        Kind("fields", "receptive fields", "networks", _receptive_fields),
        Kind("confusion", "confusion", "networks", _confusion),
        Kind("training", "training and evaluation time", "speed", _time_bars),
        MEMORY,
    ),
    terms=(
        (
            "diagnosis",
            "What a training has come to, from spikes and weights alone: silent (nothing ever fires), "
            "cancelling (everything fires, and potentiation and depression are equal), saturated (everything "
            "fires, whatever it sees), alike (all neurons have the same weights) or learning.",
        ),
        (
            "receptive field",
            "The weights of one neuron as a picture. Neurons get the digit to which they respond most, on "
            "training images alone.",
        ),
        (
            "weight error",
            "Error of what a certificate's batches have changed in the weights, relative to that change.",
        ),
    ),
)
