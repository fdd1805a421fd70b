from __future__ import annotations

from typing import Any

import pytest

from bench.records import Cell, Record
from bench.report import classify, nef
from bench.report.figures import FIGURES
from bench.report.glossary import glossary
from bench.report.pages import Page


def test_a_figure_is_registered_under_its_own_name() -> None:
    assert all(name == figure.name for name, figure in FIGURES.items())


def test_no_two_figures_have_one_heading() -> None:
    headings = [figure.heading for figure in FIGURES.values()]
    assert len(set(headings)) == len(headings)


@pytest.mark.parametrize("figure", FIGURES.values(), ids=list(FIGURES))
def test_a_figure_says_what_it_is(figure: Any) -> None:
    assert figure.heading and figure.meaning.endswith(".")
    assert figure.better in ("lower", "higher", "")
    assert figure.spell(min(1.0, figure.most))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
def test_what_is_no_figure_is_refused(value: float) -> None:
    for figure in FIGURES.values():
        with pytest.raises(ValueError, match=figure.name):
            figure.check(value)


def test_a_share_is_at_most_one() -> None:
    FIGURES["test_accuracy"].check(1.0)
    with pytest.raises(ValueError, match="test_accuracy"):
        FIGURES["test_accuracy"].check(93.5)


@pytest.mark.parametrize(
    ("figures", "complaint"),
    [({"tset_accuracy": 0.5}, "no figure 'tset_accuracy'"), ({"test_accuracy": 1.5}, "test_accuracy is 1.5")],
)
def test_a_record_with_an_unknown_or_impossible_figure_is_refused(
    figures: dict[str, float], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Record(cell=a_cell(), status="ok", figures=figures, started="2026-01-01T10:00:00Z", seconds=1.0)


def a_cell() -> Cell:
    return Cell(
        cell="a",
        stage="run",
        family="classify",
        adapter="a",
        table="classify",
        variant="default",
        learning="bptt",
        compared=True,
        task="csnn",
        task_values={},
        amounts={},
        work={},
        device="cpu",
        precision="float32",
        seed=0,
        timeout_seconds=1.0,
    )


@pytest.mark.parametrize("page", [classify.PAGE, nef.PAGE], ids=["classify", "nef"])
def test_a_page_shows_figures_of_the_registry(page: Page) -> None:
    named = [page.quality, page.pace, *page.others]
    assert set(named) <= FIGURES.keys()
    assert len(set(named)) == len(named)


def test_the_glossary_explains_what_was_measured_in_the_words_of_the_registry() -> None:
    terms = dict(glossary([nef.PAGE], ["sim_speed", "rmse"]))
    assert terms["networks × s/s"] == FIGURES["sim_speed"].meaning
    assert "test accuracy (%)" not in terms
    for word in ("worst RMSE", "bias", "mean output", "drift (1/s)", "raster", "RMSE over n", "tie group"):
        assert terms[word]
