"""From a profile and a selection to the cells of a run."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from bench.adapters import KINDS, PROJECT, Adapter, Family, Kind, digest
from bench.errors import UserError, unknown
from bench.profile import Profile
from bench.records import Cell, dumps
from tasks.nef import Nef
from tasks.registry import TASKS

CERTIFY_TIMEOUT_SECONDS = 900
FAMILIES: dict[Family, str] = {"classify": "classification", "nef": "NEF"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What ``--only`` asks for; None is the profile's own choice, and of variants the first of each kind."""

    adapters: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    variants: tuple[str, ...] | None = None


def parse_only(text: str) -> Selection:
    """``"adapter=NAME,NAME task=csnn variant=step"`` as a selection; ``variant=all`` is every variant.

    Raises:
        UserError: a word is not KEY=NAME[,NAME] with a known key.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    for word in text.split():
        key, equals, names = word.partition("=")
        if key not in ("adapter", "task", "variant"):
            raise unknown("key in --only", key, ("adapter", "task", "variant"))
        if not equals or not all(names.split(",")):
            raise UserError(f"--only {word}: write {key}=NAME or {key}=NAME,NAME")
        chosen[f"{key}s"] = (*chosen.get(f"{key}s", ()), *names.split(","))
    return Selection(**chosen)


def make_cells(
    profile: Profile,
    adapters: Mapping[str, Adapter],
    selection: Selection,
    *,
    settings: Mapping[str, Any],
    machine: Mapping[str, Any],
    unavailable: Mapping[str, str],
) -> list[Cell]:
    """Every cell in running order: certificates, then timed cells, shuffled within each task and seed.

    ``settings`` are those of ``Settings`` without seed and variant, and the kind of environment; they and
    ``machine`` only enter the keys.  ``unavailable``: adapters that this machine cannot run, and why.

    Raises:
        UserError: the selection names something unknown, or selects nothing.
    """
    names = tuple(dict.fromkeys(selection.adapters or adapters))
    for name in names:
        if name not in adapters:
            raise unknown("adapter", name, adapters)
    tasks = tuple(dict.fromkeys(selection.tasks or profile.tasks))
    for name in tasks:
        if name not in TASKS:
            raise unknown("task", name, TASKS)
        task = profile.build(name)
        if not isinstance(task, Nef) and task.batch > profile.train_images:
            raise UserError(
                f"{name}: a batch of {task.batch} exceeds train_images {profile.train_images}: "
                f"set batch below [task.{name}] in the profile"
            )
    certificates: list[Cell] = []
    rounds: list[list[Cell]] = []
    chosen = [adapters[name] for name in names]
    _check_variants(chosen, selection.variants)
    shared = digest(_shared_files())
    for seed in dict.fromkeys(profile.seeds):
        for task_name in tasks:
            timed = []
            family: Family = "nef" if isinstance(profile.build(task_name), Nef) else "classify"
            for adapter, kind, variant in _variants(chosen, family, selection.variants):
                base = _cell(profile, adapter, kind, variant, task_name, seed, settings)
                if adapter.name in unavailable:
                    base = base.model_copy(update={"skip": unavailable[adapter.name]})
                python = adapter.python or "{}.{}".format(*sys.version_info[:2])
                work = [shared, digest(adapter.files()), dict(settings), dict(machine), python]
                if base.division == "open":
                    timed.append(base.model_copy(update={"cell": _key(base, work)}))
                    continue
                # a certificate knows neither seed nor how much is trained
                certify = base.model_copy(
                    update={
                        "kind": "certify",
                        "seed": 0,
                        "timeout_seconds": CERTIFY_TIMEOUT_SECONDS,
                        "train_images": 0,
                        "test_images": 0,
                        "curve_images": 0,
                    }
                )
                certify = certify.model_copy(update={"cell": _key(certify, work)})
                if certify not in certificates:
                    certificates.append(certify)
                timed.append(base.model_copy(update={"cell": _key(base, work), "certificate": certify.cell}))
            rounds.append(timed)
    if not any(rounds):
        raise UserError(
            f"nothing to run: no adapter chosen has the variant {', '.join(selection.variants or ())} for "
            f"{', '.join(tasks)} (spikebench list names them)"
        )
    shuffle = random.Random(order_seed([*certificates, *chain(*rounds)]))
    for timed in rounds:
        shuffle.shuffle(timed)
    return [*certificates, *chain(*rounds)]


def plan_digest(cells: Sequence[Cell]) -> str:
    """Equal for equal plans, whatever their order."""
    return hashlib.sha256("\n".join(sorted(cell.cell for cell in cells)).encode()).hexdigest()


def order_seed(cells: Sequence[Cell]) -> int:
    """The seed of the running order: a function of the plan, so that a run that goes on keeps its order."""
    return int(plan_digest(cells)[:8], 16)


def _shared_files() -> list[Path]:
    """What every figure depends on, whatever the adapter."""
    bench = PROJECT / "bench"
    files = [
        PROJECT / "adapters" / "protocol.py",
        bench / "process.py",
        bench / "session.py",
        bench / "worker.py",
        bench / "certificate.py",
        bench / "nef_certificate.py",
        bench / "nef_worker.py",
        bench / "outcomes.py",
        bench / "probes.py",
    ]
    files += sorted((PROJECT / "tasks").glob("weights/*.npz"))
    return files + sorted((PROJECT / "tasks").glob("*.py")) + sorted((bench / "measure").glob("*.py"))


def _check_variants(adapters: Sequence[Adapter], wanted: tuple[str, ...] | None) -> None:
    known = {name for adapter in adapters for name in adapter.names()}
    for variant in wanted or ():
        if variant != "all" and variant not in known:
            raise unknown("variant", variant, {*known, "all"})


def _variants(
    adapters: Sequence[Adapter], family: Family, wanted: tuple[str, ...] | None
) -> list[tuple[Adapter, Kind | None, str]]:
    """(adapter, kind, variant) of all that run; one without kind and name where there is none to choose."""
    chosen: list[tuple[Adapter, Kind | None, str]] = []
    for adapter in adapters:
        tables = {kind: list(adapter.variants(kind)) for kind in KINDS[family]}
        if not any(tables.values()) and (wanted is None or "all" in wanted):
            chosen.append((adapter, None, ""))
        for kind, names in tables.items():
            if wanted is None:
                names = names[:1]
            elif "all" not in wanted:
                names = [name for name in names if name in wanted]
            chosen += [(adapter, kind, name) for name in names]
    return chosen


def _cell(
    profile: Profile,
    adapter: Adapter,
    kind: Kind | None,
    variant: str,
    task_name: str,
    seed: int,
    settings: Mapping[str, Any],
) -> Cell:
    task = profile.build(task_name)
    is_nef = isinstance(task, Nef)
    skip = ""
    if kind is None:
        skip = f"{adapter.name} declares no {FAMILIES['nef' if is_nef else 'classify']} tasks"
    learning = "least-squares" if is_nef else "none" if kind == "inference" else "bptt"
    if kind == "open":
        learning = adapter.open[variant].learning
    # a framework without CUDA is still of interest beside those that have it
    device = settings["device"] if settings["device"] in adapter.devices else "cpu"
    if device not in adapter.devices:
        skip = f"{adapter.name} does not run on {device}"
    return Cell(
        cell="",
        kind="nef" if is_nef else "classify",
        adapter=adapter.name,
        variant=variant,
        division="open" if kind == "open" else "closed",
        learning=learning,
        task=task_name,
        network=task.network,
        device=device,
        precision=settings["precision"],
        seed=seed,
        train_images=0 if is_nef else profile.train_images,
        test_images=0 if is_nef else profile.test_images,
        curve_images=0 if is_nef else profile.curve_images,
        steps=task.steps,
        batch=task.seeds if isinstance(task, Nef) else task.batch,
        epochs=0 if isinstance(task, Nef) else task.epochs,
        task_values=dict(profile.task.get(task_name, {})),
        certificate=None,
        timeout_seconds=profile.timeout_minutes * 60,
        skip=skip,
    )


def _key(cell: Cell, work: Sequence[Any]) -> str:
    """A name to read, made unique by a hash of everything that the cell's figures depend on."""
    hashed = hashlib.sha256(dumps([cell.model_dump(), work]).encode()).hexdigest()[:10]
    kind = "certify-" if cell.kind == "certify" else ""
    seed = "" if cell.kind == "certify" else f"-s{cell.seed}"
    return f"{kind}{cell.task}-{cell.adapter}-{cell.variant}-{cell.device}-{cell.precision}{seed}-{hashed}"
