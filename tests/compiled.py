"""Triton's kernels compiled for an H100 where there is no GPU, and not started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction, MockTensor

H100 = GPUTarget("cuda", 90, 32)


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """A kernel that is launched is compiled for the dtypes of its tensors, which must lie on a GPU."""
    run = JITFunction.run

    def compiled(kernel: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        for name, value in zip(kernel.arg_names, args, strict=False):
            if isinstance(value, Tensor) and value.device.type != "cuda":
                raise TypeError(
                    f"{kernel.__name__}: {name} lies on {value.device}, where no kernel reaches it"
                )
        kinds = [value.dtype if isinstance(value, Tensor) else value for value in args]
        run(kernel, *map(MockTensor.wrap_dtype, kinds), grid=grid, warmup=True, **options)

    stand_in = SimpleNamespace(
        get_current_target=lambda: H100, get_current_device=lambda: 0, get_current_stream=lambda _: 0
    )
    with patch.object(JITFunction, "run", compiled), patch.object(driver, "_active", stand_in):
        yield
