"""Pictures of a trained network: test images with what they are taken for, and one of them as spikes.

They are no figures: networks that are compared with nothing are shown as well.
"""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bench.report.drawing import INK, WIDTH, Kind, Styles, label, note
from bench.report.sections import Row, Section

Float = NDArray[np.float64]
Shown = Mapping[str, Any]  # what a record shows

_LINE = 0.75  # height of a line of answers, in images
_NAMES = 34  # letters in a line of names
_COLUMNS = 5  # rasters in a line
_SINGLE = 3  # steps of an image as spikes that are shown by themselves
# what is wrong stands in a box: no colour is needed to see it
_WRONG: dict[str, Any] = {
    "fontweight": "bold",
    "bbox": {"boxstyle": "square,pad=0.3", "facecolor": "none", "edgecolor": INK, "linewidth": 1.4},
}


def _answers(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """The images in a line, and a line below it for each row: what its network takes them for."""
    every = [(label(row, look), found) for row in section.rows if (found := row.shown("tested"))]
    if not every:
        return None
    shown = every[0][1]
    # those that take every image for the same share a line
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, found in every:
        alike.setdefault(tuple(found["found"]), []).append(" ".join(name.split()))
    known = list(alike.items())
    labels = shown["labels"]
    lines = 1 + _LINE * len(known)
    figure = Figure(figsize=(WIDTH, 1.2 + 0.42 * lines), layout="constrained")
    axes = figure.subplots()
    _tiles(axes, _images(shown)[None])
    axes.set(xlim=(-0.5, len(labels) - 0.5), ylim=(lines - 0.5, -0.5))
    axes.set_xticks(range(len(labels)), [str(own) for own in labels])
    places = [0.5 + _LINE * (line + 0.5) for line in range(len(known))]
    axes.set_yticks(places, [textwrap.fill(", ".join(names), _NAMES) for _, names in known], fontsize=8)
    scores = []
    for height, (answers, _) in zip(places, known, strict=True):
        right = [taken == own for taken, own in zip(answers, labels, strict=True)]
        for place, taken in enumerate(answers):
            style = {} if right[place] else _WRONG
            axes.text(place, height, str(taken), ha="center", va="center", **style)
        scores.append(sum(right))
        axes.text(len(labels) - 0.4, height, f"{scores[-1]} right", va="center")
    seeds = {row.records[0].cell.seed for row in section.rows if row.records}
    note(
        figure,
        f"the first test image of each digit, and what the trained networks take it for (seed {min(seeds)}); "
        "boxed: wrong",
    )
    figure.suptitle(f"{_where(section)}: {_range(scores)} of {len(labels)} images right")
    return figure


def _first_spikes(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """Where an image first becomes spikes: in the encoder, or in the first layer of neurons."""
    found = _inside(section)
    if found is None:
        return None
    row, traced, tested = found
    place = traced["images"][0]
    image, digit = _images(tested)[place], tested["labels"][place]
    if "input" in traced:
        return _poisson(section, image, digit, _bits(traced["input"]))
    if "maps" in traced:
        return _maps(section, image, digit, _bits(traced["maps"]), _name(row, look))
    return None


def _poisson(section: Section, image: Float, digit: int, spikes: Float) -> Figure:
    """Some steps and the mean of all beside the image, and below them a raster of all pixels."""
    steps = spikes.shape[-1]
    pixels = spikes.reshape(-1, steps).T
    pictures = pixels.reshape(steps, *image.shape)
    single, mean = pictures[:_SINGLE], pictures.mean(axis=0)
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    top, below = figure.subplots(2, 1, gridspec_kw={"height_ratios": (1, 1.6)})
    _tiles(top, np.stack([image, *single, mean])[None])
    names = ["the image", *(f"step {step}" for step in range(1, len(single) + 1)), f"mean of {steps}"]
    top.set_xticks(range(len(names)), names)
    top.set_yticks([])
    _raster(below, pixels)
    below.set_ylabel("pixel, line by line")
    note(
        figure,
        f"{_steps(section, steps)}; dark: a spike; the darker a pixel of the image, the likelier it spikes",
    )
    off = 100 * float(np.abs(mean - image).mean())
    figure.suptitle(f"{_where(section)}: a {digit} as Poisson spikes, whose mean is {off:.1f} % off")
    return figure


def _maps(section: Section, image: Float, digit: int, spikes: Float, name: str) -> Figure:
    """A column per channel, a line per step and one of the firing rates; the image, the input, is first."""
    steps, channels = spikes.shape[:2]
    rates = spikes.mean(axis=0)
    lines = _enlarged(np.concatenate([spikes, rates[None]]), image.shape)
    inputs = np.broadcast_to(image, (steps + 1, 1, *image.shape))
    tile = min(0.8, 6.6 / (channels + 1))
    figure = Figure(figsize=(WIDTH, 1.2 + tile * (steps + 1)), layout="constrained")
    axes = figure.subplots()
    _tiles(axes, np.concatenate([inputs, lines], axis=1))
    axes.set_xticks(range(channels + 1), ["image", *(str(1 + place) for place in range(channels))])
    axes.set_yticks(range(steps + 1), [*(f"step {1 + place}" for place in range(steps)), "rate"])
    note(
        figure,
        f"{_steps(section, steps)}; dark: a spike of the first layer of neurons, by its channels, or a high "
        f"rate; network of {name}",
    )
    shares = [round(100 * share) for share in rates.mean(axis=(1, 2))]
    figure.suptitle(f"{_where(section)}: a {digit} makes {_range(shares)} % of a channel fire at a step")
    return figure


def _enlarged(maps: Float, shape: tuple[int, ...]) -> Float:
    """Maps [..., height, width] at the size of the image, each element as often as it takes."""
    rows, columns = (np.arange(size) * own // size for size, own in zip(shape, maps.shape[-2:], strict=True))
    return maps[..., rows[:, None], columns]


def _output_spikes(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """A raster per image: a line per output neuron."""
    found = _inside(section)
    if found is None:
        return None
    row, traced, tested = found
    spikes = _bits(traced["outputs"])
    labels = [tested["labels"][place] for place in traced["images"]]
    lines = -(-len(labels) // _COLUMNS)
    figure = Figure(figsize=(WIDTH, 1.1 + 1.9 * lines), layout="constrained")
    panels = figure.subplots(lines, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    right = 0
    for number, (axes, own, taken) in enumerate(zip(panels, labels, traced["found"], strict=False)):
        _raster(axes, spikes[:, number])
        axes.set_yticks(range(spikes.shape[2]))
        style = {"fontweight": "normal"} if taken == own else _WRONG
        axes.set_title(f"{own}, read as {taken}", fontsize=9.5, **style)
        axes.tick_params(labelsize=7.5)
        right += own == taken
    for axes in panels[len(labels) :]:
        axes.set_axis_off()
    note(
        figure,
        f"{_steps(section, len(spikes))}; dark: a spike; boxed: read wrong; network of {_name(row, look)}",
    )
    figure.supylabel("output neuron", fontsize=10)
    figure.suptitle(f"{_where(section)}: output spikes, {right} of {len(labels)} images read right")
    return figure


def _inside(section: Section) -> tuple[Row, Shown, Shown] | None:
    """The baseline, or the first row that there is, with its spikes and its images."""
    rows = sorted(section.rows, key=lambda row: " ".join(row.key) != section.baseline)
    for row in rows:
        if traced := row.shown("traced"):
            return row, traced, row.shown("tested")
    return None


def _where(section: Section) -> str:
    return f"{section.title} on {section.cell.device}"


def _name(row: Row, look: Styles) -> str:
    return " ".join(label(row, look).split())


def _steps(section: Section, shown: int) -> str:
    steps = section.cell.work["steps"]
    return "time step" if shown == steps else f"time step, the first {shown} of {steps}"


def _range(numbers: Sequence[int]) -> str:
    return " to ".join(map(str, dict.fromkeys((min(numbers), max(numbers)))))


def _tiles(axes: Axes, tiles: Float) -> None:
    """Pictures [lines, columns, height, width] of 0 (white) to 1, each around its line and column."""
    lines, columns, height, width = tiles.shape
    # gaps of nothing between them
    padded = np.full((lines, columns, height + 2, width + 2), np.nan)
    padded[:, :, 1:-1, 1:-1] = tiles
    picture = padded.swapaxes(1, 2).reshape(lines * (height + 2), columns * (width + 2))
    _show(axes, picture, (-0.5, columns - 0.5, lines - 0.5, -0.5))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    sns.despine(ax=axes, left=True, bottom=True)


def _raster(axes: Axes, spikes: Float) -> None:
    """Spikes [T, neurons], a line per neuron, over steps from 1."""
    steps, neurons = spikes.shape
    _show(axes, spikes.T, (0.5, steps + 0.5, neurons - 0.5, -0.5))
    axes.set_aspect("auto")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))


def _show(axes: Axes, picture: Float, extent: tuple[float, float, float, float]) -> None:
    # as it is, which the reader's screen enlarges: any other way would blur and be larger
    axes.imshow(picture, cmap="Greys", vmin=0, vmax=1, interpolation="none", extent=extent)
    axes.grid(visible=False)


def _images(tested: Shown) -> Float:
    """[n, height, width] from 0 to 1."""
    kept = tested["pixels"]
    pixels = np.frombuffer(_unpacked(kept["bytes"]), np.uint8).reshape(kept["shape"])
    return pixels.reshape(len(pixels), *kept["shape"][-2:]) / 255.0


def _bits(kept: Shown) -> Float:
    """Spikes as 0.0 and 1.0, in the shape that they were kept in."""
    count = int(np.prod(kept["shape"]))
    bits = np.unpackbits(np.frombuffer(_unpacked(kept["bits"]), np.uint8), count=count)
    return bits.reshape(kept["shape"]).astype(np.float64)


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.urlsafe_b64decode(text))


PICTURES = (
    Kind("answers", "what ten test images are taken for", "networks", _answers),
    Kind("first-spikes", "where an image first becomes spikes", "networks", _first_spikes),
    Kind("output-spikes", "output spikes", "networks", _output_spikes),
)
