"""Certificates side by side, as the terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from bench.catalogue import Adapter
from bench.records import Record
from bench.report.text import titled

# The worst value of each, per precision, is what the terminal shows; parity.csv has every comparison.
SHOWN = (
    "spike difference",
    "rounded reference",
    "gradient error",
    "update error",
)


def table(records: Sequence[Record]) -> Table:
    """One row per adapter, variant and task; worst values in float64 / float32."""
    shown = Table("adapter", "variant", "task", "parity", *SHOWN, "status", box=None)
    for record in records:
        cell = record.cell
        points = (other.cell.task_values for other in records if other.cell.task == cell.task)
        task = titled(cell.task, cell.task_values, points)
        worst = [f"{_worst(record, name, 'float64')} / {_worst(record, name, 'float32')}" for name in SHOWN]
        shown.add_row(cell.adapter, cell.variant, task, record.parity or "–", *worst, record.status)
    return shown


def _worst(record: Record, metric: str, precision: str) -> str:
    values = [m.value for m in record.metrics if m.metric == metric and m.of.get("precision") == precision]
    return f"{max(values):.2g}" if values else "–"


def undeclared_failures(records: Sequence[Record], adapters: Mapping[str, Adapter]) -> list[Record]:
    """Certificates that ended neither ``ok`` nor ``skipped`` and whose adapter does not say why."""
    failed = []
    for record in records:
        declared = adapters[record.cell.adapter].deviations
        check = f"certificate-{record.cell.task}"
        known = check in declared or f"{record.cell.variant}/{check}" in declared
        if record.status not in ("ok", "skipped") and not known:
            failed.append(record)
    return failed
