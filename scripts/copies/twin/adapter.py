"""The adapter torch under another name."""

from adapters.torch.adapter import VARIANTS as OF_TORCH
from adapters.torch.adapter import configure, device_memory, sync, versions

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]

VARIANTS = {"folded": OF_TORCH["folded"]}
