"""What the shared training loop costs: an epoch as the worker times it against a bare torch loop, in turn.

    .envs/torch/bin/python -m scripts.compare_bare FOLDER [--task fc_lif] [--images 2560] [--pairs 15]

FOLDER holds MNIST's four raw files.  Both sides train the same network on the same batches in one process.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from adapters.torch.adapter import VARIANTS, Cell, configure, sync
from adapters.torch_family.encode import ENCODERS
from adapters.torch_family.network import from_cells
from tasks.classify.images import MNIST, load
from tasks.classify.networks import TASKS
from tasks.classify.spec import Classify
from tasks.classify.weights import epoch_order, initial_weights
from tasks.measuring import timed
from tasks.protocol import Settings


def bare_epoch(task: Classify, images: torch.Tensor, labels: torch.Tensor) -> Callable[[torch.Tensor], float]:
    """A training epoch as a script would write it; returns seconds per call."""
    network = from_cells(task, Cell, stepwise=False)
    if task.optimizer == "adam":
        optimizer = torch.optim.Adam(network.parameters(), lr=task.lr)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=task.lr, momentum=task.momentum)
    encode = ENCODERS[task.encoder]
    codes = torch.eye(10)

    def epoch(order: torch.Tensor) -> float:
        start = perf_counter()
        for batch in order:
            output = network(encode(images[batch], task.steps, torch.float32)).mean(0)
            loss = torch.nn.functional.mse_loss(output, codes[labels[batch]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return perf_counter() - start

    return epoch


def main() -> None:
    """Print the ratio of every pair and their median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", choices=TASKS, default="fc_lif")
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    task = TASKS[options.task](**({} if options.task == "fc_lif" else {"channels": 8, "hidden": 128}))
    settings = Settings(threads=len(os.sched_getaffinity(0)))
    configure(settings)
    mnist = load(MNIST, options.folder)
    images, labels = mnist.train_images[: options.images], mnist.train_labels[: options.images]
    workload = VARIANTS["folded"](task, settings)
    workload.load_weights(initial_weights(task, 0))
    workload.load(images, labels)
    bare = bare_epoch(task, torch.tensor(images), torch.tensor(labels, dtype=torch.int64))
    ratios = []
    for pair in range(options.pairs + 1):
        order = epoch_order(images=len(images), batch=task.batch, seed=0, epoch=pair)
        sides = {
            "worker": lambda order=order: timed(lambda: workload.train_epoch(order), sync)[1],
            "bare": lambda order=order: bare(torch.tensor(np.asarray(order))),
        }
        # who goes first alternates; the first pair warms up and does not count
        seconds = {side: sides[side]() for side in sorted(sides, reverse=bool(pair % 2))}
        if pair:
            ratios.append(seconds["worker"] / seconds["bare"])
            print({side: round(value, 4) for side, value in seconds.items()}, f"ratio {ratios[-1]:.4f}")
    spread = f"{min(ratios):.3f}-{max(ratios):.3f}"
    print(f"worker / bare: median {statistics.median(ratios):.4f} ({spread}) of {len(ratios)} pairs")


if __name__ == "__main__":
    main()
