from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.measure import machine
from bench.measure.card import Card, choose
from tests.cards import MIG, A, B, FakeCard, install


@pytest.mark.parametrize(
    ("visible", "uuid"),
    [
        (None, A),
        ("0", A),
        ("1", B),
        (" 1 ", B),
        ("1,0", B),
        ("0,1", A),
        (A, A),
        (B, B),
        (B[:8], B),
        (f"{B},{A}", B),
    ],
)
def test_the_first_card_that_is_visible_is_the_one(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, uuid: str
) -> None:
    fake = install(monkeypatch, FakeCard(A, "Slow GPU"), FakeCard(B, "Fast GPU"))
    card = choose(visible)
    assert (card.uuid, card.name) == (uuid, {A: "Slow GPU", B: "Fast GPU"}[uuid])
    assert card.place == f"GPU {[A, B].index(uuid)} in bus order"
    assert card.variables == {"CUDA_VISIBLE_DEVICES": uuid, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert fake.opened == 0


@pytest.mark.parametrize(
    ("visible", "words"),
    [
        ("", "CUDA_VISIBLE_DEVICES= is empty, which hides every GPU: unset it"),
        (" ", "is empty"),
        ("-1", "CUDA_VISIBLE_DEVICES=-1 names none of the 2 on this machine: unset it"),
        ("2", "names none of the 2"),
        ("2,0", "names none of the 2"),
        ("NoDevFiles", "names none of the 2"),
        ("GPU-dd", "names none of the 2"),
        ("GPU-", "names any of several"),
        (MIG, "names none of the 2"),
    ],
)
def test_visible_devices_that_name_no_card(monkeypatch: pytest.MonkeyPatch, visible: str, words: str) -> None:
    install(monkeypatch, FakeCard(A), FakeCard(B))
    with pytest.raises(UserError, match="^--device cuda: .*" + words):
        choose(visible)


@pytest.mark.parametrize("visible", [None, "0", A, MIG, MIG[:8]])
def test_of_a_divided_card_the_first_instance_is_used_or_the_one_that_is_named(
    monkeypatch: pytest.MonkeyPatch, visible: str | None
) -> None:
    part = FakeCard(MIG, "Some GPU MIG 1g.10gb")
    install(monkeypatch, FakeCard(A, divided=True, instances=[part, FakeCard("MIG-dd")]), FakeCard(B))
    card = choose(visible)
    assert (card.uuid, card.name) == (MIG, "Some GPU MIG 1g.10gb")
    assert card.place == "GPU 0 in bus order, one of its MIG instances"
    assert choose("MIG-dd").uuid == "MIG-dd"


def test_a_divided_card_without_an_instance_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCard(A, divided=True))
    with pytest.raises(UserError, match="GPU 0 is in MIG mode without an instance"):
        choose(None)


@pytest.mark.parametrize("refuses", [{"all"}, {"HandleByIndex"}, {"UUID"}])
def test_a_card_that_is_lost_or_forbidden_has_no_number(
    monkeypatch: pytest.MonkeyPatch, refuses: set[str]
) -> None:
    install(monkeypatch, FakeCard(A, refuses=refuses), FakeCard(B))
    assert choose("0").uuid == B
    install(monkeypatch, FakeCard(A, refuses=refuses))
    with pytest.raises(UserError, match="shows no NVIDIA GPU on this machine: use --device cpu"):
        choose(None)


def test_a_driver_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCard(A)).gone = True
    with pytest.raises(UserError, match=r"no NVIDIA GPU on this machine \(Driver Not Loaded\): use"):
        choose(None)


def test_a_machine_is_named_after_the_card_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, FakeCard(A, "Slow GPU"), FakeCard(B, "NVIDIA Fast GPU"))
    found = machine.describe(choose("1"))
    fake.asked.clear()
    found = machine.describe(Card(uuid=B, name="NVIDIA Fast GPU", place=""))
    assert fake.asked == {B}
    assert found["name"] == f"nvidia-fast-gpu-{found['cores']}c"
    assert found["gpu"]["name"] == "NVIDIA Fast GPU" and found["gpu"]["driver"] == "550.1"
    assert "gpu" not in machine.describe()


def test_two_cards_of_a_model_are_two_machines_and_neither_uuid_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, FakeCard(A), FakeCard(B))
    one, other = (machine.describe(choose(visible)) for visible in "01")
    assert one["name"] == other["name"]
    assert machine.identity(one) != machine.identity(other)
    assert machine.identity(one) == machine.identity(machine.describe(choose(None)))
    assert A[4:12] not in str(one) and B[4:12] not in str(other)
