from __future__ import annotations

import copy
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import heat
from bench.heat import Hands, Kept, run_heat
from bench.measure import gpu, load
from bench.measure.card import Card
from bench.process import Worker
from bench.records import Cell
from tasks.protocol import Job, Settings
from tests.builders import cell, control
from tests.cards import FakeCard, install
from tests.harness import PATIENCE_SECONDS, interpreter, is_gone

ROUNDS = 8  # of training, after one to build
WORK = f"""
turn("prepare")
turn("build")
for number in range({ROUNDS}):
    turn("train", epoch=2, compared=True, seconds=float(number))
result()
"""

GPU_WORK = """
turn("prepare")
turn("a", free=True)
turn("b")
turn("c")
result(figures={"rmse": 0.5})
"""


class Heat:
    """Heats of programs: ``sources`` by adapter; ``turns`` are told in the order in which they are taken."""

    def __init__(self, folder: Path, sources: Mapping[str, str], threads: int = 1) -> None:
        self.folder, self.threads = folder, threads
        self.pythons = {
            name: interpreter(folder / name / "python", source) for name, source in sources.items()
        }
        self.workers: list[Worker] = []
        self.turns: list[tuple[str, dict[str, Any]]] = []
        self.kept: list[Kept] = []

    def make(self, of: Cell, epoch: int) -> Worker:
        job = Job(
            stage="run",
            family=of.family,
            task=of.task,
            adapter=of.adapter,
            adapters="",
            table=of.table,
            variant=of.variant,
            learning=of.learning,
            resume=epoch,
            settings=Settings(threads=self.threads),
        )
        log = self.folder / f"{of.cell}.log"
        self.workers.append(Worker(self.pythons[of.adapter], job, log=log, seconds=PATIENCE_SECONDS))
        return self.workers[-1]

    def hands(self, card: Card | None = None) -> Hands:
        return Hands(
            card=card,
            make=self.make,
            turn=lambda of, turn: self.turns.append((of.cell, turn)),
            keep=lambda kept: self.kept.append(copy.deepcopy(kept)),
        )

    def run(
        self, cells: Sequence[Cell], kept: Kept | None = None, card: Card | None = None
    ) -> dict[str, dict[str, Any]]:
        """The outcomes of the cells by their keys; no process is left."""
        found = run_heat(cells, self.hands(card), kept)
        assert found.keys() == {each.cell for each in cells}
        assert all(worker.process is None or is_gone(worker.pid) for worker in self.workers)
        return found

    def orders(self) -> list[list[str]]:
        """Who took a turn in each round, in that order."""
        rounds: dict[int, list[str]] = defaultdict(list)
        for key, turn in self.turns:
            rounds[turn["round"]].append(key)
        return [rounds[number] for number in sorted(rounds)]


TORCH = cell("torch")
CONTROL = control(TORCH)
OTHERS = [cell("a"), cell("b"), cell("c")]
CELLS = [*OTHERS, TORCH, CONTROL]


def test_in_each_round_everybody_takes_a_turn_in_an_order_shuffled_anew(tmp_path: Path) -> None:
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "b", "c"), WORK))
    found = made.run(CELLS)
    assert [outcome["status"] for outcome in found.values()] == ["ok"] * len(CELLS)
    orders = made.orders()
    assert len(orders) == 1 + ROUNDS
    assert all(sorted(order) == sorted(each.cell for each in CELLS) for order in orders)
    assert len({tuple(order) for order in orders}) > ROUNDS // 2
    again = Heat(tmp_path, dict.fromkeys(("torch", "a", "b", "c"), WORK))
    again.run(CELLS)
    assert again.orders() == orders  # by the heat's name


def test_turns_are_kept_as_they_were_told_with_their_rounds(tmp_path: Path) -> None:
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "b", "c"), WORK))
    for outcome in made.run(CELLS).values():
        turns = outcome["turns"]
        assert [turn["round"] for turn in turns] == list(range(1 + ROUNDS))
        assert [turn["phase"] for turn in turns] == ["build", *["train"] * ROUNDS]
        assert [turn["seconds"] for turn in turns[1:]] == [float(number) for number in range(ROUNDS)]


