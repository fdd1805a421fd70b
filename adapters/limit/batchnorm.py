"""BatchNorm as a scale and a shift of what follows it; moments in float64, in every precision."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EPS = 1e-5
MOMENTUM = 0.1


class Scaling(NamedTuple):
    """``scale`` x + ``shift`` is (x - ``mean``) ``inverse`` weight + bias; each float64 [rows, channels].

    One row is for all time steps, or there is one for each.
    """

    mean: Tensor
    inverse: Tensor
    scale: Tensor
    shift: Tensor

    def back(self, total: Tensor, product: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The constant and the factor of x that come to ``scale`` times gradient, since the moments move too.

        ``total`` and ``product`` [rows, channels]: sums of the gradient, and of gradient times x, over the
        ``count`` elements that share their moments.
        """
        by_x = -self.scale * self.weight_gradient(total, product) * self.inverse / count
        return -self.scale * total / count - by_x * self.mean, by_x

    def weight_gradient(self, total: Tensor, product: Tensor) -> Tensor:
        """Sum of gradient times normalised x, by row; that of the bias is ``total`` itself."""
        return self.inverse * (product - self.mean * total)


class Norm:
    """The parameters and running moments [channels] of one layer; ``each_step``: each has its own moments."""

    def __init__(self, channels: int, dtype: torch.dtype, *, each_step: bool) -> None:
        self.each_step = each_step
        self.weight = torch.zeros(channels, dtype=dtype)
        self.bias = torch.zeros_like(self.weight)
        self.running_mean = torch.zeros_like(self.weight)
        self.running_var = torch.zeros_like(self.weight)

    def rows(self, sums: Tensor) -> Tensor:
        """Sums [steps, ...], added up over all steps that share their moments: [rows, ...]."""
        return sums if self.each_step else sums.sum(0, keepdim=True)

    def learn(self, mean: Tensor, var: Tensor, count: int) -> Scaling:
        """The scaling by moments [rows, channels] over ``count`` elements each; moves the running ones."""
        for one, other in zip(mean, var * (count / (count - 1)), strict=True):
            self.running_mean += MOMENTUM * (one.to(self.running_mean) - self.running_mean)
            self.running_var += MOMENTUM * (other.to(self.running_var) - self.running_var)
        return self._scaling(mean, var)

    def look(self) -> Scaling:
        """The scaling by the running moments, in one row."""
        return self._scaling(self.running_mean.double()[None], self.running_var.double()[None])

    def _scaling(self, mean: Tensor, var: Tensor) -> Scaling:
        inverse = 1 / (var + EPS).sqrt()
        scale = self.weight.double() * inverse
        return Scaling(mean, inverse, scale, self.bias.double() - mean * scale)
