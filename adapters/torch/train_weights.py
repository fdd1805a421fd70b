"""Trained weights of fc_lif for those who cannot train: T = 100, three epochs of all images, seed 0.

    .envs/torch/bin/python -m adapters.torch.train_weights FOLDER

FOLDER holds MNIST's four raw files; the weights go to tasks/weights.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

from adapters.protocol import Settings
from adapters.torch.adapter import classifier, configure
from tasks.classify import decode, epoch_order, fc_lif, initial_weights
from tasks.images import load_mnist
from tasks.trained import FOLDER

EPOCHS = 3
SETTINGS = Settings(
    device="cpu",
    precision="float32",
    tf32=False,
    cudnn_benchmark=False,
    deterministic=True,
    threads=len(os.sched_getaffinity(0)),
    seed=0,
    variant="folded",
)


def main() -> None:
    """Train, write the weights and print their accuracy on the test images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    mnist = load_mnist(parser.parse_args().folder)
    configure(SETTINGS)
    task = fc_lif()
    learner = classifier(task, SETTINGS)
    learner.load(mnist.train_images, mnist.train_labels)
    learner.load_weights(initial_weights(task, SETTINGS.seed))
    for epoch in range(EPOCHS):
        images = len(mnist.train_images)
        learner.train_epoch(epoch_order(images=images, batch=task.batch, seed=SETTINGS.seed, epoch=epoch))
    weights: dict[str, Any] = dict(learner.weights())
    FOLDER.mkdir(exist_ok=True)
    np.savez(FOLDER / f"{task.name}.npz", **weights)
    found = decode(task, learner.predict(mnist.test_images))
    print(f"test accuracy {(found == mnist.test_labels).mean():.4f}")


if __name__ == "__main__":
    main()