def test_the_end_of_an_epoch_is_a_point_of_the_curve(tmp_path: Path) -> None:
    point = {"epoch": 1, "seconds": 2.0, "epochs": 7}
    made = Heat(tmp_path, {"a": f"turn('prepare'); turn('curve', point={point}); turn('train'); result()"})
    (outcome,) = made.run([cell("a", compared=False)]).values()
    assert outcome["curve"] == [{"epoch": 1, "seconds": 2.0}]
    assert [turn["point"] for _, turn in made.turns] == [point, None]
    assert not any("point" in turn or "free" in turn for turn in outcome["turns"])


@pytest.mark.parametrize(
    ("source", "status", "count"),
    [
        ("sys.exit(3)", "crashed", 0),
        ("turn('prepare'); sys.exit(3)", "crashed", 0),
        ("turn('prepare'); turn('build'); turn('train'); sys.exit(3)", "crashed", 2),
        ("turn('prepare'); turn('build'); result(status='error', reason='no')", "error", 1),
        ("turn('prepare'); turn('build'); result()", "ok", 1),
    ],
)
@pytest.mark.parametrize("who", ["a", "torch"])
def test_who_ends_early_leaves_the_others_going(
    tmp_path: Path, who: str, source: str, status: str, count: int
) -> None:
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "b", "c"), WORK) | {who: source})
    found = made.run(CELLS)
    for each in CELLS:
        outcome = found[each.cell]
        ended = (status, count) if each.adapter == who else ("ok", 1 + ROUNDS)
        assert (outcome["status"], len(outcome["turns"])) == ended


TWO_CORES = """
def meet(place):
    names = {"torch", "a"}
    (Path(place) / job["adapter"]).mkdir(parents=True)
    while {path.name for path in Path(place).iterdir()} != names:
        time.sleep(0.01)

def alone():
    os.mkdir("alone")
    time.sleep(0.02)
    os.rmdir("alone")

os.chdir(Path(sys.argv[0]).parents[1])
meet("preparing")
turn("prepare")
for number in range(5):
    alone()
    turn("train")
alone()
turn("evaluate", free=True)
meet("ending")
result()
"""


def test_what_is_not_timed_runs_side_by_side_and_what_is_runs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    found = Heat(tmp_path, dict.fromkeys(("torch", "a"), TWO_CORES)).run([TORCH, cell("a")])
    assert [outcome["status"] for outcome in found.values()] == ["ok", "ok"]


ALONE_AT_THE_END = TWO_CORES.replace('meet("ending")', "alone()")


def test_what_is_not_timed_runs_alone_where_its_threads_need_every_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    made = Heat(tmp_path, dict.fromkeys(("torch", "a"), ALONE_AT_THE_END), threads=2)
    found = made.run([TORCH, cell("a")])
    assert [outcome["status"] for outcome in found.values()] == ["ok", "ok"]


def test_a_turn_that_runs_beside_others_says_nothing_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "shares", lambda start, stop, threads: load.Shares(foreign=0.25))
    source = "turn('prepare'); turn('evaluate', free=True); turn('sweep', seconds=None); result()"
    (outcome,) = Heat(tmp_path, {"a": source}).run([cell("a", compared=False)]).values()
    assert [(turn["phase"], turn["foreign"]) for turn in outcome["turns"]] == [
        ("evaluate", 0.25),
        ("sweep", None),
    ]


def rounds(outcome: Mapping[str, Any]) -> list[int]:
    return [turn["round"] for turn in outcome["turns"]]


