"""From what a person asks for to a finished run folder with its report."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import catalogue, plan, runs, session
from bench.catalogue import PROJECT, Adapter
from bench.clean import printable
from bench.data import ensure_dataset
from bench.durations import Durations, earlier
from bench.environments import (
    identify,
    interpreter_at_hand,
    prepare,
    unavailable,
    unavailable_at_hand,
)
from bench.errors import UserError, unknown
from bench.measure import gpu, limits, peaks
from bench.measure import machine as machines
from bench.measure.card import Card, choose
from bench.process import ALLOCATOR
from bench.profile import Profile
from bench.progress import Progress
from bench.records import Cell, Manifest, Record, load_records, save_manifest
from bench.surroundings import absolute
from tasks.families import families
from tasks.protocol import Dataset

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says, beside the profile.

    ``retry``: run again what failed; ``anew``: make certificates again as well.
    """

    device: str = "cpu"
    precision: str = "float32"
    threads: int | None = None
    tf32: bool = False
    cudnn_benchmark: bool = False
    deterministic: bool = False
    env: str = "locked"
    adapters: Path | None = None
    data: Path | None = None
    results: Path = runs.RESULTS
    fresh: bool = False
    retry: bool = False
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A run folder, its records, and the state of the run in a word."""

    folder: Path
    records: list[Record]
    word: str


def run(
    name: str,
    profile: Profile,
    selection: plan.Selection,
    asked: Asked,
    console: Console,
) -> Done:
    """Run a profile, or go on with the same run where it was interrupted.

    Raises:
        UserError: something that was asked for cannot be.
        KeyboardInterrupt: what is finished is kept.
    """

    def say(line: str) -> None:
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    found = catalogue.discover(asked.adapters, selection.adapters)
    card = choose(os.environ.get("CUDA_VISIBLE_DEVICES")) if asked.device == "cuda" else None
    machine = machines.describe(card)
    if card:
        say(f"On CUDA this is {card.name}, {card.place}.")
    if asked.retry and asked.fresh:
        raise UserError(
            "RETRY=1 (--retry) goes on with a run and FRESH=1 (--fresh) starts one: leave one out"
        )
    settings = _settings(asked)
    code = session.code_of(found[name] for name in selection.adapters or found if name in found)
    cells = plan.make_cells(
        profile,
        found,
        selection,
        settings=settings,
        machine=machines.identity(machine),
        unavailable=_unavailable(found, settings.get("interpreter")),
    )
    folders = asked.results / "runs"
    manifest = Manifest(
        run=runs.name_now(name, folders),
        digest=plan.plan_digest(cells),
        profile=name,
        profile_values=profile.model_dump(exclude_defaults=True),
        settings=settings,
        machine=machine,
        git=_origin(cells, found),
        order_seed=plan.order_seed(cells),
        cells=cells,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with runs.alone(folders):
        folder = None if asked.fresh else runs.find(folders, manifest.digest, say)
        done = [] if folder is None else load_records(folder)
        if asked.retry:
            done = [record for record in done if not session.is_failed(record)]
        if folder is not None and len(done) == len(cells) and not any(record.again for record in done):
            runs.point_latest(folder)
            word = "complete, and nothing in it failed" if asked.retry else "complete already"
            return Done(folder, done, f"{word} (FRESH=1 starts a new one)")
        sets = [each for cell in cells if not cell.skip and (each := session.dataset_of(cell))]
        # what is wrong with a folder that a person names is said before anything begins
        data = datasets(sets, {}, {}, asked.data, say) if asked.data else {}
        with Progress(console, cells, done, Durations(earlier(folders))) as show:
            used = {name: found[name] for name in dict.fromkeys(c.adapter for c in cells if not c.skip)}
            show.environments(len(used))
            pythons, failed = interpreters(used, asked, show.say)
            if folder is not None:
                again = [record for record in done if record.again and record.cell.adapter in pythons]
                show.begin_again(again)
                if len(done) - len(again) == len(cells):
                    runs.point_latest(folder)
                    return Done(folder, done, f"complete but for {', '.join(failed)}")
            data = data or datasets(sets, used, pythons, None, show.say)
            if folder is None:
                if threads := _timed_threads(cells):
                    manifest = manifest.model_copy(update=_measured(manifest, card, threads, show.say))
                number = max((made.number for _, made in runs.oldest_first(folders)), default=0) + 1
                manifest = manifest.model_copy(update={"number": number})
                folder = folders / manifest.run
                folder.mkdir()
                save_manifest(folder, manifest)
            else:
                waiting = sum(cell.stage == "run" for cell in show.waiting.values())
                of = show.totals["run"]
                show.say(f"Going on with run {folder.name}: {of - waiting} of {of} cells are done.")
            runs.point_latest(folder)
            means = session.Means(
                adapters=found,
                pythons=pythons,
                failed=failed,
                data=data,
                results=asked.results,
                anew=asked.anew,
                card=card,
                retry=asked.retry,
                code=code,
            )
            return Done(folder, session.go(folder, means, show), "complete")


def setup(asked: Asked, say: Say) -> None:
    """Prepare every adapter's environment and fetch every data set, without running anything."""
    found = catalogue.discover(asked.adapters)
    env = _choice("env", asked.env, ("locked", "current"))
    interpreter = identify(interpreter_at_hand()) if env == "current" else None
    for name, reason in _unavailable(found, interpreter).items():
        say(f"Left out: {reason}")
        del found[name]
    pythons, _ = interpreters(found, asked, say)
    sets = [family.dataset(task()) for family in families().values() for task in family.tasks.values()]
    data = datasets([each for each in sets if each], found, pythons, asked.data, say)
    where = "; ".join(f"{name} in {folder}" for name, folder in data.items())
    say(f"Ready: {', '.join(pythons)}; {where}")


