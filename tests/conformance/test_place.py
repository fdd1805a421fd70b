from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from bench.catalogue import Adapter
from tests.cards import A, B, FakeCard, install
from tests.conformance.place import Nowhere, card_of


def adapter(*devices: Literal["cpu", "cuda"], python: str = "") -> Adapter:
    return Adapter(
        name="tiny",
        about="",
        folder=Path(),
        devices=list(devices),
        tables={"classify": {"plain": ""}},
        python=python,
    )


def test_on_cuda_it_is_the_card_that_a_run_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCard(A), FakeCard(B))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    card = card_of(adapter("cpu", "cuda"), "cuda")
    assert card and card.uuid == B
    assert card_of(adapter("cpu"), "cpu") is None


@pytest.mark.parametrize(
    ("cards", "devices", "python", "reason"),
    [
        ([], ("cpu", "cuda"), "", "no NVIDIA GPU on this machine"),
        ([FakeCard(A)], ("cpu",), "", "tiny does not run on cuda"),
        ([FakeCard(A)], ("cpu", "cuda"), "3.4", "tiny needs CPython 3.4"),
    ],
)
def test_where_it_cannot_run_there_is_a_reason(
    monkeypatch: pytest.MonkeyPatch,
    cards: list[FakeCard],
    devices: tuple[Literal["cpu", "cuda"], ...],
    python: str,
    reason: str,
) -> None:
    install(monkeypatch, *cards)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(Nowhere, match=reason):
        card_of(adapter(*devices, python=python), "cuda")
