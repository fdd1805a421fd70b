"""What the report shows of learning from spike times, from records with known values."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.records import Cell, Record
from bench.report import plasticity
from bench.report.drawing import styles
from bench.report.sections import sections
from tests import builders
from tests.builders import control, manifest
from tests.test_report import report, row_of, table, times

WORK = {
    "train_images": 24_000,
    "label_images": 10_000,
    "test_images": 500,
    "neurons": 20,
    "steps": 40,
    "batch": 32,
    "epochs": 1,
}


def cell(adapter: str, **changes: Any) -> Cell:
    values = {"family": "plasticity", "table": "plasticity", "learning": "stdp", "work": WORK}
    return builders.cell(adapter, "stdp", **values | {"amounts": {"turns": 10}} | changes)


def trained(of: Cell, *, seconds: float = 1.0, diagnosis: str = "learning: well", **changes: Any) -> Record:
    pixels = np.zeros((20, 28, 28), np.uint8)
    pixels[:, 3, 5] = np.arange(20)
    shows = {
        "diagnosis": diagnosis,
        "fields": {
            "pixels": base64.b64encode(pixels.tobytes()).decode(),
            "low": 0.0,
            "high": 1.0,
            "labels": [*range(10), *[-1] * 10],
        },
        "confusion": (45 * np.eye(10, dtype=int) + np.ones((10, 10), int) // 2).tolist(),
    }
    shows["confusion"][4][9] = 15
    figures = {"test_accuracy": 0.885, "train_seconds": 10 * seconds, "active_neurons": 0.5}
    return builders.record(of, times(seconds), figures=figures, shows=shows, **changes)


def heat() -> list[Record]:
    """torch, its control, another adapter, and one in the open division."""
    torch = cell("torch")
    apart = {"division": "open", "table": "plasticity_open", "compared": False, "certificate": None}
    return [
        trained(torch),
        trained(control(torch), seconds=1.01),
        trained(cell("norse"), seconds=3.0, diagnosis="silent: no output spikes in 750 batches"),
        trained(cell("ok", **apart), network="a network of its own"),
    ]


def drawn(kind: str, records: list[Record]) -> Figure | None:
    (section,) = sections(manifest(record.cell for record in records), records)
    (draw,) = (one.draw for one in plasticity.PAGE.plots if one.name == kind)
    rows = [row for row in section.rows if row.comparable]
    return draw(section, rows, styles([record.cell for record in records]))


def test_figures_and_diagnoses_stand_in_the_report(tmp_path: Path) -> None:
    page, text = report(tmp_path, heat())
    row = row_of(text, "## stdp", "torch")
    assert row["test accuracy (%) (500 images)"] == "88.50" and row["training (s) (1 epoch)"] == "10.0"
    assert row["active neurons (%)"] == "50.00"
    found = {line["adapter"]: line["diagnosis"] for line in table(text, "### stdp: Diagnosis")}
    assert found["norse (plain)"] == "silent: no output spikes in 750 batches"
    assert len(found) == 3
    for words in ("24,000 training images without labels", "receptive fields", "confusion"):
        assert words in page


def test_each_neuron_is_a_tile_with_its_digit() -> None:
    figure = drawn("fields", heat())
    assert figure is not None and len(figure.axes) == 3  # of the open division too
    axes = figure.axes[0]
    picture = np.asarray(axes.images[0].get_array())
    assert picture.shape == (2 * 29, 16 * 29)
    assert picture[3, 5] == 0 and picture[3, 29 + 5] == 1 and picture[29 + 3, 3 * 29 + 5] == 19
    assert [text.get_text() for text in axes.texts] == [*map(str, range(10)), *[""] * 10]
    assert figure.get_suptitle() == "stdp on cpu: receptive fields of 10 digits"


def test_confusion_is_in_percent_of_each_digit() -> None:
    figure = drawn("confusion", heat())
    assert figure is not None
    axes = figure.axes[0]
    shares = np.asarray(axes.images[0].get_array())
    assert shares[0, 0] == 100 and shares[4, 4] == 75 and shares[4, 9] == 25
    assert {text.get_text() for text in axes.texts} == {"100", "75", "25"}
    said = "stdp on cpu: most confusion is of a 4 taken for a 9, 25 % of its images (torch)"
    assert figure.get_suptitle() == said


def test_what_shows_nothing_is_not_drawn() -> None:
    bare = [record.model_copy(update={"shows": {}}) for record in heat()]
    assert drawn("fields", bare) is None and drawn("confusion", bare) is None
