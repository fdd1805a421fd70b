"""Training speed of the spikingjelly adapter against the example that SpikingJelly ships, interleaved.

    .envs/spikingjelly/bin/python -m scripts.compare_shipped fc_lif FOLDER [--steps 100] ...

FOLDER holds MNIST's four raw files.  The example runs unchanged, as its authors wrote it, with its own
data loader on the same first images; each side trains two epochs in a process of its own and counts the
second one, in turn, several times.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import types
from functools import partial
from pathlib import Path

import numpy as np

from tasks.classify.images import MNIST, load
from tasks.classify.networks import TASKS
from tasks.classify.weights import epoch_order, initial_weights
from tasks.measuring import timed
from tasks.protocol import Settings

EXAMPLES = {"fc_lif": ("lif_fc_mnist", "MNIST"), "csnn": ("conv_fashion_mnist", "FashionMNIST")}
IDX_HEADER = {"images": 16, "labels": 8}


def write_data(source: Path, root: Path, images: int) -> None:
    """The first training images and 128 test images as the files that torchvision's dataset classes read."""
    for name in ("MNIST", "FashionMNIST"):
        raw = root / name / "raw"
        raw.mkdir(parents=True)
        for path in source.glob("*-ubyte"):
            kind = "images" if "images" in path.name else "labels"
            count = images if path.name.startswith("train") else 128
            content = path.read_bytes()
            header = content[:4] + count.to_bytes(4, "big") + content[8 : IDX_HEADER[kind]]
            size = 28 * 28 if kind == "images" else 1
            body = content[IDX_HEADER[kind] : IDX_HEADER[kind] + count * size]
            (raw / path.name).write_bytes(header + body)


def shipped(task: str, root: Path, options: argparse.Namespace) -> float:
    """Seconds of the second epoch of the shipped example."""
    import importlib

    import torch

    class Silent:
        """Stands for tensorboard's writer, which is no part of what is compared."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            pass

        def add_scalar(self, *args: object) -> None:
            pass

    tensorboard = types.ModuleType("torch.utils.tensorboard")
    tensorboard.SummaryWriter = Silent  # type: ignore[attr-defined]
    sys.modules["torch.utils.tensorboard"] = tensorboard
    torch.set_num_threads(options.threads)
    module, _ = EXAMPLES[task]
    example = importlib.import_module(f"spikingjelly.activation_based.examples.{module}")
    words = f"{module} -T {options.steps} -b {options.batch} -device cpu -epochs 2 -j {options.loaders}"
    words += f" -data-dir {root} -out-dir {root}/logs -opt {'adam -lr 1e-3' if task == 'fc_lif' else 'sgd'}"
    sys.argv = (words + (f" -channels {options.channels}" if task == "csnn" else "")).split()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        example.main()
    speed = [float(value) for value in re.findall(r"train speed\s*=\s*([\d.]+)", said.getvalue())]
    return options.images // options.batch * options.batch / speed[1]


def ours(task: str, root: Path, options: argparse.Namespace) -> float:
    """Seconds of the second epoch of the adapter's default variant."""
    from adapters.spikingjelly.adapter import VARIANTS, configure, sync

    settings = Settings(threads=options.threads)
    configure(settings)
    values = {"steps": options.steps, "batch": options.batch}
    if task == "csnn":
        values |= {"channels": options.channels, "hidden": options.channels * 16}
    work = TASKS[task](**values)
    classifier = VARIANTS["multistep"](work, settings)
    classifier.load_weights(initial_weights(work, 0))
    mnist = load(MNIST, root / "MNIST" / "raw")
    classifier.load(mnist.train_images, np.asarray(mnist.train_labels))
    for epoch in range(2):
        order = epoch_order(images=options.images, batch=options.batch, seed=0, epoch=epoch)
        seconds = timed(partial(classifier.train_epoch, order), sync)[1]
    return seconds


def main() -> None:
    """Run both sides in turn and print every pair and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("task", choices=EXAMPLES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--loaders", type=int, default=2, help="processes of the example's data loader")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--side", choices=("shipped", "ours"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side = shipped if options.side == "shipped" else ours
        print(side(options.task, options.folder, options))
        return
    ratios = []
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as root:
        write_data(options.folder, Path(root), options.images)
        arguments = [sys.executable, "-m", "scripts.compare_shipped", options.task, root]
        for name in ("steps", "batch", "channels", "images", "threads", "loaders"):
            arguments += [f"--{name}", str(getattr(options, name))]
        for _ in range(options.pairs):
            seconds = {
                side: float(
                    # the example leaves files in the folder where it runs
                    subprocess.check_output([*arguments, "--side", side], cwd=root, env=environment).split()[
                        -1
                    ]
                )
                for side in ("shipped", "ours")
            }
            ratios.append(seconds["ours"] / seconds["shipped"])
            print({side: round(value, 3) for side, value in seconds.items()}, f"ratio {ratios[-1]:.3f}")
    print(f"ours / shipped, second epoch: median {statistics.median(ratios):.3f} of {len(ratios)} pairs")


if __name__ == "__main__":
    main()
