"""The spike function of the tasks, for frameworks whose own fires only above the threshold."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, distance: Tensor, alpha: float) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.alpha = alpha
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        (distance,) = ctx.saved_tensors
        scaled = distance * (math.pi / 2 * ctx.alpha)
        return grad * (ctx.alpha / 2) / (1 + scaled * scaled), None


def fire(distance: Tensor, alpha: float) -> Tensor:
    """Spikes 0/1 of v - threshold, any shape, the boundary itself firing; backward the ATan surrogate.

    dS/dv = (alpha / 2) / (1 + (pi / 2 * alpha * distance)^2), Fang et al. 2021.
    """
    return _Fire.apply(distance, alpha)
