from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.records import Record
from bench.report import memory
from bench.report.drawing import styles
from bench.report.sections import sections
from tests.builders import cell, manifest, record


def drawn(*figures: dict[str, float]) -> Figure:
    records: list[Record] = []
    for name, values in zip(("torch", "other"), figures, strict=True):
        records.append(record(cell(name, "csnn"), figures=values))
    found = manifest([one.cell for one in records])
    (section,) = sections(found, records)
    rows = sorted(section.rows, key=lambda row: row.adapter != "torch")
    figure = memory.MEMORY.draw(section, rows, styles(found.cells))
    assert figure
    return figure


def widths(figure: Figure) -> list[list[float]]:
    """Of every kind of bar in the first panel the lengths."""
    return [
        [round(bar.get_width(), 6) for bar in bars if isinstance(bar, Rectangle)]
        for bars in figure.axes[0].containers
    ]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_bars_of_peak_memory_show_what_stood_before_the_work() -> None:
    torch = {"host_peak_bytes": 900e6, "built_bytes": 700e6, "imported_bytes": 540e6}
    figure = drawn(torch, {"host_peak_bytes": 400e6, "built_bytes": 300e6, "imported_bytes": 100e6})
    assert widths(figure)[-2:] == [[700.0, 300.0], [540.0, 100.0]]
    assert sorted(x for bar in widths(figure)[:-2] for x in bar) == [400.0, 900.0]
    assert words(figure) == ["imports", "data and network", "in colour: what the work adds"]
    assert figure.get_suptitle() == "csnn on cpu: imports are 25 to 60 % of peak memory"


def test_a_stage_that_was_not_measured_is_not_drawn() -> None:
    figure = drawn({"host_peak_bytes": 900e6}, {"host_peak_bytes": 400e6, "imported_bytes": 100e6})
    assert widths(figure)[-1] == [100.0]
    assert words(figure) == ["imports", "in colour: what the work adds"]
    assert figure.get_suptitle() == "csnn on cpu: imports are 25 % of peak memory"
    bare = drawn({"host_peak_bytes": 900e6}, {"host_peak_bytes": 400e6})
    assert not bare.legends and bare.get_suptitle() == ""
