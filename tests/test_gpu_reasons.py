"""Why frameworks see or try no GPU; what says so needs none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.nengodl.capability import obstacle
from adapters.torch_family.driver import why_no_device

CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6\nGCC version:  12.3.0 \n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build\nGCC 12.3.0 \n"


@pytest.mark.parametrize(("text", "driver"), [(CLOSED, "535.54.03"), (OPEN, "560.35.03")])
def test_a_torch_that_is_newer_than_the_driver(tmp_path: Path, text: str, driver: str) -> None:
    (tmp_path / "version").write_text(text)
    line = why_no_device("2.15.0+cu132", "13.2", tmp_path / "version")
    assert line.startswith("torch 2.15.0+cu132 is built for CUDA 13.2 and sees no device through the NVIDIA")
    assert f"driver {driver}: update the driver, or run with --env current" in line


def test_a_torch_without_cuda_and_one_without_a_driver(tmp_path: Path) -> None:
    assert "2.15.0+cpu is built without CUDA: install" in why_no_device("2.15.0+cpu", None)
    assert why_no_device("2.15.0", "13.2", tmp_path / "none") == "torch sees no CUDA device here"
    (tmp_path / "empty").touch()
    assert why_no_device("2.15.0", "13.2", tmp_path / "empty") == "torch sees no CUDA device here"


BUILT = ["sm_50", "sm_60", "sm_70", "sm_75", "compute_80"]


@pytest.mark.parametrize(
    ("built_for", "capability", "is_tried"),
    [
        (BUILT, (7, 5), True),
        (BUILT, (8, 0), True),
        (BUILT, (8, 9), True),
        (BUILT, (9, 0), False),
        (BUILT, (10, 0), False),
        ([*BUILT, "sm_90a"], (9, 0), True),
        ([*BUILT, "sm_100"], (9, 0), True),
        (BUILT, None, True),
        ([], (9, 0), True),
    ],
)
def test_a_card_that_tensorflow_has_no_code_for_is_not_tried(
    built_for: list[str], capability: tuple[int, int] | None, is_tried: bool
) -> None:
    line = obstacle("2.15.1", built_for, capability)
    assert (line == "") == is_tried
    if not is_tried:
        assert line.startswith("TensorFlow 2.15.1 has code for GPUs of compute capability 8.x at most")
