"""Trained weights for those who cannot train, by task.

fc_lif: plain torch on the CPU at T = 100, three epochs of MNIST's 60,000 training images, seed 0; written by
``python -m adapters.torch.train_weights``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.spec import Classify

FOLDER = Path(__file__).parent / "weights"


def trained_weights(task: Classify) -> dict[str, NDArray[np.float32]]:
    """Names and layouts as ``initial_weights`` of tasks/classify.py has them.

    Raises:
        LookupError: none are kept for this task.
    """
    path = FOLDER / f"{task.name}.npz"
    if not path.exists():
        raise LookupError(f"no trained weights are kept for {task.name}")
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}
