"""A heat: the workers of one question live side by side and take turns, one at a time.

Neighbours on a machine come and go within minutes, so that times which are minutes apart cannot be compared.
In each round every worker takes its next turn, in an order shuffled anew; what disturbs a round disturbs all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.measure import gpu, load
from bench.process import Worker, side_by_side
from bench.records import Cell

# a worker has grown to its size by the end of these: build, and the first turn
GROWING_ROUNDS = 2
ROOM = 1.25  # times what the largest worker so far has grown by
SMALLEST_BYTES = 10**9  # of a worker that has imported a framework


@dataclass(slots=True)
class Entrant:
    """A worker in a heat, with the turns that it has taken and the epochs that it has finished."""

    cell: Cell
    worker: Worker
    turns: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    device_bytes: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is timed in what it does next."""
        return self.worker.turn is not None and bool(self.worker.turn["free"])

    def outcome(self) -> dict[str, Any]:
        """The fields of its record."""
        fields = {"turns": self.turns, "curve": self.curve} | (self.worker.outcome or {})
        if self.device_bytes is not None and fields["status"] == "ok":
            fields["figures"] = fields["figures"] | {"device_used_bytes": self.device_bytes}
        return fields | {"seconds": self.worker.worked}


Make = Callable[[Cell], Worker]
OnTurn = Callable[[Cell, dict[str, Any]], None]


def run_heat(cells: Sequence[Cell], make: Make, on_turn: OnTurn) -> dict[str, dict[str, Any]]:
    """Run the cells of one heat; the fields of their records by cell key.

    What does not fit into the memory beside the others is run afterwards, in a group with the baseline and
    the control in new processes, whose turns are added to those of the first.
    """
    companions = [cell for cell in cells if cell.baseline or cell.stage == "control"]
    rest = [cell for cell in cells if cell not in companions]
    shuffle = random.Random(cells[0].heat)
    outcomes: dict[str, dict[str, Any]] = {}
    rounds = 0
    while rest or not outcomes:
        entrants, rest = _group(companions, rest, make, on_turn, shuffle, rounds)
        for entrant in entrants:
            known = outcomes.setdefault(entrant.cell.cell, entrant.outcome())
            if known["turns"] is not entrant.turns:  # a companion, once more
                known["turns"] += entrant.turns
        rounds = max((turn["round"] + 1 for o in outcomes.values() for turn in o["turns"]), default=0)
    return outcomes


def _group(
    companions: Sequence[Cell],
    rest: Sequence[Cell],
    make: Make,
    on_turn: OnTurn,
    shuffle: random.Random,
    first_round: int,
) -> tuple[list[Entrant], list[Cell]]:
    """Run as many cells as fit side by side, one of the rest at least; those that ran, and those left."""
    cores = len(os.sched_getaffinity(0))
    count = len(companions) + 1
    while count < len(companions) + len(rest) and _available() > SMALLEST_BYTES * (count + 1):
        count += 1
    cells = [*companions, *rest][:count]
    left = [*companions, *rest][count:]
    essential = cells[: len(companions) + 1]
    entrants = [Entrant(cell, make(cell)) for cell in cells]
    with ExitStack() as stack:
        for entrant in entrants:
            stack.callback(entrant.worker.end)
        # nothing is timed before the first turn
        for _ in side_by_side([entrant.worker for entrant in entrants], cores):
            pass
        grown = 0
        number = first_round
        while alive := [entrant for entrant in entrants if entrant.worker.outcome is None]:
            timed = [entrant for entrant in alive if not entrant.is_free]
            if not timed:
                by_worker = {id(entrant.worker): entrant for entrant in alive}
                # threads of several that share a core wait for one another
                room = max(1, cores // alive[0].worker.job.settings.threads)
                for worker in side_by_side([entrant.worker for entrant in alive], room):
                    _note(by_worker[id(worker)], number, None, on_turn)
                number += 1
                continue
            growing = number < first_round + GROWING_ROUNDS
            if not growing:
                shuffle.shuffle(timed)
            for entrant in timed:
                if growing and entrant.cell not in essential and _available() < ROOM * grown:
                    entrant.worker.end()
                    entrants.remove(entrant)
                    left.append(entrant.cell)
                    continue
                before = _resident(entrant.worker.pid)
                start = load.read(entrant.worker.pid)
                for _ in side_by_side([entrant.worker], 1):
                    pass
                if entrant.worker.outcome is None:
                    share = load.foreign_share(start, load.read(entrant.worker.pid))
                    grown = max(grown, _resident(entrant.worker.pid) - before)
                else:
                    share = None
                _note(entrant, number, share, on_turn)
            number += 1
    return entrants, left


def _note(entrant: Entrant, number: int, share: float | None, on_turn: OnTurn) -> None:
    """Keep the turn that a worker has just taken, if it has not ended instead."""
    if entrant.worker.outcome is not None:
        return
    turn = dict(entrant.worker.turn or {})
    if entrant.cell.device == "cuda":
        used = gpu.used_bytes(entrant.worker.pid)
        entrant.device_bytes = max(used or 0, entrant.device_bytes or 0) or None
    del turn["free"]
    if point := turn.pop("point"):
        entrant.curve.append({key: value for key, value in point.items() if key != "epochs"})
    turn |= {"round": number, "foreign": share}
    entrant.turns.append(turn)
    on_turn(entrant.cell, turn | {"point": point})


def _available() -> int:
    return int(psutil.virtual_memory().available)


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
