"""Curves of a run for other programs."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from tensorboardX import SummaryWriter

from bench.errors import UserError
from bench.records import Record, load_records

# TensorBoard draws those with the same word before the stroke side by side
TAGS = {
    "loss": "loss/train",
    "test_loss": "loss/test",
    "train_accuracy": "accuracy/train",
    "test_accuracy": "accuracy/test",
    "seconds": "seconds/epoch",
}


def tensorboard(run: Path) -> Path:
    """Write losses, accuracies and seconds of every epoch of every training as TensorBoard's event files.

    One folder a training below ``tensorboard/`` of the run folder, which is written anew; the step is the
    epoch.  What was not measured is left out.

    Returns:
        The folder for ``tensorboard --logdir``.

    Raises:
        UserError: no cell of the run has a curve.
    """
    records = [record for record in load_records(run) if record.curve and record.cell.stage == "run"]
    if not records:
        raise UserError(f"run {run.name} has no curves: only trainings have them, as of fc_lif or csnn")
    target = run / "tensorboard"
    shutil.rmtree(target, ignore_errors=True)
    for record in records:
        begun = datetime.fromisoformat(record.started).timestamp()
        with SummaryWriter(str(target / _name(record))) as writer:
            for point in record.curve:
                for name, tag in TAGS.items():
                    value = getattr(point, name)
                    if value is not None:
                        writer.add_scalar(tag, value, point.epoch, walltime=begun + point.train_seconds)
    return target


def _name(record: Record) -> str:
    """The training's folder, which says all that tells it from the others of its run."""
    cell = record.cell
    values = "-".join(f"{name}={value}" for name, value in cell.task_values.items())
    words = [cell.adapter, cell.table, cell.variant, cell.precision, values, f"seed={cell.seed}"]
    return f"{cell.task}/{'-'.join(filter(None, words))}"