def _measured(manifest: Manifest, card: Card | None, threads: int, say: Say) -> dict[str, Any]:
    """What is measured before a run, by the manifest's names: peaks of so many threads, or a card at rest."""
    if card:
        watts = gpu.idle_watts(card)
        known = {} if watts is None else {"idle_watts": watts}
        return {"machine": manifest.machine | {"gpu": manifest.machine["gpu"] | known}}
    say("Measuring what the machine can do at most ...")
    if found := peaks.measure(threads):
        return {"peaks": asdict(found)}
    say("That failed: the report of this run shows no floor.")
    return {}


def _origin(cells: Sequence[Cell], found: Mapping[str, Adapter]) -> dict[str, Any]:
    """Where the code comes from; an adapter of a person's own folder is in no commit of the project."""
    git = runs.git_state()
    if "commit" in git and any(found[cell.adapter].folder.parent != catalogue.SHIPPED for cell in cells):
        git["dirty"] = True
    return git


def _timed_threads(cells: Sequence[Cell]) -> int:
    """The most threads of work of which the report says how long it takes at least; 0 where there is none."""
    return max((cell.work["threads"] for cell in cells if cell.stage == "run" and not cell.skip), default=0)


def _settings(asked: Asked) -> dict[str, Any]:
    if asked.threads is not None and asked.threads < 1:
        raise UserError(f"--threads must be at least 1, got {asked.threads}")
    settings = {
        "device": _choice("device", asked.device, ("cpu", "cuda")),
        "precision": _choice("precision", asked.precision, ("float32", "amp", "float64")),
        "threads": asked.threads or limits.usable_cores(),
        "environment": _choice("env", asked.env, ("locked", "current")),
        "tf32": asked.tf32,
        "cudnn_benchmark": asked.cudnn_benchmark,
        "deterministic": asked.deterministic,
        "allocator": " ".join(f"{name}={value}" for name, value in ALLOCATOR.items()),
    }
    if folders := os.environ.get("LD_LIBRARY_PATH"):  # other libraries are another run
        settings["libraries"] = f"LD_LIBRARY_PATH {_digest(absolute(folders))}"
    if asked.env == "current":
        # another interpreter is another run
        settings["interpreter"] = identify(interpreter_at_hand())
    return settings


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode(errors="surrogateescape")).hexdigest()[:12]


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise unknown(name, value, choices)
    return value


def _unavailable(found: Mapping[str, Adapter], interpreter: str | None) -> dict[str, str]:
    """Adapters that cannot run, and why: in the interpreter at hand, or in environments of their own."""
    if interpreter is not None:
        reasons = {name: unavailable_at_hand(adapter, interpreter) for name, adapter in found.items()}
    else:
        reasons = {name: unavailable(adapter) for name, adapter in found.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def interpreters(
    used: Mapping[str, Adapter], asked: Asked, say: Say
) -> tuple[dict[str, Path], dict[str, str]]:
    """The Python executable of each adapter, and of those that have none the reason.

    Raises:
        UserError: there is none at all.
    """
    if asked.env == "current":
        return dict.fromkeys(used, interpreter_at_hand()), {}
    pythons: dict[str, Path] = {}
    failed: dict[str, str] = {}
    for name, adapter in used.items():
        try:
            pythons[name] = prepare(adapter, device=asked.device, root=PROJECT, say=say)
        except (UserError, OSError) as error:
            failed[name] = str(error)
            say(f"{error}. The others go on; the same command tries again.")
    if failed and not pythons:
        raise UserError(next(iter(failed.values())))
    return pythons, failed


def datasets(
    wanted: Sequence[Dataset],
    used: Mapping[str, Adapter],
    pythons: Mapping[str, Path],
    given: Path | None,
    say: Say,
) -> dict[str, Path]:
    """The folder of every data set, by its name."""
    # any folder that adapters share may bring a program that downloads data sets
    fetchers = [
        (pythons[name], f"adapters.{shared}.fetch")
        for name, adapter in used.items()
        for shared in adapter.uses
        if name in pythons and (catalogue.SHIPPED / shared / "fetch.py").exists()
    ]
    by_name = {dataset.name: dataset for dataset in wanted}
    return {
        name: ensure_dataset(dataset, given=given, fetchers=fetchers, say=say)
        for name, dataset in by_name.items()
    }
