"""A heat: the workers of one question live side by side and take turns, one at a time.

Neighbours on a machine come and go within minutes, so that times which are minutes apart cannot be compared.
In each round every worker takes its next turn, in an order shuffled anew; what disturbs a round disturbs all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from bench.measure import gpu, limits, load
from bench.measure.card import Card
from bench.process import Worker, side_by_side
from bench.records import Cell

# a worker has grown to its size by the end of these: build, and the first turn
GROWING_ROUNDS = 2
ROOM = 1.25  # times what the largest worker so far has grown by
SMALLEST_BYTES = 10**9  # of a worker that has imported a framework


@dataclass(slots=True)
class Entrant:
    """A worker in a heat, with the turns that it has taken and the epochs that it has finished.

    ``epoch``: the last one after which another worker could go on.  ``context_bytes``: what it held on the
    card before it had built anything.
    """

    cell: Cell
    worker: Worker
    turns: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    epoch: int = 0
    context_bytes: float | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is timed in what it does next."""
        return self.worker.turn is not None and bool(self.worker.turn["free"])

    def outcome(self) -> dict[str, Any]:
        """The fields of its record."""
        fields = {"turns": self.turns, "curve": self.curve} | (self.worker.outcome or {})
        measured = gpu.figures(gpu.OnCard(**turn["gpu"]) for turn in self.turns if turn["gpu"])
        if self.context_bytes is not None:
            measured["device_context_bytes"] = self.context_bytes
        # figures of another shape are for the record to refuse
        if fields["status"] == "ok" and isinstance(own := fields.get("figures"), dict):
            fields["figures"] = own | measured
        return fields | {"seconds": self.worker.worked}

    def so_far(self) -> dict[str, Any]:
        """The fields of its record if it has ended, else what it has done."""
        return {"turns": self.turns, "curve": self.curve} if self.worker.outcome is None else self.outcome()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A heat after an epoch from which every worker under way can go on.

    ``outcomes``: by cell key, of those that have ended the fields of their records, of the others ``turns``
    and ``curve`` so far.
    """

    epoch: int
    outcomes: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What a heat works with.

    ``make`` makes the worker of a cell, which goes on after an epoch (0: begins); ``turn`` is told of every
    turn, ``keep`` of what an interrupted heat can go on from.  ``card`` is what cells on CUDA run on.
    """

    make: Callable[[Cell, int], Worker]
    turn: Callable[[Cell, dict[str, Any]], None]
    keep: Callable[[Kept], None]
    card: Card | None = None


def run_heat(
    cells: Sequence[Cell], hands: Hands, kept: Kept | None = None, first: int = 0
) -> dict[str, dict[str, Any]]:
    """Run the cells of one heat, or go on with it; the fields of their records by cell key.

    What does not fit into the memory beside the others is run afterwards, in a group with the baseline and
    the control in new processes, whose turns are added to those of the first.  It is the first group that
    can be gone on with.  Rounds are counted from ``first``.
    """
    return _Heat(cells, hands, kept, first).run()


