"""The adapter of kernels written by hand: how they are compiled, and what no conformance check asks."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapters.limit import library
from adapters.limit.adapter import classifier, configure
from tasks.classify import certificate
from tasks.classify.networks import csnn, fc_lif
from tasks.classify.probes import random_weights, shrink
from tasks.classify.spec import Classify, Encoder
from tasks.measuring import verdict
from tasks.protocol import Precision, Settings, Unsupported

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for what is compiled."""
    monkeypatch.setenv("SPIKEBENCH_CACHE", str(tmp_path / "cache"))
    library.load.cache_clear()
    yield tmp_path / "cache" / "kernels"
    library.load.cache_clear()


def program(folder: Path, name: str, lines: str) -> None:
    """A shell script on a PATH that has nothing else."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    path.chmod(0o755)


def test_a_library_is_compiled_once_whole_and_for_its_macros(cache: Path) -> None:
    library.load("runtime")
    (first,) = cache.iterdir()
    before = first.stat()
    library.load.cache_clear()
    library.load("runtime")
    assert [path.stat().st_mtime_ns for path in cache.iterdir()] == [before.st_mtime_ns]
    library.load("runtime", "DOUBLE")
    assert {path.suffix for path in cache.iterdir()} == {".so"} and len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_costs_a_compilation_alone(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert Path(library.load("runtime")._name).is_relative_to(tmp_path)


def test_another_source_is_another_library(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(library.HERE, tmp_path / "copy")
    monkeypatch.setattr(library, "HERE", tmp_path / "copy")
    library.load("runtime")
    with (tmp_path / "copy" / "vector.h").open("a", encoding="utf-8") as header:
        header.write("// no more than this\n")
    library.load.cache_clear()
    library.load("runtime")
    assert len(list(cache.iterdir())) == 2


def test_without_a_compiler_the_reason_says_what_to_install(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="there is no C compiler here: install gcc"):
        configure(Settings())


def test_a_compiler_that_fails_gives_its_first_error_and_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path,
        "cc",
        '[ "$1" = --version ] && exit 0\necho "x.c:1: fatal error: omp.h: not here" >&2\nexit 1',
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=r"^cc can't compile .*\(x\.c:1: fatal error: omp\.h: not here\)"):
        configure(Settings())
    assert list(cache.iterdir()) == []


def test_where_one_compiler_fails_the_next_is_tried(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "cc", '[ "$1" = --version ] && exit 0\nexit 1')
    program(tmp_path, "gcc", f'PATH=/usr/bin:/bin exec {shutil.which("cc")} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert configure(Settings(threads=2))["threads"] == 2


# counter, key and words of the authors' own tests of Philox4x32-10 (kat_vectors of Random123)
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def test_random_numbers_are_those_of_their_authors(tmp_path: Path) -> None:
    source = tmp_path / "draw.c"
    source.write_text(
        '#include "philox.h"\n'
        "uint8_t out[PHILOX_BYTES] __attribute__((aligned(64)));\n"
        "void draw(uint32_t first, const uint32_t *rest, uint64_t key) { philox(out, first, rest, key); }\n",
        encoding="utf-8",
    )
    made = tmp_path / "draw.so"
    subprocess.run(["cc", *library.FLAGS, f"-I{library.HERE}", source, "-o", made], check=True)
    drawn = ctypes.CDLL(str(made))
    for counter, key, words in KNOWN:
        first, *rest = (int(word, 16) for word in counter.split())
        low, high = (int(word, 16) for word in key.split())
        drawn.draw(ctypes.c_uint32(first), (ctypes.c_uint32 * 3)(*rest), ctypes.c_uint64(high << 32 | low))
        out = (ctypes.c_uint32 * 32).in_dll(drawn, "out")
        # of eight counters side by side, the first
        assert [f"{out[place]:08x}" for place in (0, 1, 16, 17)] == words.split()


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_hidden_layer_is_certified_too(precision: Precision) -> None:
    settings = Settings(threads=1, precision=precision)
    configure(settings)
    task = shrink(fc_lif(hidden=20))
    assert verdict(certificate.certify(classifier, task, settings, learns=True), precision) == ("exact", "")


def test_input_spikes_do_not_depend_on_the_number_of_threads() -> None:
    task = replace(fc_lif(), steps=20, batch=64)
    images = np.random.default_rng(0).integers(0, 256, (192, *task.input_shape), dtype=np.uint8)
    labels, order = np.arange(192) % 10, np.arange(192).reshape(3, 64)
    rates, weights = [], []
    for threads in (1, 3):
        settings = Settings(threads=threads, seed=3)
        assert configure(settings)["threads"] == threads
        built = classifier(task, settings)
        built.load_weights(random_weights(task))
        built.load(images, labels)
        rates.append(built.train_epoch(order))
        weights.append(built.weights()["1.weight"])
    assert np.array_equal(rates[0][:64], rates[1][:64]) and rates[0].any()
    assert np.allclose(weights[0], weights[1], rtol=0, atol=1e-5)
    assert not np.array_equal(weights[0], random_weights(task)["1.weight"])


@pytest.mark.parametrize(("kept", "encoder"), [(1, "poisson"), (2, "poisson"), (4, "poisson"), (5, "direct")])
def test_work_without_a_kernel_is_refused_by_name(kept: int, encoder: Encoder) -> None:
    whole = fc_lif(hidden=20)
    task = replace(whole, layers=whole.layers[:kept], encoder=encoder)
    reason = f"no kernel is written for {encoder} input to {task.network}"
    with pytest.raises(Unsupported, match=f"^{re.escape(reason)}$"):
        classifier(task, Settings())


@pytest.mark.parametrize("task", [fc_lif(loss="cross_entropy"), csnn(loss="cross_entropy")])
def test_another_loss_is_refused_and_never_replaced(task: Classify) -> None:
    with pytest.raises(Unsupported, match=r"^no kernel is written for the loss cross_entropy$"):
        classifier(task, Settings())
