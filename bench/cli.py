"""The command ``spikebench``; what every subcommand does stands in the module it calls."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from typer.exceptions import TyperException

from bench import adapters as adapter_files
from bench import plan, session
from bench.adapters import PROJECT, Adapter
from bench.errors import UserError, first_problem, unknown
from bench.measure import machine as machines
from bench.progress import Progress
from bench.records import Cell, Manifest, Record, load_records, write_tables

if TYPE_CHECKING:
    from bench.profile import Profile

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
PUBLISHED = PROJECT / "results" / "published"


def _home(path: Path | None) -> Path | None:
    return path and path.expanduser()  # make quotes what it hands on, so that no shell does


AdaptersOption = Annotated[
    Path | None, typer.Option("--adapters", callback=_home, help="A folder with more adapters.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", callback=_home, help="A folder that holds MNIST's four files.")
]
EnvOption = Annotated[
    str, typer.Option("--env", help="locked: one environment per adapter; current: the interpreter at hand.")
]
OnlyOption = Annotated[str, typer.Option(help='For example "adapter=NAME,NAME task=csnn variant=step".')]
DeviceOption = Annotated[str, typer.Option(help="cpu or cuda.")]
PrecisionOption = Annotated[str, typer.Option(help="float32, amp or float64.")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads; else every core that may be used.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Start a new run, whatever there is.")]
RunArgument = Annotated[str | None, typer.Argument(help="A run's name or folder; else the latest.")]

console = Console(emoji=False)


def say(line: str) -> None:
    """One plain line to the person at the terminal."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def run(
    profile: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "quick",
    only: OnlyOption = "",
    device: DeviceOption = "cpu",
    precision: PrecisionOption = "float32",
    threads: ThreadsOption = None,
    tf32: Annotated[bool, typer.Option(help="TF32 in matrix products and convolutions.")] = False,
    cudnn_benchmark: Annotated[bool, typer.Option(help="Let cuDNN try its algorithms.")] = False,
    deterministic: Annotated[bool, typer.Option(help="Deterministic algorithms only.")] = False,
    env: EnvOption = "locked",
    adapters: AdaptersOption = None,
    data: DataOption = None,
    fresh: FreshOption = False,
) -> None:
    """Run a profile, or go on with the same run where it was interrupted."""
    from bench.profile import load

    profile_name, values = load(profile)
    found = adapter_files.discover(adapters)
    selection = plan.parse_only(only)
    machine = machines.describe()
    settings = _settings(machine, device, precision, threads, env) | {
        "tf32": tf32,
        "cudnn_benchmark": cudnn_benchmark,
        "deterministic": deterministic,
    }
    cells = _plan(values, found, selection, settings, machine)
    manifest = _manifest(profile_name, values, settings, machine, cells)
    folder, records, word = _run(manifest, found, data, fresh)
    _bring_up_to_date(folder)
    counts = session.summary_statuses([r for r in records if r.cell.kind != "certify"])
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    say(f"Run {folder.name} is {word}: {said}.")
    say(f"Report: {os.path.relpath(folder / 'report' / 'index.html')}")
    raise typer.Exit(0 if all(r.status in ("ok", "skipped") for r in records) else 1)


@app.command()
def parity(
    only: OnlyOption = "",
    device: DeviceOption = "cpu",
    precision: PrecisionOption = "float32",
    env: EnvOption = "locked",
    adapters: AdaptersOption = None,
    fresh: FreshOption = False,
) -> None:
    """Certify every variant of every adapter on every task, NEF tasks in three sizes, and time nothing.

    Exit code 1 if a certificate fails that adapter.toml does not declare as a deviation.
    """
    from bench.parity import table, undeclared_failures
    from bench.profile import Profile
    from tasks import nef
    from tasks.registry import TASKS

    found = adapter_files.discover(adapters)
    selection = plan.parse_only(only)
    selection = replace(selection, variants=selection.variants or ("all",))
    values = Profile(
        about="certificates alone",
        tasks=list(TASKS),
        seeds=[0],
        timeout_minutes=1,
        task={name: {"sweep": [50, 200, 500]} for name in nef.TASKS},
    )
    machine = machines.describe()
    settings = _settings(machine, device, precision, 1, env)
    settings |= {"tf32": False, "cudnn_benchmark": False, "deterministic": False}
    cells = _plan(values, found, selection, settings, machine)
    cells = [cell for cell in cells if cell.kind == "certify"]
    if not cells:
        raise UserError("nothing to certify: the open division has no certificates; choose other variants")
    manifest = _manifest("parity", values, settings, machine, cells)
    folder, records, word = _run(manifest, found, None, fresh)
    _bring_up_to_date(folder)
    # a file or a pipe has no width of its own
    wide = console if console.is_terminal else Console(width=140)
    wide.print(table(records))
    failures = undeclared_failures(records, found)
    for record in failures:
        say(f"{record.cell.cell}: {record.status}: {record.reason}")
    say(f"Run {folder.name} is {word}: {len(failures)} certificates failed that are not declared.")
    say(f"Every comparison: {os.path.relpath(folder / 'parity.csv')}")
    raise typer.Exit(1 if failures else 0)


