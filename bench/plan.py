"""From a profile and a selection to the cells of a run."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bench.catalogue import PROJECT, Adapter, digest, source_files
from bench.errors import UserError, unknown
from bench.profile import Point, Profile, task_names
from bench.records import Cell, dumps
from tasks.protocol import Family

CERTIFY_TIMEOUT_SECONDS = 900
# what a certificate depends on; of the others, threads above all, it must not
_CERTIFIED_SETTINGS = (
    *("precision", "tf32", "cudnn_benchmark", "deterministic"),
    *("environment", "interpreter", "libraries"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What ``--only`` asks for; None is the profile's own choice, and of variants the first of each table."""

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
            raise unknown("key in ONLY (--only)", key, ("adapter", "task", "variant"))
        if not equals or not all(names.split(",")):
            raise UserError(f"ONLY (--only) {word}: write {key}=NAME or {key}=NAME,NAME")
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
    """Every cell in running order: certificates, then heat by heat, shuffled within each.

    ``settings`` are those of ``Settings`` without seed, and the kind of environment; they and ``machine``
    enter the keys.  ``unavailable``: adapters that this machine cannot run, and why.

    Raises:
        UserError: the selection names something unknown, or selects nothing.
    """
    names = tuple(dict.fromkeys(selection.adapters or adapters))
    for name in names:
        if name not in adapters:
            raise unknown("adapter", name, adapters)
    tasks = tuple(dict.fromkeys(selection.tasks or profile.tasks))
    for name in tasks:
        if name not in task_names():
            raise unknown("task", name, task_names())
    chosen = [adapters[name] for name in names]
    wanted = selection.variants or (("all",) if profile.variants == "all" else None)
    _check_variants(chosen, wanted)
    planner = _Planner(profile, settings, machine, unavailable)
    cells = [
        planner.cell(adapter, point, table, variant, precision, seed)
        for seed in dict.fromkeys([*profile.seeds, *chain(*profile.more_seeds.values())])
        for task in tasks
        if seed in (*profile.seeds, *profile.more_seeds.get(task, []))
        for point in profile.points(task)
        for precision in dict.fromkeys([settings["precision"], *profile.also_precisions])
        for adapter, table, variant in _variants(chosen, task_names()[task], wanted, profile.own_examples)
        if seed in profile.seeds or (table and task_names()[task].tables[table].compared)
    ]
    if not cells:
        raise UserError(
            f"nothing to run: no adapter chosen has the variant {', '.join(selection.variants or ())} for "
            f"{', '.join(tasks)} (spikebench list names them)"
        )
    certificates = list(planner.certificates.values())
    if profile.certificates_only:
        if not certificates:
            raise UserError(
                "nothing to certify: the open division has no certificates; choose other variants"
            )
        return certificates
    heats = _heats(cells, adapters)
    planned = [*certificates, *chain(*heats)]
    shuffle = random.Random(order_seed(planned))
    for heat in heats:
        shuffle.shuffle(heat)
        heat.sort(key=lambda cell: cell.stage == "control")  # it stays the last
    return [*certificates, *chain(*heats)]


def plan_digest(cells: Sequence[Cell]) -> str:
    """Equal for equal plans, whatever their order."""
    return hashlib.sha256("\n".join(sorted(cell.cell for cell in cells)).encode()).hexdigest()


def order_seed(cells: Sequence[Cell]) -> int:
    """The seed of the running order: a function of the plan, so that a run that goes on keeps its order."""
    return int(plan_digest(cells)[:8], 16)


