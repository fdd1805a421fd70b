from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.classify.images import MNIST, encode, load
from tests.harness import idx


def tiny_mnist() -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(5)
    shapes = [(6, 28, 28), (6,), (2, 28, 28), (2,)]
    return {
        name: rng.integers(0, 256, shape).astype(np.uint8)
        for name, shape in zip(MNIST.files, shapes, strict=True)
    }


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    for name, array in tiny_mnist().items():
        (tmp_path / name).write_bytes(idx(array))
    return tmp_path


def test_load_gives_the_pixels_and_labels_of_the_files(mnist: Path) -> None:
    data = load(MNIST, mnist)
    train_images, train_labels, test_images, test_labels = tiny_mnist().values()
    np.testing.assert_array_equal(data.train_images, train_images[:, None])
    np.testing.assert_array_equal(data.train_labels, train_labels)
    np.testing.assert_array_equal(data.test_images, test_images[:, None])
    np.testing.assert_array_equal(data.test_labels, test_labels)
    assert data.train_images.shape == (6, 1, 28, 28) and data.train_images.dtype == np.uint8


def test_writing_to_the_arrays_leaves_the_files_alone(mnist: Path) -> None:
    before = {path.name: path.read_bytes() for path in mnist.iterdir()}
    load(MNIST, mnist).train_images[:] = 0
    assert {path.name: path.read_bytes() for path in mnist.iterdir()} == before


def test_a_missing_file_is_missed(mnist: Path) -> None:
    (mnist / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte"):
        load(MNIST, mnist)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"\0\0\x0d\x01\0\0\0\x01....", idx(np.zeros(3, np.uint8))[:-1]]
)
def test_load_refuses_what_is_no_whole_idx_file(mnist: Path, content: bytes) -> None:
    (mnist / "t10k-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte"):
        load(MNIST, mnist)


def test_load_refuses_images_of_another_shape(mnist: Path) -> None:
    (mnist / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 32, 32), np.uint8)))
    with pytest.raises(ValueError, match="reshape"):
        load(MNIST, mnist)


def test_direct_repeats_the_intensity() -> None:
    picture = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    current = encode(picture, encoder="direct", steps=3, rng=np.random.default_rng(0))
    assert current.shape == (3, 1, 1, 16, 16)
    for step in current:
        np.testing.assert_array_equal(step, np.arange(256).reshape(1, 1, 16, 16) / 255)


def test_poisson_fires_as_often_as_the_pixel_says() -> None:
    steps, copies = 200, 50
    pixels = np.tile(np.arange(256, dtype=np.uint8), (copies, 1))
    spikes = encode(pixels, encoder="poisson", steps=steps, rng=np.random.default_rng(1))
    assert spikes.shape == (steps, copies, 256)
    assert set(np.unique(spikes)) == {0.0, 1.0}
    counts = spikes.sum((0, 1))
    n, p = steps * copies, np.arange(256) / 255
    assert counts[0] == 0 and counts[255] == n
    # chi-square over the 254 grey values: mean 254, standard deviation 22.5
    chi_square = ((counts - n * p)[1:-1] ** 2 / (n * p * (1 - p))[1:-1]).sum()
    assert 254 - 4 * 22.5 < chi_square < 254 + 4 * 22.5


def test_poisson_steps_and_pixels_are_independent() -> None:
    grey = np.full((1, 2000), 128, np.uint8)
    spikes = encode(grey, encoder="poisson", steps=100, rng=np.random.default_rng(2))[:, 0]
    deviation = spikes - 128 / 255
    over_time = (deviation[1:] * deviation[:-1]).mean() / 0.25
    over_pixels = (deviation[:, 1:] * deviation[:, :-1]).mean() / 0.25
    assert abs(over_time) < 4 / np.sqrt(spikes.size) and abs(over_pixels) < 4 / np.sqrt(spikes.size)


def test_encoding_follows_its_generator_and_leaves_the_images_alone() -> None:
    picture = np.full((2, 1, 28, 28), 100, np.uint8)
    first, again, other = (
        encode(picture, encoder="poisson", steps=5, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (picture == 100).all()
