"""The CSNN report as it is printed: one reset an epoch, and cross-entropy in the text beside MSE in the code.

    .envs/NAME/bin/python -m scripts.as_printed NAME MNIST      NAME: torch, spikingjelly or snntorch

Trains csnn_stepbn step by step at a small size, from several seeds: reset before every batch; once an epoch,
after its last batch; once an epoch with states that are cut from the graph of the batch before; and before
every batch with cross-entropy in the place of the mean squared error.  MNIST is a folder with its four raw
files.  What happens, an accuracy or an error, goes to
results/published/as-printed/NAME.json.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from scripts.gray_code import cpu
from tasks.classify.codes import decode
from tasks.classify.images import MNIST, Images, load
from tasks.classify.networks import csnn_stepbn
from tasks.classify.spec import Loss
from tasks.classify.weights import epoch_order, initial_weights
from tasks.protocol import Settings

FOLDER = Path(__file__).resolve().parent.parent / "results" / "published" / "as-printed"
TASK = csnn_stepbn(channels=8, hidden=128, batch=32, epochs=2)
IMAGES = 10_000
SEEDS = (0, 1, 2)
LOSSES: dict[str, Loss] = {"mean squared error": "mse", "cross-entropy": "cross_entropy"}
# reset and loss; the first is what the suite does
WAYS = (
    ("every batch", "mean squared error"),
    ("every epoch", "mean squared error"),
    ("every epoch, states cut from the graph", "mean squared error"),
    ("every batch", "cross-entropy"),
)


def cut(value: Any) -> Any:
    """The same state without the graph that it came from."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, (tuple, list)):
        return type(value)(map(cut, value))
    return value


def cut_states(network: torch.nn.Module) -> None:
    """Cut the membranes, wherever a framework keeps them."""
    for module in network.modules():
        for states in (vars(module), getattr(module, "_memories", {})):
            for name, value in states.items():
                if name in ("state", "mem", "v"):
                    states[name] = cut(value)


def train(module: Any, reset: str, loss: str, seed: int, images: Images) -> float:
    """Test accuracy after training; the network is reset before every batch of test images."""
    settings = Settings(threads=torch.get_num_threads(), seed=seed)
    module.configure(settings)
    task = replace(TASK, loss=LOSSES[loss])
    classifier = module.VARIANTS["step"](task, settings)
    classifier.load(images.train_images[:IMAGES], images.train_labels[:IMAGES])
    classifier.load_weights(initial_weights(TASK, seed))
    network = classifier.network
    forget = network.forget
    for epoch in range(TASK.epochs):
        order = epoch_order(images=IMAGES, batch=TASK.batch, seed=seed, epoch=epoch)
        network.forget = forget
        for number, batch in enumerate(order):
            if number == 1 and reset != "every batch":
                network.forget = (lambda _: None) if reset == "every epoch" else cut_states
            classifier.train_epoch(batch[None])
    network.forget = forget
    found = decode(TASK, classifier.predict(images.test_images))
    return float((found == images.test_labels).mean())


def main() -> None:
    """Every way in turn, from every seed; an error ends its way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=("torch", "spikingjelly", "snntorch"))
    parser.add_argument("mnist", type=Path)
    options = parser.parse_args()
    module = importlib.import_module(f"adapters.{options.name}.adapter")
    images = load(MNIST, options.mnist)
    ways = []
    for reset, loss in WAYS:
        accuracies, error = [], ""
        for seed in SEEDS:
            try:
                accuracies.append(train(module, reset, loss, seed, images))
            except RuntimeError as raised:
                error = str(raised).partition(".")[0]
                break
        ways.append({"reset": reset, "loss": loss, "accuracies": accuracies, "error": error})
        print(options.name, ways[-1], flush=True)
    found = {
        "framework": f"{options.name} {importlib.metadata.version(options.name)}",
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{cpu()}, {torch.get_num_threads()} thread(s)",
        "network": TASK.network,
        "training images": IMAGES,
        "test images": len(images.test_labels),
        "epochs": TASK.epochs,
        "batch": TASK.batch,
        "seeds": [*SEEDS],
        "ways": ways,
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{options.name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
