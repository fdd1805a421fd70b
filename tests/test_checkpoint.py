from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.classify.checkpoint import Checkpoint, load, save


def after(epoch: int) -> Checkpoint:
    curve = [
        {"epoch": number, "loss": float("nan") if number == 1 else 0.5} for number in range(1, epoch + 1)
    ]
    return Checkpoint(state=bytes(range(epoch)), curve=curve, first_rates=np.eye(3) / epoch)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path / "new" / "folder", after(3))
    found = load(tmp_path / "new" / "folder", 3)
    assert found.state == bytes(range(3))
    assert repr(found.curve) == repr(after(3).curve)  # nan equals nothing
    np.testing.assert_array_equal(found.first_rates, np.eye(3) / 3)


def test_the_last_two_epochs_are_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 4):
        save(tmp_path, after(epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.npz", "4.npz"]
    with pytest.raises(OSError, match=r"2\.npz"):
        load(tmp_path, 2)