def check_groups(found: Mapping[str, Mapping[str, Any]]) -> None:
    """One of the others a group, each with a baseline and a control of its own, in rounds that go on."""
    length = 1 + ROUNDS
    groups = [list(range(start, start + length)) for start in (0, length, 2 * length)]
    assert sorted(rounds(found[each.cell]) for each in OTHERS) == groups
    for each in (TORCH, CONTROL):
        outcome = found[each.cell]
        assert rounds(outcome) == list(range(3 * length))
        assert [turn["phase"] for turn in outcome["turns"]] == ["build", *["train"] * ROUNDS] * 3
    assert all(outcome["status"] == "ok" for outcome in found.values())


def test_what_does_not_fit_beside_the_others_runs_afterwards_with_the_baseline_and_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heat, "_available", lambda: 0)
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "b", "c"), WORK))
    check_groups(made.run(CELLS))
    assert len(made.workers) == 9


def test_what_no_longer_fits_once_the_others_have_grown_is_ended_and_runs_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "b", "c"), WORK))
    monkeypatch.setattr(heat, "_available", lambda: 0 if made.turns else 10**15)
    sizes: Iterator[int] = iter(range(10**6))
    monkeypatch.setattr(heat, "_resident", lambda pid: next(sizes))
    check_groups(made.run(CELLS))
    assert len(made.workers) == 5 + 3 + 3


def test_everybody_runs_at_once_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat, "_available", lambda: 10**15)
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "b", "c"), WORK))
    found = made.run(CELLS)
    assert {len(rounds(outcome)) for outcome in found.values()} == {1 + ROUNDS}
    assert len(made.workers) == len(CELLS)


CARD = Card(uuid="GPU-a", name="Some GPU", place="")


def test_a_cell_on_cuda_has_what_the_card_did_in_its_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Heat(tmp_path, {"a": GPU_WORK})
    # after the preparation, before and after a turn, after one beside others, before and after the last one,
    # and before the worker ends
    moments = iter([(0.0, 3), (1.0, 3), (7.0, 5), (8.0, 9), (9.0, 9), (14.0, 7), (15.0, 7)])

    def read(card: Card) -> gpu.Reading:
        time, used = next(moments)
        used_bytes: dict[int, float | None] = {made.workers[0].pid: used}
        return gpu.Reading(time=time, joules=100 * time, celsius=40 + time, used_bytes=used_bytes)

    monkeypatch.setattr(gpu, "read", read)
    (outcome,) = made.run([cell("a", device="cuda", compared=False)], card=CARD).values()
    assert outcome["figures"] == {
        "rmse": 0.5,
        "device_context_bytes": 3,
        "device_used_bytes": 9,
        "energy_joules": 1100.0,
        "device_celsius": 54.0,
        "device_others": 0,
    }
    first, beside, last = (turn["gpu"] for turn in outcome["turns"])
    assert (first["seconds"], first["joules"], first["celsius"]) == (6.0, 600.0, 47.0)
    assert (last["seconds"], last["joules"], last["used_bytes"]) == (5.0, 500.0, 7)
    assert {name: value for name, value in beside.items() if value is not None} == {"used_bytes": 9}
    assert next(moments, None) is None


def test_a_cell_on_the_cpu_leaves_the_card_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(gpu, "read")
    (outcome,) = Heat(tmp_path, {"a": GPU_WORK}).run([cell("a", compared=False)], card=CARD).values()
    assert outcome["figures"] == {"rmse": 0.5}
    assert [turn["gpu"] for turn in outcome["turns"]] == [None] * 3


def test_a_card_that_is_lost_in_a_heat_ends_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCard(CARD.uuid, refuses={"all"}))
    made = Heat(tmp_path, {"a": GPU_WORK})
    (outcome,) = made.run([cell("a", device="cuda", compared=False)], card=CARD).values()
    assert outcome["status"] == "ok" and outcome["figures"] == {"rmse": 0.5}


def test_workers_of_a_heat_are_no_others_on_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, FakeCard(CARD.uuid))
    made = Heat(tmp_path, dict.fromkeys(("torch", "a"), GPU_WORK))
    stranger = os.getpid()

    def answer(of: FakeCard, question: str) -> FakeCard:
        of.processes = dict.fromkeys([stranger, *(worker.pid for worker in made.workers)], 5)
        return of

    monkeypatch.setattr(fake, "_answer", answer)
    pair = [cell(name, device="cuda") for name in ("torch", "a")]
    for outcome in made.run(pair, card=CARD).values():
        assert outcome["figures"]["device_others"] == 1


