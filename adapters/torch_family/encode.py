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
    if images.is_cuda:  # to look for the pixels that can fire would be to wait for the device
        draws = torch.empty((steps, *images.shape), dtype=torch.uint8, device=images.device)
        return (draws.random_(0, 255) < images).to(dtype)
    # four of five pixels of MNIST never fire
    pixels = images.flatten()
    lit = pixels.nonzero()[:, 0]
    spikes = _draws(steps * len(lit)).view(steps, -1) < pixels[lit]
    sequence = torch.zeros((steps, len(pixels)), dtype=dtype)
    sequence.index_copy_(1, lit, spikes.to(dtype))
    return sequence.view(steps, *images.shape)


def _draws(count: int) -> Tensor:
    """Bytes uniform on 0..254 [count]: those of 64-bit words, and 255 drawn again."""
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None)
    draws = words.view(torch.uint8)[:count]
    again = (draws == 255).nonzero()[:, 0]
    draws[again] = torch.empty(len(again), dtype=torch.uint8).random_(0, 255)
    return draws


def direct(images: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """pixel / 255 at every step: one image seen T times through stride 0, not copied."""
    return (images.to(dtype) / 255).expand(steps, *images.shape)


ENCODERS: dict[Encoder, Encode] = {"poisson": poisson, "direct": direct}
