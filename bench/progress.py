"""What a person sees while a run goes on: two lines that tick in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from bench.durations import Durations
from bench.measure import limits
from bench.records import Cell, Record
from bench.report.figures import FIGURES
from bench.report.text import titled

PHASES = ("environments", "certificates", "heats", "report")
COLOURS = {"ok": "green", "skipped": "yellow"}


def phase(name: str, says: str) -> str:
    """The line with which a phase of a run begins."""
    return f"{PHASES.index(name) + 1}/{len(PHASES)} {name.capitalize()}: {says}"


class Progress:
    """Lines for phases, epochs and finished cells, with the time left for the whole run.

    Cells are counted as the report counts them: certificates and controls apart.
    """

    def __init__(
        self, console: Console, cells: Sequence[Cell], done: Sequence[Record], known: Durations | None = None
    ) -> None:
        self.console = console
        self.durations = known or Durations()
        self.waiting = {cell.cell: cell for cell in cells}
        self.totals = {stage: sum(cell.stage == stage for cell in cells) for stage in ("certify", "run")}
        self.making = self.made = 0
        self.side_by_side = limits.usable_cores()
        self.heats = list(dict.fromkeys(cell.heat for cell in cells if cell.heat and not cell.skip))
        self.seeds = len({cell.seed for cell in cells if cell.stage != "certify"})
        self.points: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for cell in cells:
            if cell.task_values not in self.points[cell.task]:
                self.points[cell.task].append(cell.task_values)
        self.began = self.heat_began = monotonic()
        self.heat_now = ""
        self.now = ""
        self.live: Live | None = None
        if console.is_terminal:
            # once a second: what is measured must not share its cores with a clock
            self.live = Live(
                get_renderable=self._ticking, console=console, refresh_per_second=1, transient=True
            )
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

    def say(self, line: str) -> None:
        """One plain line."""
        self._print(escape(line))

    def environments(self, adapters: int) -> None:
        """Environments are to be prepared."""
        self.now = "environments and data"
        self.say(phase("environments", f"those of {adapters} {'adapter' if adapters == 1 else 'adapters'}."))

    def begin_again(self, records: Sequence[Record]) -> None:
        """What had ended is to be run once more."""
        self.waiting |= {record.cell.cell: record.cell for record in records}

    def certificates(self, reused: Sequence[Record], making: int) -> None:
        """Certificates begin: some are there already, some are to be made."""
        if not self.totals["certify"]:
            self.say(phase("certificates", "none is needed."))
            return
        self.making = making
        days = sorted({record.made[:10] for record in reused if record.made})
        when = f" (made {' to '.join(dict.fromkeys((days[0], days[-1])))})" if days else ""
        self.now = "certificates"
        self.say(
            phase(
                "certificates",
                "is it the same work? Each holds the spikes, gradients and training steps of a variant "
                f"against a reference. {len(reused)} reused{when}, {making} to make.",
            )
        )

    def begin_heats(self) -> None:
        """What is timed begins."""
        cells = [cell for cell in self.waiting.values() if cell.stage == "run"]
        if not self.totals["run"]:
            self.say(phase("heats", "nothing is timed."))
            return
        skipped = sum(bool(cell.skip) for cell in cells)
        self.say(
            phase(
                "heats",
                "who does the same work takes turns, with the baseline once more as a control. "
                f"{len(cells) - skipped} of {self.totals['run']} cells to run, "
                f"{skipped} to skip.{self._left()}",
            )
        )

    def heat(self, cells: Sequence[Cell]) -> None:
        """A heat begins."""
        self.heat_now, self.heat_began = cells[0].heat, monotonic()
        names = ", ".join(self._name(cell) for cell in cells)
        several = "take turns" if len(cells) > 1 else "runs"
        number = f"{self.heats.index(cells[0].heat) + 1}/{len(self.heats)}"
        self.now = f"{self._task(cells[0])}: {names}"
        self.say(f"heat {number}  {self._task(cells[0])}: {names} {several}{self._left()}")

    def turn(self, cell: Cell, turn: Mapping[str, Any]) -> None:
        """A worker has taken a turn; one that ends an epoch has a ``point``."""
        self.now = f"{self._task(cell)} {self._name(cell)}: {turn['phase']}, round {turn['round']}"
        if (point := turn["point"]) and cell.stage == "run":
            line = f"{self._task(cell)} {self._name(cell)}  epoch {point['epoch']}/{point['epochs']}  "
            line += f"loss {point['loss']:.4f}  train {point['train_accuracy']:.1%}  "
            if point.get("test_accuracy") is not None:
                line += f"test {point['test_accuracy']:.1%}  "
            self.say(f"{line}{point['seconds']:.2f} s")

    def finish(self, record: Record, *, kept: bool = False) -> None:
        """A cell has ended; ``kept``: its certificate was made earlier, and is spoken of with all others."""
        self._count(record)
        cell = record.cell
        if cell.stage == "certify" and (cell.skip or (kept and record.status == "ok")):
            return
        detail = record.reason or (record.parity if cell.stage == "certify" else "") or ""
        if cell.stage != "certify" and record.status == "ok" and record.figures:
            name, value = next(iter(record.figures.items()))
            detail = f"{FIGURES[name].heading} {FIGURES[name].spell(value)}"
        what = "certificate of " if cell.stage == "certify" else ""
        number = "" if kept else self._number(cell)
        head = escape(f"{number}{what}{self._task(cell)} {self._name(cell)}")
        took = f"made {record.made}" if kept else f"{record.seconds:.1f} s" if record.seconds else ""
        colour = COLOURS.get(record.status, "red")
        parts = [head, f"[{colour}]{record.status}[/]", escape(detail), took]
        self._print("  ".join(filter(None, parts)))

    def _print(self, markup: str) -> None:
        self.console.print(markup, highlight=False, soft_wrap=True)

    def _count(self, record: Record) -> None:
        self.waiting.pop(record.cell.cell)
        self.durations.add(record)

    def _number(self, cell: Cell) -> str:
        """Which it is, of the certificates to make or of the cells; a control is counted with nobody."""
        if cell.stage == "control":
            return ""
        if cell.stage == "certify":
            self.made += 1
            return f"[{self.made}/{self.making}] "
        left = sum(other.stage == "run" for other in self.waiting.values())
        return f"[{self.totals['run'] - left}/{self.totals['run']}] "

    def _name(self, cell: Cell) -> str:
        seed = f" seed {cell.seed}" if cell.stage != "certify" and self.seeds > 1 else ""
        control = " (control)" if cell.stage == "control" else ""
        return f"{cell.adapter} {cell.way}".rstrip() + seed + control

    def _task(self, cell: Cell) -> str:
        """The task, with what tells this point of it from the others of the run."""
        return titled(cell.task, cell.task_values, self.points[cell.task])

    def _ticking(self) -> Text:
        """What runs now, and how long it takes in all."""
        so_far = f"in all  {_words(monotonic() - self.began)} so far"
        return Text(f"now     {self.now}\n{so_far}{self._left(', ')}", no_wrap=True, overflow="ellipsis")

    def _left(self, before: str = "  ") -> str:
        """Time left, from earlier runs and from what has ended; nothing is said while a part is unknown."""
        ahead = under_way = 0.0
        for cell in list(self.waiting.values()):  # another thread may be at it
            if cell.skip:
                continue
            seconds = self.durations.of(cell)
            if seconds is None:
                return ""
            if cell.stage == "certify":  # as many side by side as there are cores
                ahead += seconds / self.side_by_side
            elif cell.heat == self.heat_now:
                under_way += seconds
            else:
                ahead += seconds
        ahead += max(0.0, under_way - (monotonic() - self.heat_began))
        return f"{before}about {_words(ahead)} left"


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