def test_an_interruption_ends_every_worker(tmp_path: Path) -> None:
    made = Heat(tmp_path, dict.fromkeys(("torch", "a"), WORK))
    pids: list[int] = []

    def interrupt(of: Cell, turn: dict[str, Any]) -> None:
        pids.extend(worker.pid for worker in made.workers)
        assert all(psutil.pid_exists(pid) for pid in pids)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_heat([TORCH, cell("a")], replace(made.hands(), turn=interrupt))
    assert len(pids) == 2 and all(is_gone(pid) for pid in pids)


EPOCHS = """
turn("prepare")
turn("build")
for epoch in range(job["resume"] + 1, 5):
    turn("train", epoch=epoch, compared=True, seconds=10.0 * epoch)
    if job["adapter"] == "fails" and epoch == 2:
        sys.exit(3)
    turn("curve", epoch=epoch, point={"epoch": epoch, "epochs": 4, "seconds": 10.0 * epoch}, kept=True)
result()
"""
LONG = [cell("a"), cell("fails"), TORCH, CONTROL]


class Interrupted(Exception):
    """In the place of Ctrl-C, which pytest would take for its own."""


def interrupted(made: Heat, epoch: int) -> Kept:
    """What is kept of a heat that is interrupted in the middle of an epoch."""

    def interrupt(of: Cell, turn: dict[str, Any]) -> None:
        if of is TORCH and (turn["phase"], turn["epoch"]) == ("train", epoch):
            raise Interrupted

    with pytest.raises(Interrupted):
        run_heat(LONG, replace(made.hands(), turn=interrupt))
    return made.kept[-1]


@pytest.mark.parametrize("epoch", [2, 3, 4])
def test_an_interrupted_heat_goes_on_after_its_last_epoch(tmp_path: Path, epoch: int) -> None:
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "fails"), EPOCHS))
    kept = interrupted(made, epoch)
    assert kept.epoch == epoch - 1
    made.workers.clear()
    found = made.run(LONG, kept)
    assert {worker.job.resume for worker in made.workers} == {epoch - 1}
    assert [each.epoch for each in made.kept[kept.epoch :]] == list(range(epoch, 5))
    for each in LONG:
        outcome = found[each.cell]
        if each.adapter == "fails":
            assert outcome["status"] == "crashed"
            continue
        assert outcome["status"] == "ok"
        trained = [turn["epoch"] for turn in outcome["turns"] if turn["phase"] == "train"]
        assert trained == [1, 2, 3, 4]
        assert [point["epoch"] for point in outcome["curve"]] == [1, 2, 3, 4]
        assert len(set(rounds(outcome))) == len(outcome["turns"])


def test_who_has_ended_before_an_interruption_does_not_run_again(tmp_path: Path) -> None:
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "fails"), EPOCHS))
    kept = interrupted(made, 4)
    assert kept.outcomes[LONG[1].cell]["status"] == "crashed"
    made.workers.clear()
    made.run(LONG, kept)
    assert sorted(worker.job.adapter for worker in made.workers) == ["a", "torch", "torch"]


def test_who_found_no_room_begins_after_those_who_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heat, "_available", lambda: 0)
    made = Heat(tmp_path, dict.fromkeys(("torch", "a", "fails"), EPOCHS))
    kept = interrupted(made, 3)
    assert kept.outcomes.keys() == {LONG[0].cell, TORCH.cell, CONTROL.cell}
    made.workers.clear()
    found = made.run(LONG, kept)
    assert [worker.job.resume for worker in made.workers] == [2, 2, 2, 0, 0, 0]
    trained = [turn["epoch"] for turn in found[TORCH.cell]["turns"] if turn["phase"] == "train"]
    assert trained == [1, 2, 3, 4, 1, 2, 3, 4]
