from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks import worker
from tasks.classify import FAMILY, run
from tasks.classify.checkpoint import Checkpoint, load, save
from tasks.classify.networks import fc_lif
from tasks.protocol import Job
from tests.harness import FAKES


def after(epoch: int) -> Checkpoint:
    curve = [
        {"epoch": number, "loss": float("nan") if number == 1 else 0.5} for number in range(1, epoch + 1)
    ]
    return Checkpoint(
        state=bytes(range(epoch)), curve=curve, cold=[1], first_rates=np.eye(3) / epoch, host_peak=7
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path / "new" / "folder", after(3))
    found = load(tmp_path / "new" / "folder", 3)
    assert (found.state, found.cold, found.host_peak) == (bytes(range(3)), [1], 7)
    assert repr(found.curve) == repr(after(3).curve)  # nan equals nothing
    np.testing.assert_array_equal(found.first_rates, np.eye(3) / 3)


def test_the_first_epoch_after_an_interruption_is_cold_too(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It compiles and caches anew, so that it is in neither the comparison nor s/epoch."""

    def cell(first: int, seconds: list[float], peak: int) -> tuple[list[int], dict[str, float]]:
        """Which epochs are compared, and the figures, of a training that goes on after that epoch."""
        clock = iter([0.5, *seconds, 0.5])  # build, epochs, evaluation
        monkeypatch.setattr(run, "host_peak_bytes", lambda: peak)
        monkeypatch.setattr(run, "timed", lambda work, sync: (work(), next(clock)))
        task = fc_lif(steps=8, batch=4, epochs=4)
        job = Job(
            stage="run",
            family="classify",
            task="fc_lif",
            amounts={"train_images": 24, "test_images": 20, "curve_images": 0, "turns": 1},
            adapter="ok",
            adapters=str(FAKES),
            table="classify",
            variant="plain",
            learning="bptt",
            data=str(mnist),
            states=str(tmp_path),
            resume=first,
        )
        generator = FAMILY.run(worker.load_adapter("ok", FAKES), task, job)
        compared: list[int] = []
        while True:
            try:
                turn = next(generator)
            except StopIteration as end:
                return compared, end.value["figures"]
            if turn.compared:
                compared.append(turn.epoch)
            if not first and turn.phase == "curve" and turn.epoch == 2:  # as far as the first process gets
                return compared, {}

    assert cell(0, [9.0, 2.0], 800)[0] == [2]
    compared, figures = cell(2, [7.0, 3.0], 600)
    assert compared == [4]
    assert figures["epoch_seconds"] == 2.5
    assert (figures["cold_epoch_seconds"], figures["train_seconds"]) == (9.0, 21.0)
    assert figures["host_peak_bytes"] == 800  # of the process that came to more


def test_the_last_two_epochs_are_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 4):
        save(tmp_path, after(epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.npz", "4.npz"]
    with pytest.raises(OSError, match=r"2\.npz"):
        load(tmp_path, 2)
