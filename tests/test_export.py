from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from bench.errors import UserError
from bench.export import tensorboard
from bench.records import CurvePoint, Record
from tests.builders import cell, record, save
from tests.conftest import Command


def trained(seed: int = 0, **values: int) -> Record:
    curve = [
        CurvePoint(epoch=1, loss=0.5, train_accuracy=0.6, seconds=1.0, train_seconds=1.0),
        CurvePoint(
            epoch=2,
            loss=0.25,
            test_loss=0.125,
            train_accuracy=0.8,
            test_accuracy=0.75,
            seconds=2.0,
            train_seconds=3.0,
        ),
    ]
    of = cell("torch", seed=seed, task_values=values)
    of = of.model_copy(update={"cell": f"{of.cell}-{seed}-{values}"})
    return record(of).model_copy(update={"curve": curve})


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would read: TFRecords of the Event message, by tag."""
    (path,) = folder.glob("events.out.tfevents.*")
    data, found = path.read_bytes(), dict[str, list[tuple[int, float]]]()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        data = data[12 + length + 4 :]
    return found


def test_every_training_has_its_curves_and_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    run = save(tmp_path / "run", [trained(0), trained(1), trained(0, steps=5)])
    written = tensorboard(run)
    folders = sorted(path.parent for path in written.rglob("events.*"))
    assert len(folders) == 3
    assert {folder.parent.name for folder in folders} == {"fc_lif"}
    for folder in folders:
        assert scalars(folder) == {
            "loss/train": [(1, 0.5), (2, 0.25)],
            "loss/test": [(2, 0.125)],
            "accuracy/train": [(1, pytest.approx(0.6)), (2, pytest.approx(0.8))],
            "accuracy/test": [(2, 0.75)],
            "seconds/epoch": [(1, 1.0), (2, 2.0)],
        }


def test_written_again_nothing_is_there_twice(tmp_path: Path) -> None:
    run = save(tmp_path / "run", [trained()])
    tensorboard(run)
    (folder,) = (path.parent for path in tensorboard(run).rglob("events.*"))
    assert len(scalars(folder)["loss/train"]) == 2


def test_a_run_without_curves_is_refused(tmp_path: Path) -> None:
    run = save(tmp_path / "run", [record(cell("torch"))])
    with pytest.raises(UserError, match=r"run run has no curves: only trainings have them"):
        tensorboard(run)
    assert not (run / "tensorboard").exists()


def test_the_command_says_how_to_see_it(tmp_path: Path, command: Command) -> None:
    save(tmp_path / "results" / "runs" / "2026-01-01T00-00-00-tiny", [trained()])
    said = command("export", "tensorboard", "2026-01-01T00-00-00-tiny", "--results", tmp_path / "results")
    assert (said.code, said.err) == (0, "")
    assert "tensorboard --logdir" in said.out