class _Planner:
    """Makes cells and the certificates that they need."""

    def __init__(
        self,
        profile: Profile,
        settings: Mapping[str, Any],
        machine: Mapping[str, Any],
        unavailable: Mapping[str, str],
    ) -> None:
        self.profile, self.settings, self.machine = profile, settings, machine
        self.unavailable = unavailable
        self.certificates: dict[str, Cell] = {}
        bench = PROJECT / "bench"
        self.harness = digest([bench / "process.py", bench / "heat.py"])
        self.shared = digest(sorted((PROJECT / "tasks").glob("*.py")))
        self.families: dict[str, str] = {}
        self.adapters: dict[str, str] = {}

    def cell(
        self, adapter: Adapter, point: Point, table: str, variant: str, precision: str, seed: int
    ) -> Cell:
        """The timed cell of a task, whose certificate is planned with it."""
        family, task = task_names()[point.name], point.task
        amounts = self.profile.amounts(family.name)
        # a framework without CUDA is still of interest beside those that have it
        asked = self.settings["device"]
        device = asked if asked in adapter.devices else "cpu"
        said = family.tables.get(table)
        learning = adapter.learning(table, variant) if table else ""
        try:
            work = family.work(task, amounts, learning)
        except ValueError as error:
            raise UserError(f"{point.name}: {error}") from None
        work |= {"threads": self.profile.threads(family.name, self.settings["threads"])}
        if said is None or said.division == "closed":  # else it is the record that knows what ran
            work = {"network": task.network} | work
        base = Cell(
            cell="",
            stage="run",
            family=family.name,
            adapter=adapter.name,
            table=table,
            variant=variant,
            division=said.division if said else "closed",
            learning=learning,
            compared=bool(said and said.compared and device == asked),
            reference=adapter.reference,
            task=point.name,
            task_values=point.values,
            amounts=dataclasses.asdict(amounts),
            work=work,
            device=device,
            precision=precision,
            seed=seed,
            timeout_seconds=self.profile.timeout_minutes * 60,
            skip=self._obstacle(adapter, family, table, device),
        )
        content = self._content(adapter, family, device)
        if base.division == "closed":
            certificate = self._certificate(base, family, task, content)
            base = base.model_copy(update={"certificate": certificate.cell})
        return base.model_copy(
            update={"cell": _key(base, [*content, self.harness, self._settings(base)], f"-s{seed}")}
        )

    def _settings(self, cell: Cell) -> dict[str, Any]:
        return {**self.settings, "precision": cell.precision}

    def _certificate(self, base: Cell, family: Family, task: Any, content: Sequence[Any]) -> Cell:
        """What certifies the cell: neither its seed nor its threads nor how much is trained matters."""
        certified = family.certified(task)
        settings = {name: self._settings(base).get(name) for name in _CERTIFIED_SETTINGS}
        cell = base.model_copy(
            update={
                "stage": "certify",
                "seed": 0,
                "amounts": {},
                "work": {"network": task.network},
                "timeout_seconds": CERTIFY_TIMEOUT_SECONDS,
            }
        )
        named = [cell.stage, cell.family, cell.task, cell.table, cell.variant, cell.learning, cell.skip]
        hashed = _hash([named, repr(certified), content, settings])
        key = f"certify-{cell.task}-{cell.adapter}-{cell.variant}-{cell.device}-{cell.precision}-{hashed}"
        return self.certificates.setdefault(key, cell.model_copy(update={"cell": key}))

    def _content(self, adapter: Adapter, family: Family, device: str) -> list[Any]:
        """Everything that decides what is computed, whoever asks; the adapter's lock is one of its files."""
        if family.name not in self.families:
            self.families[family.name] = digest(source_files(PROJECT / "tasks" / family.name))
        if adapter.name not in self.adapters:
            self.adapters[adapter.name] = digest(adapter.files())
        return [
            self.shared,
            self.families[family.name],
            self.adapters[adapter.name],
            adapter.python or "{}.{}".format(*sys.version_info[:2]),
            device,
            dict(self.machine),
        ]

    def _obstacle(self, adapter: Adapter, family: Family, table: str, device: str) -> str:
        """Why the cell cannot run, as far as it is known now; empty if it can."""
        if adapter.name in self.unavailable:
            return self.unavailable[adapter.name]
        if not table:
            return f"{adapter.name} has no adapter code for {family.noun}"
        if device not in adapter.devices:
            return f"{adapter.name} does not run on {device}"
        return ""


def _check_variants(adapters: Sequence[Adapter], wanted: tuple[str, ...] | None) -> None:
    known = {name for adapter in adapters for name in adapter.names()}
    for variant in wanted or ():
        if variant != "all" and variant not in known:
            raise unknown("variant", variant, {*known, "all"})


def _variants(
    adapters: Sequence[Adapter], family: Family, wanted: tuple[str, ...] | None, own_examples: bool
) -> list[tuple[Adapter, str, str]]:
    """(adapter, table, variant) of all that run; names are empty where an adapter has none to choose."""
    chosen: list[tuple[Adapter, str, str]] = []
    for adapter in adapters:
        tables = {table: list(adapter.variants(table)) for table in family.tables}
        if not any(tables.values()) and (wanted is None or "all" in wanted):
            chosen.append((adapter, "", ""))
        for table, names in tables.items():
            if wanted is None:
                names = names[:1] if own_examples or not family.tables[table].own_example else []
            elif "all" not in wanted:
                names = [name for name in names if name in wanted]
            chosen += [(adapter, table, name) for name in names]
    return chosen


def _heats(cells: Sequence[Cell], adapters: Mapping[str, Adapter]) -> list[list[Cell]]:
    """The cells heat by heat, each with its baseline and, where two are compared, its control."""
    questions: dict[str, list[Cell]] = {}
    for cell in cells:
        same = [cell.task, cell.task_values, cell.amounts, cell.seed, cell.device, cell.learning]
        # what is compared with nothing is a question of its own
        own = "" if cell.compared else cell.cell
        questions.setdefault(dumps([*same, own]), []).append(cell)
    heats = []
    for members in questions.values():
        first = members[0]
        runnable = sorted(
            (cell for cell in members if cell.compared and not cell.skip),
            key=lambda cell: (
                cell.division == "open",
                cell.reference,
                not adapters[cell.adapter].baseline,
                cell.adapter,
                cell.variant,
            ),
        )
        baseline = runnable[0] if runnable else None
        hashed = _hash(sorted(cell.cell for cell in members))
        name = f"{first.task}-{first.device}-{first.precision}-s{first.seed}-{hashed}"
        heat = [cell.model_copy(update={"heat": name, "baseline": cell is baseline}) for cell in members]
        if baseline is not None and len(runnable) > 1:
            again = {"cell": f"control-{baseline.cell}", "stage": "control", "heat": name}
            heat.append(baseline.model_copy(update=again))
        heats.append(heat)
    return heats


def _hash(value: object) -> str:
    return hashlib.sha256(dumps(value).encode()).hexdigest()[:10]


def _key(cell: Cell, content: Sequence[Any], seed: str) -> str:
    """A name to read, made unique by a hash of everything that the cell's figures depend on."""
    hashed = _hash([cell.model_dump(), content])
    return f"{cell.task}-{cell.adapter}-{cell.variant}-{cell.device}-{cell.precision}{seed}-{hashed}"
