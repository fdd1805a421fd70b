"""Each framework beside its own example: what is compared, and how the report and ``compare`` say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.records import Cell, Record
from bench.report.compare import compare
from bench.report.page import write_report
from bench.report.sections import Row, Section, sections
from bench.report.tables import Entry
from bench.report.versus import versus
from tests.builders import cell, control, manifest, record, save

OPEN: dict[str, Any] = {"variant": "shipped", "table": "example", "division": "open", "certificate": None}
ROUNDS = 30


def ran(of: Cell, seconds: float, **figures: float) -> Record:
    """Turns of nearly these seconds; the baseline's are all the same."""
    factors = [1.0] if of.baseline else [0.99, 1.0, 1.01]
    times = [seconds * factors[n % len(factors)] for n in range(ROUNDS)]
    network = "the framework's lif_fc_mnist" if of.division == "open" else ""
    return record(of, times, figures={"epoch_seconds": seconds, **figures}, network=network)


def heat(*others: Record) -> list[Record]:
    torch = cell("torch")
    return [ran(torch, 1.0), ran(control(torch), 1.0), *others]


def section(*others: Record) -> Section:
    records = heat(*others)
    (found,) = sections(manifest([r.cell for r in records]), records)
    return found


def line(found: Section) -> dict[str, Entry]:
    table = versus(found, None)
    ((row,),) = [group.rows for group in table.groups]
    return dict(zip([heading.text for heading in table.headings], row, strict=True))


def tiers(rows: tuple[Row, ...]) -> dict[str, str]:
    return {" ".join(row.key): row.tier for row in rows}


EXAMPLE, OURS = cell("jelly", **OPEN), cell("jelly")
LIMIT = cell("limit", reference=True)


def test_an_example_stands_in_the_heat_and_is_ranked_with_none() -> None:
    found = section(ran(EXAMPLE, 2.4), ran(OURS, 1.2))
    assert tiers(found.rows) == {
        "torch plain": "compared",
        "jelly plain": "compared",
        "jelly shipped": "own example",
    }
    example = found.rows[-1]
    assert example.ratio is not None and example.ratio.ratio == pytest.approx(2.4, rel=0.01)
    assert example.group == "" and example.comparable
    assert found.difference(example, found.rows[0]) is None  # of another framework's adapter nothing is said
    assert found.baseline == "torch plain"


def test_the_table_says_how_much_faster_than_its_example_each_framework_can_be() -> None:
    found = line(section(ran(EXAMPLE, 2.4), ran(OURS, 1.2), ran(LIMIT, 0.1)))
    assert found["framework"].text == "jelly"
    assert (found["own example"].text, found["own example"].note) == ("2.40", "shipped")
    assert (found["our fastest"].text, found["our fastest"].note) == ("1.20", "plain")
    assert found["example / ours"].text == "2.00" and "30 of 30 rounds" in found["example / ours"].note
    assert found["says"].text == "the example is slower"
    assert (found["example / limit"].text, found["ours / limit"].text) == ("24.0", "12.0")
    assert found["the example"].text == "the framework's lif_fc_mnist"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.6, "the example is faster"), (1.2, "tie: the interval holds 1")],
)
def test_an_example_may_be_faster_or_tied(seconds: float, said: str) -> None:
    assert line(section(ran(EXAMPLE, seconds), ran(OURS, 1.2)))["says"].text == said


def test_the_fastest_of_several_variants_is_held_against_the_example() -> None:
    quick = cell("jelly", variant="quick")
    found = line(section(ran(EXAMPLE, 2.4), ran(OURS, 1.2), ran(quick, 0.8)))
    assert found["our fastest"].note == "quick" and found["example / ours"].text == "3.00"


def test_an_example_whose_framework_cannot_do_the_task_stands_alone() -> None:
    found = line(section(ran(EXAMPLE, 2.4), record(OURS, status="skipped", reason="it cannot")))
    assert [found[name].text for name in ("our fastest", "example / ours", "says")] == ["–"] * 3


def test_without_an_example_there_is_no_table() -> None:
    assert versus(section(ran(OURS, 1.2)), None).groups == []


def test_compare_says_that_an_example_is_not_the_same_work(tmp_path: Path) -> None:
    folder = save(tmp_path, heat(ran(EXAMPLE, 2.4), ran(OURS, 1.2)))
    first, last = compare(folder, "jelly/shipped", "jelly/plain")
    assert first.startswith("jelly/shipped is 2.00x slower than jelly/plain in fc_lif")
    assert last == (
        "A framework's own example has no certificate: it does not do the same work as the variants."
    )
    (only,) = compare(folder, "jelly/shipped", "torch")
    assert only == (
        "jelly/shipped and torch are not compared in fc_lif: jelly/shipped: it does not do the same work, "
        "and is compared with its own framework alone."
    )


def test_the_report_has_the_table_below_the_comparison(tmp_path: Path) -> None:
    folder = save(tmp_path, heat(ran(EXAMPLE, 2.4, test_accuracy=0.9), ran(OURS, 1.2, test_accuracy=0.9)))
    write_report(folder)
    said = (folder / "report" / "report.md").read_text()
    assert "### fc_lif: Each framework beside its own example" in said
    assert "examples that frameworks ship or document" in said
    drawn = (folder / "report" / "fc-lif-beside.svg").read_text()
    assert "jelly's own example takes 2.00 times as long" in drawn and "its own example" in drawn
