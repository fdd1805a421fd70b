"""Trained weights of fc_lif for those who cannot train: T = 100, three epochs of all images, seed 0.

    .envs/torch/bin/python -m scripts.train_weights FOLDER

FOLDER holds MNIST's four raw files; the weights go to tasks/classify/trained.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

from adapters.torch.adapter import VARIANTS, configure
from tasks.classify.codes import decode
from tasks.classify.images import MNIST, load
from tasks.classify.networks import fc_lif
from tasks.classify.weights import TRAINED, epoch_order, initial_weights
from tasks.protocol import Settings

EPOCHS = 3
SETTINGS = Settings(deterministic=True, threads=len(os.sched_getaffinity(0)))


def main() -> None:
    """Train, write the weights and print their accuracy on the test images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    mnist = load(MNIST, parser.parse_args().folder)
    configure(SETTINGS)
    task = fc_lif()
    learner = VARIANTS["folded"](task, SETTINGS)
    learner.load(mnist.train_images, mnist.train_labels)
    learner.load_weights(initial_weights(task, SETTINGS.seed))
    for epoch in range(EPOCHS):
        images = len(mnist.train_images)
        learner.train_epoch(epoch_order(images=images, batch=task.batch, seed=SETTINGS.seed, epoch=epoch))
    weights: dict[str, Any] = dict(learner.weights())
    np.savez(TRAINED / f"{task.name}.npz", **weights)
    found = decode(task, learner.predict(mnist.test_images))
    print(f"test accuracy {(found == mnist.test_labels).mean():.4f}")


if __name__ == "__main__":
    main()
