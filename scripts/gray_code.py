"""Why did labels in Gray code do ten points worse than in binary?  The trainings that test the explanations.

    .envs/torch/bin/python -m scripts.gray_code MNIST

MNIST is a folder with its four raw files.  conv_lif at a reduced size, trained by plain torch from several
seeds: with the two codes as published, for eight epochs, and with the ten words of each dealt out to the
digits at random, for three.  After every epoch the rates on the test images are decoded in each way that an
author might have chosen or mistaken.  What is found goes to results/published/gray-code/; docs/gray-code.md
is made of it by scripts/gray_page.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from adapters.torch.adapter import VARIANTS, configure
from tasks.classify import codes
from tasks.classify.codes import codewords, decode, decode_bitwise
from tasks.classify.images import MNIST, load
from tasks.classify.networks import conv_lif
from tasks.classify.spec import Classify, LabelCode
from tasks.classify.weights import epoch_order, initial_weights
from tasks.protocol import Settings

FOUND = Path(__file__).resolve().parent.parent / "results" / "published" / "gray-code" / "trainings.json"
CODES: tuple[LabelCode, ...] = ("binary", "gray")
CHANNELS = 32
IMAGES = 10_000
SEEDS = (0, 1, 2)
LONG, SHORT = 8, 3  # epochs
DEALS = (1, 2)  # seeds of the random assignments; 0 is the code as published
SILENT = 0.0

Decode = Callable[[Classify, NDArray[np.floating]], NDArray[np.integer]]


def read_as_binary(task: Classify, rates: NDArray[np.floating]) -> NDArray[np.integer]:
    """A mistake: the word nearest to the rates is looked up in the table of the binary code."""
    with patch.object(codes, "codewords", lambda code, classes: codewords("binary", classes)):
        return decode(task, rates)


def half_converted(task: Classify, rates: NDArray[np.floating]) -> NDArray[np.integer]:
    """A mistake: from Gray to binary by the two neighbouring bits alone, not by all the higher ones."""
    word = np.asarray(rates) > 0.5
    word[:, 1:] ^= word[:, :-1].copy()
    return word @ (1 << np.arange(word.shape[1])[::-1])


def rounded_up(task: Classify, rates: NDArray[np.floating]) -> NDArray[np.integer]:
    """A choice: a bit is 1 as soon as its neuron has spiked at all."""
    return decode_bitwise(task, (np.asarray(rates) > SILENT).astype(float))


DECODINGS: dict[str, Decode] = {
    "nearest": decode,
    "bitwise": decode_bitwise,
    "any spike": rounded_up,
    "read as binary": read_as_binary,
    "half converted": half_converted,
}


def words(code: LabelCode, deal: int) -> NDArray[np.float64]:
    """The word of each digit, [10, 4]: those of the code, dealt out at random where ``deal`` is not 0."""
    own = codewords(code, 10)
    return own if deal == 0 else own[np.random.default_rng(deal).permutation(10)]


def train(data: Any, code: LabelCode, deal: int, seed: int, epochs: int) -> dict[str, Any]:
    """One training and what every decoding makes of its outputs, epoch by epoch."""
    settings = Settings(threads=torch.get_num_threads(), seed=seed, device="cpu", precision="float32")
    configure(settings)
    task = conv_lif(channels=CHANNELS, code=code, epochs=epochs)
    table = words(code, deal)
    with patch.object(codes, "codewords", lambda code, classes: table):
        classifier = VARIANTS["folded"](task, settings)
        classifier.load(data.train_images[:IMAGES], data.train_labels[:IMAGES])
        classifier.load_weights(initial_weights(task, seed))
        curve = []
        for epoch in range(epochs):
            classifier.train_epoch(epoch_order(images=IMAGES, batch=task.batch, seed=seed, epoch=epoch))
            rates = np.asarray(classifier.predict(data.test_images))
            curve.append(_judge(task, rates, data.test_labels))
    return {"code": code, "deal": deal, "seed": seed, "words": table.astype(int).tolist(), "curve": curve}


def _judge(task: Classify, rates: NDArray[np.floating], labels: NDArray[np.integer]) -> dict[str, Any]:
    """Accuracy of every decoding; by digit (nearest word) and by bit; outputs that never spike."""
    found = decode(task, rates)
    bits = (rates > 0.5) == (codes.code_table(task)[labels] == 1)
    return {
        "accuracy": {name: float((each(task, rates) == labels).mean()) for name, each in DECODINGS.items()},
        "by digit": [round(float((found[labels == k] == k).mean()), 4) for k in range(10)],
        "by bit": [round(float(share), 4) for share in bits.mean(0)],
        "silent outputs": int((rates.max(0) == SILENT).sum()),
    }


def cpu() -> str:
    """The processor's name, as Linux has it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


def main() -> None:
    """Train whatever is missing; every training is kept as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mnist", type=Path)
    data = load(MNIST, parser.parse_args().mnist)
    known = json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else {"trainings": []}
    shares = np.bincount(data.test_labels[:], minlength=10) / len(data.test_labels)
    known |= {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{cpu()}, {torch.get_num_threads()} thread(s)",
        "torch": torch.__version__,
        "network": conv_lif(channels=CHANNELS, code="gray").network,
        "training images": IMAGES,
        "test images": len(data.test_labels),
        "digit shares": [round(float(share), 4) for share in shares],
    }
    done = {(each["code"], each["deal"], each["seed"]) for each in known["trainings"]}
    for deal in (0, *DEALS):
        for seed in SEEDS:
            for code in CODES:
                if (code, deal, seed) in done:
                    continue
                training = train(data, code, deal, seed, SHORT if deal else LONG)
                known["trainings"].append(training)
                FOUND.parent.mkdir(parents=True, exist_ok=True)
                FOUND.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
                print(code, deal, seed, training["curve"][-1]["accuracy"], flush=True)


if __name__ == "__main__":
    main()
