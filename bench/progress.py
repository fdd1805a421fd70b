"""What a person sees while a run goes on: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from time import monotonic
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from bench.records import Cell, Record

COLOURS = {"ok": "green", "skipped": "yellow"}


class Progress:
    """Lines for epochs and finished cells, with the time left for the whole run."""

    def __init__(self, console: Console, cells: list[Cell], done: list[Record]) -> None:
        self.console = console
        self.total = len(cells)
        self.waiting = {cell.cell: cell for cell in cells}
        self.durations: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.live: Status | None = console.status("") if console.is_terminal else None
        for record in done:
            self._count(record)

    def __enter__(self) -> Progress:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def _count(self, record: Record) -> None:
        self.waiting.pop(record.cell.cell)
        if record.status == "ok":
            self.durations[_kind(record.cell)].append(record.seconds)

    def _head(self, cell: Cell) -> str:
        number = self.total - len(self.waiting) + 1
        what = "certificate of " if cell.kind == "certify" else ""
        return f"[{number}/{self.total}] {what}{cell.task} {cell.adapter} {cell.variant} seed {cell.seed}"

    def start(self, cell: Cell) -> None:
        """A cell begins."""
        self.started = monotonic()
        if self.live:
            self.live.update(escape(f"{self._head(cell)}{self._left()}"))

    def epoch(self, cell: Cell, point: dict[str, Any]) -> None:
        """An epoch of the cell has ended; ``point`` is a CurvePoint's fields and ``epochs``."""
        line = (
            f"{self._head(cell)}  epoch {point['epoch']}/{point['epochs']}  loss {point['loss']:.4f}  "
            f"train {point['train_accuracy']:.1%}  "
        )
        if point["test_accuracy"] is not None:
            line += f"test {point['test_accuracy']:.1%}  "
        ahead = (point["epochs"] - point["epoch"]) * (monotonic() - self.started) / point["epoch"]
        line += f"{point['seconds']:.2f} s{self._left(cell, ahead)}"
        self.console.print(escape(line), highlight=False, soft_wrap=True)

    def finish(self, record: Record) -> None:
        """A cell has ended."""
        colour = COLOURS.get(record.status, "red")
        detail = record.reason or (record.parity if record.cell.kind == "certify" else "")
        if record.status == "ok" and record.cell.kind == "classify":
            detail = f"test {record.figures['test_accuracy']:.2%}"
        elif record.status == "ok" and record.cell.kind == "nef":
            detail = f"rmse {record.figures['rmse']:.4f}"
        line = f"{escape(self._head(record.cell))}  [{colour}]{record.status}[/]  {escape(detail or '')}"
        self._count(record)
        self.console.print(f"{line}  {record.seconds:.1f} s", highlight=False, soft_wrap=True)

    def _left(self, current: Cell | None = None, ahead: float = 0) -> str:
        """Time left, from finished cells of the same kind and task; nothing is said while one is unknown."""
        for cell in self.waiting.values():
            if cell.skip or (current is not None and cell.cell == current.cell):
                continue
            known = self.durations.get(_kind(cell))
            if not known:
                return f"  {_words(ahead)} left in this cell" if current else ""
            ahead += median(known)
        return f"  about {_words(ahead)} left"


def _kind(cell: Cell) -> tuple[str, str]:
    return cell.kind, cell.task


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
