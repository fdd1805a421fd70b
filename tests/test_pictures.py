"""Pictures of trained networks: what a run keeps for them, and what the report draws from it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.records import Record
from bench.report import classify
from bench.report.drawing import styles
from bench.report.sections import sections
from tasks import worker
from tasks.classify import FAMILY, images, pictures
from tasks.classify.codes import decode
from tasks.classify.networks import TASKS
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify
from tasks.protocol import Job
from tests.builders import WORK, cell, manifest, record
from tests.harness import FAKES
from tests.test_report import report

if TYPE_CHECKING:
    from tests.fakes.numpy_family.classifier import NumpyClassifier
else:
    worker.load_adapter("ok", FAKES)  # makes the fakes' family importable
    NumpyClassifier = sys.modules["adapters.numpy_family.classifier"].NumpyClassifier

LABELS = np.array([3, 0, 3, 1, 0, 2], np.uint8)  # the firsts: 0 at 1, 1 at 3, 2 at 5, 3 at 0
BATCH = 4  # which leaves out the 2
KINDS = {"answers", "first-spikes", "output-spikes"}


def pixels(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 1, 28, 28)).astype(np.uint8)


def rates(*taken: int) -> NDArray[np.float64]:
    return np.eye(10)[list(taken)]


def shows(task: Classify, spikes: tuple[Array, ...], *taken: int) -> dict[str, Any]:
    """What a run keeps of a network that takes the six images for these classes."""
    inputs = images.encode(
        pixels(BATCH), encoder=task.encoder, steps=task.steps, rng=np.random.default_rng(2)
    )
    return {
        "tested": pictures.tested(task, rates(*taken), pixels(6), LABELS),
        "traced": pictures.traced(task, inputs, spikes, LABELS),
    }


def poisson(*taken: int, steps: int = 5, **changes: Any) -> Record:
    """One of fc_lif whose outputs spike at the first step alone; 0 and 3 are read right, 1 as a 7."""
    outputs = np.zeros((steps, BATCH, 10))
    for image, output in enumerate((3, 0, 9, 7)):
        outputs[0, image, output] = 1
    task = TASKS["fc_lif"](steps=steps)
    of = cell(changes.pop("adapter", "torch"), work=WORK | {"steps": steps}, **changes)
    return record(of, [1.0] * 20, shows=shows(task, (outputs,), *taken))


def direct(channels: int = 9, size: int = 28, steps: int = 4) -> Record:
    """One of csnn that spikes, for the 0 at place 1, on the diagonal of channel 1 and all over channel 2."""
    maps = np.zeros((steps, BATCH, channels, size, size))
    maps[2, 1, 0] = np.eye(size)
    maps[:, 1, 1] = 1
    spikes = (maps, np.zeros((steps, BATCH, 10)))
    of = cell("torch", "csnn", work=WORK | {"steps": steps})
    return record(of, [1.0] * 20, shows=shows(TASKS["csnn"](steps=steps), spikes, *LABELS))


def drawn(kind: str, *records: Record) -> Figure | None:
    (section,) = sections(manifest(one.cell for one in records), records)
    (draw,) = (one.draw for one in classify.PAGE.plots if one.name == kind)
    rows = [row for row in section.rows if row.comparable]
    return draw(section, rows, styles([one.cell for one in records]))


def picture(axes: Axes) -> NDArray[np.float64]:
    shown = axes.images[0].get_array()
    assert shown is not None
    return np.ma.filled(shown, np.nan)


def boxed(figure: Figure) -> list[str]:
    """Every word in a box."""
    found = [text for axes in figure.axes for text in (*axes.texts, axes.title)]
    return [text.get_text() for text in found if text.get_bbox_patch() and text.get_text()]


def test_each_network_says_what_the_first_image_of_each_class_is() -> None:
    other: dict[str, Any] = {"division": "open", "table": "classify_open", "compared": False}
    apart = poisson(3, 0, 3, 8, 0, 6, adapter="ok", certificate=None, **other)
    apart.shows.pop("traced")
    figure = drawn("answers", poisson(3, 0, 3, 1, 0, 5), apart)
    assert figure is not None
    (axes,) = figure.axes
    shown = picture(axes)
    assert shown.shape == (30, 4 * 30) and np.isnan(shown[0]).all()
    np.testing.assert_allclose(shown[1:29, 1:29], pixels(6)[1, 0] / 255)
    np.testing.assert_allclose(shown[1:29, 91:119], pixels(6)[0, 0] / 255)
    assert [text.get_text() for text in axes.get_xticklabels()] == [*"0123"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["torch", "ok (no certificate)"]
    assert [text.get_text() for text in axes.texts] == [*"0153", "3 right", *"0863", "2 right"]
    assert boxed(figure) == ["5", "8", "6"]
    assert figure.get_suptitle() == "fc_lif on cpu: 2 to 3 of 4 images right"


def test_an_image_in_poisson_spikes_stands_beside_their_mean() -> None:
    figure = drawn("first-spikes", poisson(*LABELS, steps=120))
    assert figure is not None
    image = pixels(6)[1, 0] / 255
    spikes = images.encode(pixels(BATCH), encoder="poisson", steps=120, rng=np.random.default_rng(2))
    spikes = spikes[:100, 1, 0]  # no more than these are kept
    top, below = figure.axes
    expected = [image, *spikes[:3], spikes.mean(axis=0)]
    for place, tile in enumerate(expected):
        np.testing.assert_allclose(picture(top)[1:29, 30 * place + 1 : 30 * place + 29], tile)
    names = [text.get_text() for text in top.get_xticklabels()]
    assert names == ["the image", "step 1", "step 2", "step 3", "mean of 100"]
    np.testing.assert_array_equal(picture(below), spikes.reshape(100, 784).T)
    off = 100 * np.abs(spikes.mean(axis=0) - image).mean()
    assert figure.get_suptitle() == f"fc_lif on cpu: a 0 as Poisson spikes, whose mean is {off:.1f} % off"
    assert figure.get_supxlabel().startswith("time step, the first 100 of 120;")


def test_of_direct_input_the_first_maps_are_shown_step_by_step() -> None:
    figure = drawn("first-spikes", direct())
    assert figure is not None
    shown = picture(figure.axes[0])
    assert shown.shape == (5 * 30, 9 * 30)  # the image and eight of nine channels

    def tile(line: int, column: int) -> NDArray[np.float64]:
        return shown[30 * line + 1 : 30 * line + 29, 30 * column + 1 : 30 * column + 29]

    for line in range(5):
        np.testing.assert_allclose(tile(line, 0), pixels(6)[1, 0] / 255)
        assert (tile(line, 2) == 1).all() and (tile(line, 3) == 0).all()
    np.testing.assert_array_equal(tile(2, 1), np.eye(28))
    assert (tile(1, 1) == 0).all()
    np.testing.assert_array_equal(tile(4, 1), np.eye(28) / 4)
    assert figure.get_suptitle() == "csnn on cpu: a 0 makes 0 to 100 % of a channel fire at a step"
    assert figure.get_supxlabel().startswith("time step; dark")


def test_maps_of_another_size_are_enlarged() -> None:
    figure = drawn("first-spikes", direct(channels=2, size=14, steps=20))
    assert figure is not None
    shown = picture(figure.axes[0])
    assert shown.shape == (9 * 30, 3 * 30)  # eight of twenty steps and the rate
    np.testing.assert_array_equal(shown[61:89, 31:59], np.kron(np.eye(14), np.ones((2, 2))))
    assert figure.get_supxlabel().startswith("time step, the first 8 of 20; dark")


def test_output_spikes_are_those_of_the_images_in_the_batch() -> None:
    figure = drawn("output-spikes", poisson(*LABELS))
    assert figure is not None
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == ["0, read as 0", "1, read as 7", "3, read as 3"]
    assert boxed(figure) == ["1, read as 7"]
    for axes, output in zip(panels, (0, 7, 3), strict=True):
        assert np.argwhere(picture(axes)).tolist() == [[output, 0]]
    assert figure.get_suptitle() == "fc_lif on cpu: output spikes, 2 of 3 images read right"


def test_spikes_are_those_of_the_baseline() -> None:
    faster = poisson(*LABELS, adapter="norse").model_copy(update={"turns": []})
    figure = drawn("output-spikes", faster, poisson(*LABELS))
    assert figure is not None and figure.get_supxlabel().endswith("network of torch")
    figure = drawn("output-spikes", faster)
    assert figure is not None and figure.get_supxlabel().endswith("network of norse")


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("make", [lambda: poisson(*LABELS), direct, lambda: direct(channels=2)])
def test_no_word_of_a_picture_is_cut_off(kind: str, make: Callable[[], Record]) -> None:
    figure = drawn(kind, make())
    assert figure is not None
    figure.draw_without_rendering()
    used = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert used.x0 >= 0 and used.y0 >= 0 and used.x1 <= width and used.y1 <= height


def test_the_pictures_are_in_the_report_and_small(tmp_path: Path) -> None:
    page, text = report(tmp_path, [poisson(*LABELS)])
    for kind in KINDS:
        svg = tmp_path / "report" / f"fc-lif-{kind}.svg"
        assert f"]({svg.name})" in text and 1_000 < svg.stat().st_size < 60_000
    assert 'aria-label="fc_lif on cpu: 4 of 4 images right"' in page


def test_of_records_that_kept_nothing_there_is_no_picture(tmp_path: Path) -> None:
    kept: dict[str, Any] = {"shows": {"weights": "1234"}, "figures": {"epoch_seconds": 1.0}}
    bare = poisson(*LABELS).model_copy(update=kept)
    assert [drawn(kind, bare) for kind in KINDS] == [None] * 3
    page, _ = report(tmp_path, [bare])
    assert "Not plotted, because no cell measured it: " in page and "Could not be drawn" not in page


class Seen(NumpyClassifier):
    """Remembers the rates and the traces that it has handed over."""

    network = "something else"

    def predict(self, images: NDArray[np.uint8]) -> Array:
        self.rates = super().predict(images)
        return self.rates

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        found = super().trace(inputs, codes, training=training)
        if not training:
            self.traces = [*getattr(self, "traces", []), found]
        return found


@pytest.mark.parametrize("division", ["closed", "open"])
@pytest.mark.parametrize("name", ["fc_lif", "csnn"])
def test_a_run_keeps_the_answers_that_it_is_graded_by(name: str, division: Any, mnist: Path) -> None:
    sizes = {"channels": 2, "hidden": 5} if name == "csnn" else {}
    task = TASKS[name](steps=4, batch=8, epochs=1, **sizes)
    job = Job(
        stage="run",
        family="classify",
        task=name,
        amounts={"train_images": 24, "test_images": 20, "curve_images": 0, "turns": 1},
        adapter="ok",
        adapters=str(FAKES),
        table="classify",
        variant="plain",
        learning="bptt",
        division=division,
        data=str(mnist),
    )
    built: list[Seen] = []

    def build(*values: Any) -> Seen:
        built.append(Seen(*values))
        return built[-1]

    module = SimpleNamespace(VARIANTS={"plain": build}, sync=lambda: None, device_memory=lambda: None)
    turns = FAMILY.run(module, task, job)
    while True:
        try:
            next(turns)
        except StopIteration as end:
            found = end.value["shows"]
            break
    (classifier,) = built
    labels = images.load(images.MNIST, mnist).test_labels
    firsts = [int(np.flatnonzero(labels == own)[0]) for own in np.unique(labels)]
    assert found["tested"]["labels"] == np.unique(labels).tolist()
    assert found["tested"]["found"] == decode(task, classifier.rates)[firsts].tolist()
    if division == "open":
        assert found.keys() == {"tested"} and not hasattr(classifier, "traces")
        return
    (trace,) = classifier.traces
    traced = found["traced"]
    batch = [place for place in firsts if place < 8]
    assert [firsts[image] for image in traced["images"]] == batch
    assert traced["found"] == decode(task, trace.spikes[-1].mean(axis=0)[batch]).tolist()
    assert traced.keys() - {"images", "outputs", "found"} == {"input" if name == "fc_lif" else "maps"}
    assert len(str(found)) < 25_000