class _Heat:
    """A heat under way; ``number`` is that of the round."""

    def __init__(self, cells: Sequence[Cell], hands: Hands, kept: Kept | None, first: int) -> None:
        self.hands, self.kept = hands, kept
        self.companions = [cell for cell in cells if cell.baseline or cell.stage == "control"]
        self.rest = [cell for cell in cells if cell not in self.companions]
        self.shuffle = random.Random(cells[0].heat)
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.number = self.first = first

    def run(self) -> dict[str, dict[str, Any]]:
        """Group after group."""
        companions, later = self.companions, list[Cell]()
        if self.kept is not None:
            begun = self.kept.outcomes
            self.outcomes = {key: fields for key, fields in begun.items() if "status" in fields}
            companions = [cell for cell in companions if cell.cell not in self.outcomes]
            later = [cell for cell in self.rest if cell.cell not in begun]
            self.rest = [cell for cell in self.rest if cell.cell in begun and cell.cell not in self.outcomes]
            self.number = max(self.first, _next_round(begun))
        self._group(companions, keeps=True)
        self.rest += later
        while self.rest:
            self._group(self.companions, keeps=False)
        return self.outcomes

    def _group(self, companions: Sequence[Cell], *, keeps: bool) -> None:
        """Run as many cells as fit side by side, one of the rest at least."""
        count = len(companions) + 1
        while count < len(companions) + len(self.rest) and _available() > SMALLEST_BYTES * (count + 1):
            count += 1
        cells = [*companions, *self.rest][:count]
        self.rest = [*companions, *self.rest][count:]
        essential = cells[: len(companions) + 1]
        entrants = [self._entrant(cell) for cell in cells]
        self.kept = None
        with ExitStack() as stack:
            for entrant in entrants:
                stack.callback(entrant.worker.end)
            # nothing is timed before the first turn
            for _ in side_by_side([entrant.worker for entrant in entrants], _cores()):
                pass
            for entrant in entrants:
                if entrant.worker.outcome is None and (now := self._card_of(entrant)):
                    entrant.context_bytes = gpu.used_bytes(now, entrant.worker.pid)
            self._rounds(entrants, essential, keeps=keeps)
        for entrant in entrants:
            known = self.outcomes.setdefault(entrant.cell.cell, entrant.outcome())
            if known["turns"] is not entrant.turns:  # a companion, once more
                known["turns"] += entrant.turns
        self.number = max(self.first, _next_round(self.outcomes))

    def _entrant(self, cell: Cell) -> Entrant:
        if self.kept is None:
            return Entrant(cell, self.hands.make(cell, 0))
        epoch, done = self.kept.epoch, self.kept.outcomes[cell.cell]
        return Entrant(cell, self.hands.make(cell, epoch), done["turns"], done["curve"], epoch)

    def _rounds(self, entrants: list[Entrant], essential: Sequence[Cell], *, keeps: bool) -> None:
        """Round after round until all have ended; who finds no room any more leaves the entrants."""
        grown, first, epoch = 0, self.number, min((each.epoch for each in entrants), default=0)
        while alive := [entrant for entrant in entrants if entrant.worker.outcome is None]:
            if keeps and (reached := min(entrant.epoch for entrant in alive)) > epoch:
                epoch = reached
                so_far = {entrant.cell.cell: entrant.so_far() for entrant in entrants}
                self.hands.keep(Kept(epoch=epoch, outcomes=self.outcomes | so_far))
            timed = [entrant for entrant in alive if not entrant.is_free]
            if not timed:
                self._free_round(alive)
                self.number += 1
                continue
            growing = self.number < first + GROWING_ROUNDS
            if not growing:
                self.shuffle.shuffle(timed)
            for entrant in timed:
                if growing and entrant.cell not in essential and _available() < ROOM * grown:
                    entrant.worker.end()
                    entrants.remove(entrant)
                    self.rest.append(entrant.cell)
                    continue
                before = _resident(entrant.worker.pid)
                rested = self._card_of(entrant)
                start = load.read(entrant.worker.pid)
                for _ in side_by_side([entrant.worker], 1):
                    pass
                if entrant.worker.outcome is None:
                    stop = load.read(entrant.worker.pid)
                    on_card = self._on_card(entrant, rested, [each.worker.pid for each in alive])
                    grown = max(grown, _resident(entrant.worker.pid) - before)
                    threads = entrant.worker.job.settings.threads
                    self._note(entrant, load.shares(start, stop, threads), on_card)
            self.number += 1

    def _free_round(self, alive: Sequence[Entrant]) -> None:
        by_worker = {id(entrant.worker): entrant for entrant in alive}
        # threads of several that share a core wait for one another
        room = max(1, _cores() // alive[0].worker.job.settings.threads)
        for worker in side_by_side([entrant.worker for entrant in alive], room):
            entrant = by_worker[id(worker)]
            if worker.outcome is None:
                now = self._card_of(entrant)  # which others use meanwhile: only what each holds can be told
                held = gpu.OnCard(used_bytes=gpu.used_bytes(now, worker.pid)) if now else None
                self._note(entrant, load.Shares(), held)

    def _card_of(self, entrant: Entrant) -> gpu.Reading | None:
        """The card now, for a cell that uses it."""
        card = self.hands.card
        return gpu.read(card) if card and entrant.cell.device == "cuda" else None

    def _on_card(self, entrant: Entrant, start: gpu.Reading | None, ours: list[int]) -> gpu.OnCard | None:
        """What the card did since ``start``."""
        stop = self._card_of(entrant)
        return gpu.during(start, stop, entrant.worker.pid, ours) if start and stop else None

    def _note(self, entrant: Entrant, shares: load.Shares, on_card: gpu.OnCard | None) -> None:
        """Keep the turn that a worker has just taken."""
        turn = dict(entrant.worker.turn or {})
        del turn["free"]
        if turn.pop("kept"):
            entrant.epoch = turn["epoch"]
        if point := turn.pop("point"):
            entrant.curve.append({key: value for key, value in point.items() if key != "epochs"})
        turn |= {"round": self.number, "gpu": on_card and asdict(on_card)} | asdict(shares)
        entrant.turns.append(turn)
        self.hands.turn(entrant.cell, turn | {"point": point})


def _next_round(outcomes: Mapping[str, Mapping[str, Any]]) -> int:
    return max((turn["round"] + 1 for fields in outcomes.values() for turn in fields["turns"]), default=0)


def _cores() -> int:
    return limits.usable_cores()


def _available() -> int:
    return limits.available_bytes()


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
