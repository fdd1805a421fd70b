"""MNIST as uint8 arrays, and the two encoders in NumPy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.spec import Encoder

# MD5 of the uncompressed files.
CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mnist:
    """Images uint8 [n, 1, 28, 28] and labels uint8 [n]: 60,000 to train on, 10,000 to test on."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def load_mnist(folder: Path) -> Mnist:
    """Map the four raw files of a folder that ``check`` has passed; nothing is read before it is used.

    Raises:
        OSError: a file is missing.
        ValueError: a file is no IDX file, or is cut short.
    """
    train_images, train_labels, test_images, test_labels = (_read_idx(folder / name) for name in CHECKSUMS)
    return Mnist(
        train_images=train_images[:, None],
        train_labels=train_labels,
        test_images=test_images[:, None],
        test_labels=test_labels,
    )


def check(folder: Path) -> None:
    """Verify the four raw files.

    Raises:
        OSError: a file is missing.
        ValueError: a file isn't MNIST's; the message names it and both checksums.
    """
    for name in CHECKSUMS:
        with (folder / name).open("rb") as file:
            check_file(file, name=name, path=folder / name)


def check_file(file: BufferedIOBase, *, name: str, path: Path) -> None:
    """Verify one file, uncompressed in ``file`` and lying at ``path``, against the checksum of ``name``.

    Raises:
        ValueError: it is another file; the message names ``path`` and both checksums.
    """
    digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    if digest.hexdigest() != CHECKSUMS[name]:
        raise ValueError(f"{path} has MD5 {digest.hexdigest()}, expected {CHECKSUMS[name]}")


def encode(
    images: NDArray[np.uint8], *, encoder: Encoder, steps: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Input of a network over time, [steps, n, *shape], from images uint8 [n, *shape].

    ``poisson``: per pixel and step a spike with probability pixel / 255, so that 255 always fires and
    0 never; ``direct``: pixel / 255 at every step.
    """
    intensity = images / 255.0
    if encoder == "direct":
        return np.repeat(intensity[None], steps, axis=0)
    return (rng.random((steps, *images.shape)) < intensity).astype(np.float64)


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
