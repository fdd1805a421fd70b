"""What a person sees while a run goes on: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from bench.records import Cell, Record
from bench.report.figures import FIGURES
from bench.report.text import titled

COLOURS = {"ok": "green", "skipped": "yellow"}


class Progress:
    """Lines for epochs and finished cells, with the time left for the whole run."""

    def __init__(self, console: Console, cells: Sequence[Cell], done: Sequence[Record]) -> None:
        self.console = console
        self.total = len(cells)
        self.waiting = {cell.cell: cell for cell in cells}
        self.durations: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.points: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for cell in cells:
            if cell.task_values not in self.points[cell.task]:
                self.points[cell.task].append(cell.task_values)
        self.live: Status | None = console.status("") if console.is_terminal else None
        for record in done:
            self._count(record)

    def __enter__(self) -> Progress:
        if self.live:
            self.live.start()
        certificates = sum(cell.stage == "certify" for cell in self.waiting.values())
        if certificates:
            self._say(f"Certificates: is it the same work? {certificates} to find or make.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)

    def _count(self, record: Record) -> None:
        self.waiting.pop(record.cell.cell)
        if record.status == "ok" and record.seconds:
            self.durations[_kind(record.cell)].append(record.seconds)

    def heat(self, cells: Sequence[Cell]) -> None:
        """A heat begins."""
        names = ", ".join(_name(cell) for cell in cells)
        several = "take turns" if len(cells) > 1 else "runs"
        self._say(escape(f"{self._task(cells[0])}: {names} {several}{self._left()}"))

    def turn(self, cell: Cell, turn: Mapping[str, Any]) -> None:
        """A worker has taken a turn; one that ends an epoch has a ``point``."""
        if self.live:
            words = f"{self._task(cell)} {_name(cell)}: {turn['phase']}, round {turn['round']}{self._left()}"
            self.live.update(escape(words))
        if (point := turn["point"]) and cell.stage == "run":
            line = f"{self._task(cell)} {_name(cell)}  epoch {point['epoch']}/{point['epochs']}  "
            line += f"loss {point['loss']:.4f}  train {point['train_accuracy']:.1%}  "
            if point.get("test_accuracy") is not None:
                line += f"test {point['test_accuracy']:.1%}  "
            self._say(escape(f"{line}{point['seconds']:.2f} s"))

    def finish(self, record: Record, *, kept: bool = False) -> None:
        """A cell has ended; ``kept``: its certificate was made earlier."""
        cell = record.cell
        number = self.total - len(self.waiting) + 1
        colour = COLOURS.get(record.status, "red")
        what = "certificate of " if cell.stage == "certify" else ""
        detail = record.reason or (record.parity if cell.stage == "certify" else "") or ""
        if cell.stage != "certify" and record.status == "ok" and record.figures:
            name, value = next(iter(record.figures.items()))
            detail = f"{FIGURES[name].heading} {FIGURES[name].spell(value)}"
        head = escape(f"[{number}/{self.total}] {what}{self._task(cell)} {_name(cell)}")
        took = f"made {record.made}" if kept else f"{record.seconds:.1f} s"
        self._count(record)
        self._say(f"{head}  [{colour}]{record.status}[/]  {escape(detail)}  {took}")

    def _task(self, cell: Cell) -> str:
        """The task, with what tells this point of it from the others of the run."""
        return titled(cell.task, cell.task_values, self.points[cell.task])

    def _left(self) -> str:
        """Time left, from finished cells of the same kind; nothing is said while one is unknown."""
        ahead = 0.0
        for cell in self.waiting.values():
            if not cell.skip:
                known = self.durations.get(_kind(cell))
                if not known:
                    return ""
                ahead += median(known)
        return f"  about {_words(ahead)} left"


def _name(cell: Cell) -> str:
    seed = f" seed {cell.seed}" if cell.stage != "certify" and cell.seed else ""
    control = " (control)" if cell.stage == "control" else ""
    return f"{cell.adapter} {cell.way}{seed}{control}"


def _kind(cell: Cell) -> tuple[str, str]:
    return cell.stage, cell.task


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