def _settings(
    machine: dict[str, Any], device: str, precision: str, threads: int | None, env: str
) -> dict[str, Any]:
    if threads is not None and threads < 1:
        raise UserError(f"--threads must be at least 1, got {threads}")
    settings = {
        "device": _choice("device", device, ("cpu", "cuda")),
        "precision": _choice("precision", precision, ("float32", "amp", "float64")),
        "threads": threads or int(machine["cores"]),
        "environment": _choice("env", env, ("locked", "current")),
    }
    if env == "current":
        from bench.environments import identify, interpreter_at_hand

        # another interpreter is another run
        settings["interpreter"] = identify(interpreter_at_hand())
    if device == "cuda" and "gpu" not in machine:
        raise UserError("--device cuda: the driver shows no NVIDIA GPU on this machine; use --device cpu")
    return settings


def _plan(
    values: Profile,
    found: dict[str, Adapter],
    selection: plan.Selection,
    settings: dict[str, Any],
    machine: dict[str, Any],
) -> list[Cell]:
    return plan.make_cells(
        values,
        found,
        selection,
        settings=settings,
        machine=machines.identity(machine),
        unavailable=_unavailable(found, settings.get("interpreter")),
    )


def _unavailable(found: dict[str, Adapter], interpreter: str | None) -> dict[str, str]:
    """Adapters that cannot run, and why: in the interpreter at hand, or in environments of their own."""
    from bench.environments import unavailable, unavailable_at_hand

    if interpreter is not None:
        reasons = {name: unavailable_at_hand(adapter, interpreter) for name, adapter in found.items()}
    else:
        reasons = {name: unavailable(adapter) for name, adapter in found.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def _manifest(
    name: str, values: Profile, settings: dict[str, Any], machine: dict[str, Any], cells: list[Cell]
) -> Manifest:
    return Manifest(
        run=session.name_now(name, session.RUNS),
        digest=plan.plan_digest(cells),
        profile=name,
        profile_values=values.model_dump(),
        settings=settings,
        machine=machine,
        git=session.git_state(),
        order_seed=plan.order_seed(cells),
        cells=cells,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _run(
    manifest: Manifest, found: dict[str, Adapter], data: Path | None, fresh: bool
) -> tuple[Path, list[Record], str]:
    """Run the plan, or what an earlier run of it left; its folder, all records and how to call its state."""
    cells = manifest.cells
    with session.alone(session.RUNS):
        folder = None if fresh else session.find(session.RUNS, manifest.digest)
        if folder is not None and session.is_finished(folder):
            session.point_latest(folder)
            return folder, load_records(folder), "complete already (FRESH=1 starts a new one)"
        used = {name: found[name] for name in dict.fromkeys(c.adapter for c in cells if not c.skip)}
        pythons = _interpreters(used, manifest.settings["environment"], manifest.settings["device"])
        # certificates bring their own images, NEF tasks need none
        needed = any(c.kind == "classify" and not c.skip for c in cells)
        images = _images(used, pythons, data) if needed else None
        if folder is None:
            folder = session.create(session.RUNS, manifest)
        else:
            session.point_latest(folder)
            done = len(load_records(folder))
            say(f"Going on with run {folder.name}: {done} of {len(cells)} cells are done.")
        try:
            records = session.go(
                folder,
                adapters=found,
                pythons=pythons,
                data=images,
                progress=lambda cells, done: Progress(console, cells, done),
            )
        except KeyboardInterrupt:
            done = len(load_records(folder))
            again = "the same command without FRESH=1 (--fresh)" if fresh else "the same command"
            say(f"Interrupted: {done} of {len(cells)} cells are kept; {again} goes on from there.")
            raise typer.Exit(130) from None
        return folder, records, "complete"


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise unknown(name, value, choices)
    return value


def _interpreters(used: dict[str, Adapter], env: str, device: str) -> dict[str, Path]:
    """The Python executable of each adapter."""
    from bench.environments import interpreter_at_hand, prepare

    if env == "current":
        return dict.fromkeys(used, interpreter_at_hand())
    return {name: prepare(a, device=device, root=PROJECT, say=say) for name, a in used.items()}


def _images(used: dict[str, Adapter], pythons: dict[str, Path], data: Path | None) -> Path:
    """The folder with MNIST."""
    from bench.data import ensure_mnist

    # any folder that adapters share may bring a program that downloads MNIST
    fetchers = [
        (pythons[name], f"adapters.{shared}.fetch_mnist")
        for name, adapter in used.items()
        for shared in adapter.uses
        if (adapter_files.SHIPPED / shared / "fetch_mnist.py").exists()
    ]
    return ensure_mnist(given=data, fetchers=fetchers, say=say)


def _report(folder: Path) -> None:
    from bench.report import write_report

    write_tables(folder)
    write_report(folder)


def _bring_up_to_date(folder: Path) -> None:
    """Write tables and report of a run unless they are newer than its newest record."""
    page = folder / "report" / "index.html"
    newest = max((path.stat().st_mtime for path in (folder / "cells").glob("*.json")), default=0)
    if not page.exists() or page.stat().st_mtime < newest:
        _report(folder)


@app.command()
def setup(env: EnvOption = "locked", adapters: AdaptersOption = None, data: DataOption = None) -> None:
    """Prepare every adapter's environment and fetch MNIST, without running anything."""
    from bench.environments import identify, interpreter_at_hand

    found = adapter_files.discover(adapters)
    env = _choice("env", env, ("locked", "current"))
    interpreter = identify(interpreter_at_hand()) if env == "current" else None
    for name, reason in _unavailable(found, interpreter).items():
        say(f"Left out: {reason}")
        del found[name]
    pythons = _interpreters(found, env, "cpu")
    images = _images(found, pythons, data)
    say(f"Ready: {', '.join(pythons)}; MNIST in {images}")


@app.command()
def report(run: RunArgument = None) -> None:
    """Write a run's tables and report again, from its records alone."""
    folder = session.resolve(session.RUNS, run)
    _report(folder)
    say(f"Report: {os.path.relpath(folder / 'report' / 'index.html')}")


@app.command()
def publish(run: RunArgument = None) -> None:
    """Copy a finished run to results/published/<machine>/<run>, to be committed."""
    folder = session.resolve(session.RUNS, run)
    _bring_up_to_date(folder)
    target = session.copy_to_published(folder, PUBLISHED)
    say(f"Published: {os.path.relpath(target)}")


@app.command("new-adapter")
def new_adapter(name: Annotated[str, typer.Argument()] = "", adapters: AdaptersOption = None) -> None:
    """Write the folder of a new adapter and say what is left to do."""
    from bench.scaffold import write_adapter

    folder = write_adapter(name, adapters)
    where = f" ADAPTERS={os.path.relpath(folder.parent)}" if adapters else ""
    say(f"Written: {os.path.relpath(folder)}. Next, with docs/adding-an-adapter.md beside you:")
    say(f"  1. requirements.in: is {name} the package's name? Then: make lock NAME={name}{where}")
    say(f"  2. adapter.py: put {name}'s neuron into Cell; adapter.toml: say what it is")
    say(f"  3. make conform ADAPTER={name}{where}")
    say(f'  4. make bench PROFILE=smoke ONLY="adapter={name}"{where}')


@app.command("list")
def list_(adapters: AdaptersOption = None) -> None:
    """Adapters with their variants, tasks and profiles."""
    from bench.profile import FOLDER
    from tasks.registry import TASKS

    for adapter in adapter_files.discover(adapters).values():
        say(f"adapter  {adapter.name}: {adapter.about}")
        for kind in [kind for kinds in adapter_files.KINDS.values() for kind in kinds]:
            for variant, about in adapter.variants(kind).items():
                say(f"  {kind:9}  {variant}: {about}")
    for name, task in TASKS.items():
        say(f"task     {name}: {task().network}")
    for path in sorted(FOLDER.glob("*.toml")):
        say(f"profile  {path.stem}")


def main() -> None:
    """Entry point: user errors are one line and exit code 2."""
    # a run that is told to end keeps its finished cells and ends its children, as on Ctrl-C
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except UserError as error:
        _fail(str(error))
    except OSError as error:
        what = f"{error.filename or 'a file'} cannot be used ({error.strerror or error})"
        _fail(f"{what}: mend that and run again")
    except ValidationError as error:
        _fail(f"a record or manifest is damaged ({first_problem(error)}): FRESH=1 (--fresh) starts a new run")
    except TyperException as error:
        _fail(f"{error.format_message()} (see spikebench --help)")
    except (KeyboardInterrupt, typer.Abort):
        say("Interrupted; the same command goes on where it stopped.")
        sys.exit(130)
    sys.exit(code or 0)


def _fail(line: str) -> NoReturn:
    print(f"spikebench: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(2)
