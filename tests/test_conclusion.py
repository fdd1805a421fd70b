"""The answer of a run in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records import Record
from bench.report.conclusion import fastest
from bench.report.sections import sections
from bench.report.sentences import noise, same_work
from tests.builders import cell, certify, control, manifest, record
from tests.test_compare import ran


def answer(records: Sequence[Record]) -> str:
    return fastest(sections(manifest(record.cell for record in records), records))


def heat(task: str = "csnn", **seconds: float) -> list[Record]:
    """A heat of torch, its control and others, by the seconds of their turns."""
    torch = cell("torch", task)
    others = [ran(cell(name, task), value) for name, value in seconds.items()]
    return [ran(torch, 1.0), *others, ran(control(torch), 1.0)]


def test_who_is_alone_at_the_front_is_fastest_and_the_others_say_by_how_much() -> None:
    assert answer(heat(quick=0.5, slow=2.0)) == ("csnn: quick, others 2.00 to 4.00 times as long.")


def test_equals_are_a_tie_and_never_ranked() -> None:
    assert answer(heat(near=1.02, slow=1.5)) == "csnn: near and torch (tied), others 1.50 times as long."
    assert answer(heat(near=1.02)) == "csnn: near and torch (tied)."


def test_tasks_with_the_same_outcome_are_told_together() -> None:
    records = [*heat("csnn", slow=1.5), *heat("fc_lif", slow=2.5), *heat("conv_lif", quick=0.5)]
    assert answer(records) == (
        "conv_lif: quick, others 2.00 times as long; "
        "csnn, fc_lif: torch, others 1.50 to 2.50 times as long, depending on the task."
    )


def test_what_is_not_sure_is_called_undecided() -> None:
    torch = cell("torch", "csnn")  # without a control nothing can be said
    assert (
        answer([ran(torch, 1.0), ran(cell("slow", "csnn"), 3.0)]) == "csnn: slow and torch (not told apart)."
    )


def test_what_does_other_work_is_not_spoken_of() -> None:
    records = [
        *heat(slow=1.5),
        ran(cell("own", "csnn", table="open", division="open", compared=False), 0.1),
        ran(cell("limit", "csnn", reference=True), 0.01),
        record(cell("wrong", "csnn"), parity="wrong"),
    ]
    assert answer(records) == "csnn: torch, others 1.50 times as long."


def test_one_alone_is_compared_with_nobody() -> None:
    nobody = "in no task of this run can the times of two be compared."
    assert answer([ran(cell("torch"), 1.0)]) == nobody
    assert answer([*heat(), ran(cell("limit", "csnn", reference=True), 0.01)]) == nobody


def test_variants_are_named_where_several_of_an_adapter_are_compared() -> None:
    two = [ran(cell("two", "csnn", variant=variant), value) for variant, value in (("a", 0.5), ("b", 2.0))]
    assert answer([*heat(), *two]).startswith("csnn: two a, others 2.00 to 4.00")


def test_the_noise_names_the_control_of_each_task() -> None:
    records = heat(slow=1.5)
    found = sections(manifest(record.cell for record in records), records)
    assert noise(found).startswith("The control (torch beside itself) moves csnn 1 %: smaller differences")


def test_what_no_adapter_was_written_for_lacks_no_certificate() -> None:
    torch, lacking = certify(cell("torch")), certify(cell("lacking", skip="it has no adapter code"))
    records = [record(torch), record(lacking, status="skipped", reason=lacking.skip)]
    said = same_work(manifest([torch, lacking]), records, {})
    assert said == "Yes: 1 of 1 certificates passed."
