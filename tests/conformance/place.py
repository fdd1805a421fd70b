"""Where the suite runs."""

from __future__ import annotations

import os

from bench.catalogue import Adapter
from bench.environments import unavailable
from bench.errors import UserError
from bench.measure.card import Card, choose


class Nowhere(Exception):
    """The adapter cannot run here; the message says why."""


def card_of(adapter: Adapter, device: str) -> Card | None:
    """The GPU that the adapter runs on; None on the CPU.

    Raises:
        Nowhere: it has no environment here, does not run on the device, or there is no GPU.
    """
    if reason := unavailable(adapter):
        raise Nowhere(reason)
    if device not in adapter.devices:
        raise Nowhere(f"{adapter.name} does not run on {device}")
    if device == "cpu":
        return None
    try:
        return choose(os.environ.get("CUDA_VISIBLE_DEVICES"))
    except UserError as error:
        raise Nowhere(str(error)) from None
