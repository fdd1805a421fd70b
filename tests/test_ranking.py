"""Rows whose figures are right and yet stand apart: on another device, or without learning."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bench.records import Cell, Record
from bench.report.ranking import Row, Section, sections
from tests.test_plan import SETTINGS, cells


def records_of(only: str, device: str = "cpu") -> tuple[list[Cell], list[Record]]:
    """The timed cells of a selection, all of them ended well."""
    planned = cells(only, settings=SETTINGS | {"device": device})
    timed = [cell for cell in planned if cell.kind != "certify"]
    records = [
        Record(
            cell=cell,
            status="ok",
            parity=None if cell.division == "open" else "exact",
            figures={"epoch_seconds": 2.0 if cell.device == "cpu" else 1.0, "test_accuracy": 0.9},
            started="",
            seconds=1,
        )
        for cell in timed
    ]
    return timed, records


def section(only: str, device: str = "cpu") -> Section:
    timed, records = records_of(only, device)
    manifest: Any = SimpleNamespace(cells=timed, settings={"device": device})
    (found,) = sections(manifest, records)
    return found


def row(found: Section, adapter: str, variant: str) -> Row:
    return next(r for r in found.rows if (r.adapter, r.variant) == (adapter, variant))


def test_a_row_on_the_cpu_of_a_run_on_cuda_is_there_and_unranked() -> None:
    found = section("adapter=ok,torch", device="cuda")
    assert found.cell.device == "cuda"
    torch, other = row(found, "torch", "folded"), row(found, "ok", "plain")
    assert (torch.rank, torch.ratio, torch.comparable) == (1, 1.0, True)
    assert (other.rank, other.tier, other.comparable) == (None, "not ranked", False)
    assert other.reason == "not ranked: on the cpu: ok does not run on cuda"
    assert row(section("adapter=torch,nengo", device="cuda"), "nengo", "stepped").reason == (
        "not ranked: on the cpu: nengo does not run on cuda, "
        "inference alone, with weights trained on 60,000 images"
    )
    own = row(section("adapter=torch,nengo", device="cuda"), "nengo", "least-squares")
    assert (own.tier, own.reason) == ("open", "on the cpu: nengo does not run on cuda")
    assert own.apart == "open division, on the cpu: nengo does not run on cuda"
    on_cpu = section("adapter=ok,torch")
    assert {r.rank for r in on_cpu.rows} == {1, 2}


def test_a_row_that_learns_nothing_is_unranked() -> None:
    found = section("adapter=nengo")
    given, own = row(found, "nengo", "stepped"), row(found, "nengo", "least-squares")
    assert (given.tier, given.comparable, given.parity) == ("not ranked", False, "exact")
    alone = "inference alone, with weights trained on 60,000 images"
    assert given.reason == f"not ranked: {alone}"
    assert (own.tier, own.comparable) == ("open", False)
