"""The sentences of ``spikebench compare``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.records import Cell, Record
from bench.report.compare import compare
from tests.builders import cell, control, record, save, turns

RUN = "run 2026-01-01T10-00-00-quick"


def ran(of: Cell, seconds: float, foreign: Sequence[float] = ()) -> Record:
    """30 turns; but for the baseline's, a third of them is 1 % shorter and a third 1 % longer."""
    factors = [1.0] if of.baseline else [0.99, 1.0, 1.01]
    return record(of, turns=turns(islice(cycle([seconds * factor for factor in factors]), 30), foreign))


def heat(task: str, seed: int = 0, **times: float) -> list[Record]:
    """A heat of torch, its control and others."""
    torch = cell("torch", task, seed=seed)
    others = [ran(cell(name, task, seed=seed), seconds) for name, seconds in times.items()]
    return [ran(torch, 1.0), *others, ran(control(torch), 1.0)]


def test_a_slower_framework_is_said_to_be_slower_with_all_that_it_rests_on(tmp_path: Path) -> None:
    torch = cell("torch", "csnn")
    slow = ran(cell("slow", "csnn"), 1.3, foreign=[0.5, 0.5])
    folder = save(tmp_path, [ran(torch, 1.0), slow, ran(control(torch), 1.0)])
    first, last = compare(folder, "slow", "torch")
    assert first == (
        "slow is 1.30x slower than torch in csnn (95 % interval 1.29-1.31, 28 rounds of 30, 1 process each, "
        f"single run, cpu, {RUN})."
    )
    assert last == "What is compared is the same work: each has a certificate that passed."
    turned, _ = compare(folder, "torch/plain", "slow")
    assert turned == first.replace("slow is 1.30x slower than torch", "torch is 1.30x faster than slow")


def test_a_tie_says_why_and_what_the_control_does(tmp_path: Path) -> None:
    folder = save(tmp_path, heat("csnn", same=1.0, near=1.03))
    tie, _ = compare(folder, "same", "torch")
    assert tie.startswith(
        "same and torch are tied in csnn: same takes 1.00x the time of torch (95 % interval "
    )
    assert "; the interval holds 1; the control moves 1 %." in tie
    tie, _ = compare(folder, "near", "torch")
    assert "; below the 5 % that count; the control moves 1 %." in tie


def test_a_difference_that_is_not_sure_enough_is_undecided_and_no_tie(tmp_path: Path) -> None:
    torch = cell("torch", "csnn")
    folder = save(tmp_path, [ran(torch, 1.0), ran(cell("slow", "csnn"), 3.0)])
    undecided, _ = compare(folder, "slow", "torch")
    assert undecided.startswith(
        "Whether slow or torch is faster in csnn is undecided: slow takes 3.00x the time of torch (95 % "
    )
    assert undecided.endswith("; no control says what counts.")


def test_each_task_has_its_sentence_and_all_have_their_geometric_mean(tmp_path: Path) -> None:
    folder = save(tmp_path, [*heat("csnn", slow=2.0), *heat("fc_lif", slow=1 / 1.28)])
    csnn, fc_lif, _, overall = compare(folder, "slow", "torch")
    assert csnn.startswith("slow is 2.00x slower than torch in csnn")
    assert fc_lif.startswith("slow is 1.28x faster than torch in fc_lif")
    assert overall == "Over 2 tasks: slow takes 1.25x the time of torch (geometric mean)."


def test_several_seeds_are_several_processes(tmp_path: Path) -> None:
    records = [each for seed in range(3) for each in heat("csnn", seed, slow=1.3)]
    first, _ = compare(save(tmp_path, records), "slow", "torch")
    assert "90 rounds of 90, 3 processes each, indicative, cpu" in first


def test_what_is_not_compared_says_why_and_whose_fault_it_is(tmp_path: Path) -> None:
    own = cell("own", table="open", division="open", compared=False)
    skipped = record(cell("skips"), status="skipped", reason="it has no max-pooling")
    wrong = record(cell("wrong"), parity="wrong")
    full = record(cell("memory"), status="out_of_memory")
    half = record(cell("half"), [0.5] * 30, parity="reduced precision")
    folder = save(tmp_path, [*heat("fc_lif", slow=1.3), ran(own, 0.1), skipped, wrong, full, half])
    begins = "{} and torch are not compared in fc_lif: "
    assert compare(folder, "own", "torch") == [begins.format("own") + "own: open division."]
    assert compare(folder, "skips", "torch") == [
        begins.format("skips") + "skips: skipped, it has no max-pooling."
    ]
    assert compare(folder, "wrong", "torch") == [begins.format("wrong") + "wrong: parity wrong."]
    assert compare(folder, "memory", "torch") == [begins.format("memory") + "memory: out of memory."]
    assert compare(folder, "half", "torch") == [
        begins.format("half") + "only one of them computes in reduced precision."
    ]
    assert compare(folder, "own", "skips") == [
        "own and skips are not compared in fc_lif: own: open division; skips: skipped, it has no max-pooling."
    ]


def test_an_adapter_without_its_variant_means_each_of_them(tmp_path: Path) -> None:
    fast = [ran(cell("two", variant=variant), 0.5) for variant in ("one", "other")]
    folder = save(tmp_path, [*heat("fc_lif"), *fast])
    lines = compare(folder, "two", "torch")
    assert [line.split(" in ")[0] for line in lines[:2]] == [
        "two/one is 2.00x faster than torch",
        "two/other is 2.00x faster than torch",
    ]
    assert len(lines) == 3  # two variants are not two tasks
    assert compare(folder, "two/one", "two/other")[0].startswith("two/one and two/other are tied")


def test_unknown_names_and_nothing_to_compare_are_errors(tmp_path: Path) -> None:
    folder = save(tmp_path, [*heat("fc_lif", norse=1.3), *heat("csnn", only=1.0)])
    with pytest.raises(
        UserError, match="unknown adapter or variant in this run 'nors': did you mean 'norse'"
    ):
        compare(folder, "nors", "torch")
    with pytest.raises(UserError, match="no task with norse beside only"):
        compare(folder, "norse", "only")
    with pytest.raises(UserError, match="no task with torch beside torch"):
        compare(folder, "torch", "torch/plain")
