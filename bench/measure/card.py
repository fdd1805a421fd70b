"""The one GPU of a run: chosen once, and then named by its UUID to CUDA and to the driver's library alike.

CUDA counts the cards that CUDA_VISIBLE_DEVICES leaves, fastest first or by bus; the library counts all, by
bus.  A number is therefore no name of a card.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pynvml

from bench.errors import UserError
from bench.measure.nvml import ask, session, words

_NO_GPU = "--device cuda: the driver shows no NVIDIA GPU on this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A GPU, or one instance of a GPU that is divided by MIG; ``place`` says which one, to a person."""

    uuid: str
    name: str
    place: str

    @property
    def key(self) -> str:
        """Tells it apart from others of its model; a UUID is not for publishing, and this is."""
        return hashlib.sha256(self.uuid.encode()).hexdigest()[:8]

    @property
    def variables(self) -> dict[str, str]:
        """With these in its environment a process sees this card and no other, as number 0."""
        return {"CUDA_VISIBLE_DEVICES": self.uuid, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


@dataclass(frozen=True, slots=True)
class _Found:
    """A card with its UUID and, where MIG divides it, its instances, which CUDA uses in its place."""

    number: int
    uuid: str
    handle: Any
    is_divided: bool
    instances: dict[str, Any]


def choose(visible: str | None) -> Card:
    """The first card that CUDA_VISIBLE_DEVICES names (None: it is not set), numbers being in bus order.

    It may hold numbers, UUIDs of cards or of MIG instances, or what they begin with.

    Raises:
        UserError: there is no GPU, or it names none.
    """
    try:
        with session():
            return _choose(visible, list(_cards()))
    except pynvml.NVMLError as error:
        raise UserError(f"{_NO_GPU} ({error}): use --device cpu, or mend the driver") from None


def _choose(visible: str | None, cards: list[_Found]) -> Card:
    if not cards:
        raise UserError(f"{_NO_GPU}: use --device cpu")
    said = f"--device cuda: CUDA_VISIBLE_DEVICES={visible}"
    way_out = "unset it, or name a GPU that nvidia-smi -L lists"
    if visible is not None and not visible.strip():
        raise UserError(f"{said} is empty, which hides every GPU: {way_out}")
    first = "0" if visible is None else visible.partition(",")[0].strip()
    if first.startswith("MIG-"):
        named = [(card, uuid) for card in cards for uuid in card.instances if uuid.startswith(first)]
    else:
        chosen = [card for card in cards if _is_named(card, first)]
        named = [(card, next(iter(card.instances), card.uuid)) for card in chosen]
    if len(named) != 1:
        what = "any of several GPUs" if named else f"none of the {len(cards)} on this machine"
        raise UserError(f"{said} names {what}: {way_out}")
    card, uuid = named[0]
    if card.is_divided and not card.instances:
        raise UserError(
            f"--device cuda: GPU {card.number} is in MIG mode without an instance: make one first"
        )
    name = words(ask(pynvml.nvmlDeviceGetName, card.instances.get(uuid, card.handle)))
    part = ", one of its MIG instances" if card.is_divided else ""
    return Card(uuid=uuid, name=name or "NVIDIA GPU", place=f"GPU {card.number} in bus order{part}")


def _is_named(card: _Found, word: str) -> bool:
    if word.isdecimal():
        return card.number == int(word)
    return word.startswith("GPU-") and card.uuid.startswith(word)


def _cards() -> Iterator[_Found]:
    """Every card that answers, as CUDA counts them by bus: one that is lost or forbidden has no number."""
    number = 0
    for place in range(pynvml.nvmlDeviceGetCount()):
        handle = ask(pynvml.nvmlDeviceGetHandleByIndex, place)
        uuid = words(ask(pynvml.nvmlDeviceGetUUID, handle)) if handle is not None else ""
        if not uuid:
            continue
        mode = ask(pynvml.nvmlDeviceGetMigMode, handle)
        is_divided = bool(mode and mode[0])
        yield _Found(number, uuid, handle, is_divided, dict(_instances(handle)) if is_divided else {})
        number += 1


def _instances(handle: Any) -> Iterator[tuple[str, Any]]:
    for place in range(ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        instance = ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, place)
        uuid = words(ask(pynvml.nvmlDeviceGetUUID, instance)) if instance is not None else ""
        if uuid:
            yield uuid, instance
