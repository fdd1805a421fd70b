"""uint8 images to input sequences, on the device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tasks.classify.spec import Encoder

# images uint8 [N, ...], steps T, dtype -> [T, N, ...]
Encode = Callable[[Tensor, int, torch.dtype], Tensor]


def poisson(images: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """A spike with probability pixel / 255 at every step, drawn with torch's global generator.

    A draw uniform on 0..254 lies below the pixel with exactly that probability: 255 always fires, 0 never.
    """
    draws = torch.empty((steps, *images.shape), dtype=torch.uint8, device=images.device)
    return (draws.random_(0, 255) < images).to(dtype)


def direct(images: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """pixel / 255 at every step: one image seen T times through stride 0, not copied."""
    return (images.to(dtype) / 255).expand(steps, *images.shape)


ENCODERS: dict[Encoder, Encode] = {"poisson": poisson, "direct": direct}
