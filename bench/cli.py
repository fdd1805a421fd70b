"""The command ``spikebench``; what every subcommand does stands in the module it calls."""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from typer.exceptions import TyperException

from bench import catalogue, plan, runs
from bench.clean import printable
from bench.errors import UserError, first_problem
from bench.progress import phase
from bench.records import load_manifest
from bench.surroundings import named

if TYPE_CHECKING:
    from bench.profile import Profile
    from bench.run import Asked, Done

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
export = typer.Typer(help="Write a run's curves for another program.")
app.add_typer(export, name="export")


def _home(path: Path | None) -> Path | None:
    # make quotes what it hands on, so that no shell expands it; workers run in another folder
    return path and named(path)


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


AdaptersOption = Annotated[
    Path | None, typer.Option("--adapters", callback=_home, help="A folder with more adapters.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", callback=_home, help="A folder that holds MNIST's four files.")
]
ResultsOption = Annotated[
    Path, typer.Option("--results", callback=_home, help="Where runs, certificates and published runs lie.")
]
EnvOption = Annotated[
    str, typer.Option("--env", help="locked: one environment per adapter; current: the interpreter at hand.")
]
OnlyOption = Annotated[
    list[str], typer.Option(help='For example "adapter=NAME,NAME task=csnn variant=step".')
]
DeviceOption = Annotated[str, typer.Option(help="cpu or cuda.")]
PrecisionOption = Annotated[str, typer.Option(help="float32, amp or float64.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="CPU threads at most; else every core there is. A profile may use fewer, as quick does."
    ),
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Start a new run, whatever there is.")]
RunArgument = Annotated[str | None, typer.Argument(help="A run's name or folder; else the latest.")]

console = _Console(emoji=False)


def say(line: str) -> None:
    """One plain line to the person at the terminal."""
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


@app.command()
def run(
    profile: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "quick",
    only: OnlyOption = [],  # noqa: B006
    device: DeviceOption = "cpu",
    precision: PrecisionOption = "float32",
    threads: ThreadsOption = None,
    tf32: Annotated[bool, typer.Option(help="TF32 in matrix products and convolutions.")] = False,
    cudnn_benchmark: Annotated[bool, typer.Option(help="Let cuDNN try its algorithms.")] = False,
    deterministic: Annotated[bool, typer.Option(help="Deterministic algorithms only.")] = False,
    env: EnvOption = "locked",
    adapters: AdaptersOption = None,
    data: DataOption = None,
    results: ResultsOption = runs.RESULTS,
    fresh: FreshOption = False,
    retry: Annotated[bool, typer.Option("--retry", help="Run again what failed, and nothing else.")] = False,
) -> None:
    """Run a profile, or go on with the same run where it was interrupted."""
    from bench.profile import load
    from bench.run import Asked

    name, values = load(profile)
    asked = Asked(
        device=device,
        precision=precision,
        threads=threads,
        tf32=tf32,
        cudnn_benchmark=cudnn_benchmark,
        deterministic=deterministic,
        env=env,
        adapters=adapters,
        data=data,
        results=results,
        fresh=fresh,
        retry=retry,
    )
    done = _run(name, values, only, asked)
    for line in _conclusion(done):
        say(line)
    raise typer.Exit(0 if all(r.status in ("ok", "skipped") for r in done.records) else 1)


@app.command()
def parity(
    only: OnlyOption = [],  # noqa: B006
    device: DeviceOption = "cpu",
    precision: PrecisionOption = "float32",
    env: EnvOption = "locked",
    adapters: AdaptersOption = None,
    results: ResultsOption = runs.RESULTS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make every certificate anew.")] = False,
) -> None:
    """Certify every variant of every adapter on every task, as the profile parity says, and time nothing.

    Exit code 1 if a certificate fails that adapter.toml does not declare as a deviation.
    """
    from bench.parity import table, undeclared_failures
    from bench.profile import load
    from bench.run import Asked

    name, values = load("parity")
    asked = Asked(
        device=device,
        precision=precision,
        env=env,
        adapters=adapters,
        results=results,
        fresh=fresh,
        anew=fresh,
    )
    done = _run(name, values, only, asked)
    # a file or a pipe has no width of its own
    wide = console if console.is_terminal else _Console(width=140)
    wide.print(table(done.records))
    asked_for = {record.cell.adapter for record in done.records}
    failures = undeclared_failures(done.records, catalogue.discover(adapters, asked_for))
    for record in failures:
        say(f"{record.cell.cell}: {record.status}: {record.reason}")
    say(f"{len(failures)} certificates failed that are not declared.")
    say(f"Every comparison: {os.path.relpath(done.folder / 'parity.csv')}")
    raise typer.Exit(1 if failures else 0)


def _run(name: str, values: Profile, only: list[str], asked: Asked) -> Done:
    """Run the plan and bring its report up to date; Ctrl-C says how to go on."""
    from bench.report.sentences import progress
    from bench.run import run

    try:
        done = run(name, values, plan.parse_only(" ".join(only)), asked, console)
    except KeyboardInterrupt:
        again = "the same command without FRESH=1 (--fresh)" if asked.fresh else "the same command"
        say(f"Interrupted: what is finished is kept; {again} goes on from there.")
        raise typer.Exit(130) from None
    counted = progress(load_manifest(done.folder), done.records)
    say(phase("report", f"run {done.folder.name} is {done.word}. {counted}"))
    _report(done.folder)
    if any(record.status in ("error", "crashed", "timeout") for record in done.records):
        say(f"What a failed cell has printed: {os.path.relpath(done.folder / 'logs')}, a file each")
    return done


def _conclusion(done: Done) -> tuple[str, str, str]:
    """The answer, the noise, and where the report is."""
    from bench.report.conclusion import fastest
    from bench.report.sections import sections
    from bench.report.sentences import noise

    found = sections(load_manifest(done.folder), done.records)
    return (
        f"Answer: {fastest(found)}",
        f"Noise:  {noise(found)}",
        f"Report: {os.path.relpath(done.folder / 'report' / 'index.html')}",
    )


def _report(folder: Path) -> None:
    from bench.report.files import write_tables
    from bench.report.page import write_report

    write_tables(folder)
    write_report(folder)


@app.command()
def setup(env: EnvOption = "locked", adapters: AdaptersOption = None, data: DataOption = None) -> None:
    """Prepare every adapter's environment and fetch the data sets, without running anything."""
    from bench.run import Asked
    from bench.run import setup as set_up

    set_up(Asked(env=env, adapters=adapters, data=data), say)


@app.command()
def report(
    run: RunArgument = None,
    form: Annotated[str, typer.Option("--format", help="md, csv or latex: print tables instead.")] = "",
    results: ResultsOption = runs.RESULTS,
) -> None:
    """Write a run's tables and report again, from its records alone; or print the comparison."""
    folder = runs.resolve(results / "runs", run)
    if form:
        from bench.report.formats import printed

        print(printed(folder, form), end="")
        return
    _report(folder)
    say(f"Report: {os.path.relpath(folder / 'report' / 'index.html')}")


@app.command()
def compare(
    one: Annotated[str, typer.Argument(help="ADAPTER, or ADAPTER/VARIANT.")],
    other: Annotated[str, typer.Argument(help="What it is compared with.")],
    run: RunArgument = None,
    results: ResultsOption = runs.RESULTS,
) -> None:
    """Say in a sentence a task whether one framework is faster than another, and how sure that is."""
    from bench.report.compare import compare as sentences

    for line in sentences(runs.resolve(results / "runs", run), one, other):
        say(line)


@app.command()
def publish(
    run: RunArgument = None,
    plots: Annotated[str, typer.Option(help="Plots to keep, NAME,NAME: the SVG files of the report.")] = "",
    results: ResultsOption = runs.RESULTS,
) -> None:
    """Copy a finished run to published/<machine>/<run> in the results folder, to be committed."""
    folder = runs.resolve(results / "runs", run)
    target = runs.place_of(folder, results / "published")  # what is refused waits for no report
    _report(folder)
    runs.publish(folder, target, [name for name in plots.split(",") if name])
    say(f"Published: {os.path.relpath(target)}")


@export.command()
def tensorboard(run: RunArgument = None, results: ResultsOption = runs.RESULTS) -> None:
    """Curves of loss and accuracy as TensorBoard's event files, in the run's folder."""
    from bench.export import tensorboard as write

    folder = write(runs.resolve(results / "runs", run))
    say(f"Written: {os.path.relpath(folder)}. To see it: tensorboard --logdir {os.path.relpath(folder)}")


@app.command()
def claims(results: ResultsOption = runs.RESULTS) -> None:
    """Hold published figures against ours; writes claims.html and claims.md into the results folder."""
    from bench import claims as data
    from bench.report import claims as page

    judged = data.judge(results)
    for each in judged:
        say(page.sentence(each))
    say(page.summary(judged))
    html, _ = page.write(results, judged)
    say(f"Page: {os.path.relpath(html)}")


@app.command()
def doctor() -> None:
    """Say what this machine has and lacks for a run, and how to get it; exit code 2 if none can succeed."""
    from bench.doctor import examine

    missing = False
    for finding in examine(catalogue.PROJECT):
        missing = missing or finding.state == "missing"
        say(f"{finding.state:8} {finding.what:13} {finding.says}")
    raise typer.Exit(2 if missing else 0)


@app.command("new-adapter")
def new_adapter(
    name: Annotated[str, typer.Argument()] = "",
    kind: Annotated[
        str, typer.Option(help="cells, to bring neurons alone; or plain, for all in NumPy.")
    ] = "cells",
    adapters: AdaptersOption = None,
) -> None:
    """Write the folder of a new adapter and say what is left to do."""
    from bench.scaffold import write_adapter

    folder = write_adapter(name, adapters, kind)
    where = f" ADAPTERS={shlex.quote(str(folder.parent))}" if adapters else ""
    say(f"Written: {os.path.relpath(folder)}. Next, with docs/adding-an-adapter.md beside you:")
    say(f"  1. requirements.in: is {name} the package's name? Then: make lock NAME={name}{where}")
    what = (
        f"put {name}'s neuron into Cell" if kind == "cells" else f"let {name} compute what NumPy does there"
    )
    say(f"  2. adapter.py: {what}; adapter.toml: say what it is")
    say(f"  3. make conform ADAPTER={name}{where}")
    say(f'  4. make bench PROFILE=smoke ONLY="adapter={name}"{where}')


@app.command("list")
def list_(adapters: AdaptersOption = None) -> None:
    """Adapters with their variants, tasks and profiles."""
    from bench.profile import FOLDER, load
    from tasks.families import families

    for adapter in catalogue.discover(adapters).values():
        say(f"adapter  {adapter.name}: {adapter.about}")
        for table in adapter.tables:
            for variant, about in adapter.variants(table).items():
                say(f"  {table:9}  {variant}: {about}")
    for family in families().values():
        for name, task in family.tasks.items():
            say(f"task     {name}: {task().network}")
    for path in sorted(FOLDER.glob("*.toml")):
        say(f"profile  {path.stem}: {load(str(path))[1].about}")


def main() -> None:
    """Entry point: user errors are one line and exit code 2."""
    # a run that is told to end keeps its finished cells and ends its children, as on Ctrl-C
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal has no letters for is no reason to end
            stream.reconfigure(errors="replace")
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except UserError as error:
        _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be written there goes nowhere
        _fail("what read the output has gone: what is finished is kept, the same command goes on from there")
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
    # spaces in a path are meant
    print(f"spikebench: {' '.join(part.strip() for part in printable(line).splitlines())}", file=sys.stderr)
    sys.exit(2)
