"""From a run folder to the files under ``report/``."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from bench import catalogue
from bench.measure.peaks import Peaks
from bench.records import Cell, Manifest, Record, load_manifest, load_records, write_atomically
from bench.report import findings, overview, sentences, sweeps, tables
from bench.report.figures import FIGURES
from bench.report.glossary import STATUSES, glossary
from bench.report.links import Links
from bench.report.pages import Page, network_of, page_of, settle_matplotlib
from bench.report.sections import PENDING, Row, Section, sections
from bench.report.tables import Table
from bench.report.text import ABSENT, markdown

if TYPE_CHECKING:
    from bench.report.drawing import Styles
    from bench.report.plots import Plot


@dataclass(frozen=True, slots=True)
class _Task:
    """A section as the templates need it; ``tables`` stand below the comparison by their titles."""

    section: Section
    network: str
    work: str
    noise: str
    table: Table
    tables: list[tuple[str, Table]]
    plots: list[Plot]
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class _Swept:
    """A sweep as the templates need it."""

    sweep: sweeps.Sweep
    table: Table
    plots: list[Plot]
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class _Part:
    """Of the answer to a question what belongs to one task; ``anchor`` is where links lead."""

    title: str
    anchor: str
    said: list[str]
    plots: list[Plot]


@dataclass(frozen=True, slots=True)
class _Whole:
    """The figures of the whole run, each for a wide page and for a narrow one; of what is absent none."""

    speed: list[Plot]
    memory: list[Plot]
    work: list[Plot]


def write_report(folder: Path) -> Path:
    """Write ``report/report.md``, ``report/index.html`` and the plots of a run folder.

    The same records give the same bytes.  A run may be unfinished and its cells may have failed.

    Returns:
        The path of ``index.html``, which needs no other file.

    Raises:
        FileNotFoundError: the folder is no run.
    """
    manifest, records = load_manifest(folder), load_records(folder)
    found = overview.in_order(manifest, sections(manifest, records))
    pages = {section.cell.family: page_of(section.cell.family) for section in found}
    settle_matplotlib()  # before what draws is imported
    from bench.report.drawing import styles

    look = styles(manifest.cells)
    peaks = Peaks(**manifest.peaks) if manifest.peaks else None
    shown = [_task(section, pages[section.cell.family], look, peaks) for section in found]
    every = [_swept(sweep, look) for sweep in sweeps.sweeps(manifest, found, pages)]
    swept = [each for each in every if each.table.groups]
    target = folder / "report"
    links = Links(target, str(manifest.git.get("commit") or ""))
    adapters = catalogue.discover(None)
    first = overview.shown(found)
    whole = _whole(first, records, look)
    same_work = sentences.same_work(manifest, records, pages)
    content: dict[str, object] = {
        "manifest": manifest,
        "facts": _facts(manifest),
        "links": links.files(),
        "answers": [
            ("Fastest?", _leaders(first)),
            ("Same work?", same_work),
            ("How sure?", sentences.how_sure(found)),
        ],
        "notes": [
            ("Learned", findings.learned(first, pages)),
            ("Not run", findings.not_run(found)),
            ("Failed", findings.failed(found)),
            ("Not measured here", _elsewhere(manifest, pages, shown)),
        ],
        "progress": sentences.progress(manifest, records),
        "overview": overview.table(first, pages, adapters, links),
        "whole_run": whole,
        "more_sizes": len(found) - len(first),
        "memory": findings.memory(found),
        "peak": overview.peak(found),
        "same_work": same_work,
        "questions": {
            "speed": _speed(shown, swept),
            "learning": _parts("learning", shown, lambda section: _learned(section, pages)),
            "networks": _parts("networks", shown, lambda section: ""),
            "memory": _parts("memory", shown, lambda section: ""),
        },
        "timed": _timed(found, pages),
        "own_code": overview.own_code(found, adapters, links),
        "sweeps": swept,
        "tasks": shown,
        "certificates": tables.certificates(manifest, records),
        "asked": tables.tasks(found),
        "values": [
            tables.pairs(manifest.profile_values, "profile value"),
            tables.pairs(manifest.settings, "setting"),
            tables.pairs(_provenance(manifest), "provenance"),
        ],
        "read_back": tables.settings_read_back(records),
        "versions": tables.versions(records),
        "glossary": glossary(pages.values(), (name for record in records for name in record.figures)),
        "statuses": STATUSES,
    }
    target.mkdir(exist_ok=True)
    for old in (*target.glob("*.svg"), *target.glob("*.png")):  # of an earlier report
        old.unlink()
    plots = [plot for part in every for plot in part.plots] + [plot for task in shown for plot in task.plots]
    for plot in (*plots, *whole.speed, *whole.memory, *whole.work):
        write_atomically(target / f"{plot.name}.svg", plot.svg)
    made = templates()
    write_atomically(target / "report.md", made.get_template("report.md.j2").render(content))
    page = target / "index.html"
    write_atomically(page, made.get_template("index.html.j2").render(content))
    return page


def _whole(found: list[Section], records: list[Record], look: Styles) -> _Whole:
    from bench.report import deviations, multiples
    from bench.report.drawing import WIDTH
    from bench.report.plots import Plots, add

    certificates = [record for record in records if record.cell.stage == "certify"]
    made = _Whole([], [], [])
    for suffix, columns, width in (("", overview.MOST, 2 * WIDTH), ("-narrow", 2, 0.7 * WIDTH)):
        what = "time of every framework over that of the fastest"
        draw = partial(multiples.speed, found, look, columns, width)
        add(Plots(made.speed, [], []), f"all-speed{suffix}", what, what, "speed", draw)
        what = "peak memory of every framework"
        draw = partial(multiples.memory, found, look, columns, width)
        add(Plots(made.memory, [], []), f"all-memory{suffix}", what, what, "memory", draw)
        what = "the worst deviation of every adapter over what is allowed, check by check"
        draw = partial(deviations.draw, certificates, look, width)
        add(Plots(made.work, [], []), f"all-deviations{suffix}", what, what, "work", draw)
    return made


def _leaders(found: list[Section]) -> str:
    """Who is as fast as the fastest, task by task."""
    said = [f"{section.title}: {words}" for section in found if (words := findings.leaders(section))]
    return f"{'; '.join(said)}." if said else "No framework's time is compared in this run."


def _elsewhere(manifest: Manifest, pages: Mapping[str, Page], shown: list[_Task]) -> str:
    drawn = {plot.what for task in shown for plot in task.plots}
    return findings.elsewhere(manifest, pages.values(), drawn)


def _speed(shown: list[_Task], swept: list[_Swept]) -> list[_Part]:
    parts = [_Part(each.sweep.title, each.sweep.slug, each.remarks, each.plots) for each in swept]
    for task in shown:
        said = [findings.speed(task.section), task.noise]
        anchor = overview.anchor(task.section)
        parts.append(_Part(task.section.title, anchor, [s for s in said if s], _of("speed", task)))
    return parts


def _of(question: str, task: _Task) -> list[Plot]:
    return [plot for plot in task.plots if plot.question == question]


def _parts(question: str, shown: list[_Task], say: Callable[[Section], str]) -> list[_Part]:
    """A part for each task that has something to say or to show."""
    made = [
        _Part(
            task.section.title,
            f"{question}-{task.section.slug}",
            list(filter(None, [say(task.section)])),
            _of(question, task),
        )
        for task in shown
    ]
    return [part for part in made if part.said or part.plots]


def _learned(section: Section, pages: Mapping[str, Page]) -> str:
    said = pages[section.cell.family].learned(section)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def _timed(found: list[Section], pages: Mapping[str, Page]) -> list[tuple[str, str]]:
    """Of every figure that times are compared by, what it is."""
    figures = [FIGURES[name] for section in found if (name := pages[section.cell.family].pace)]
    return list(dict.fromkeys((figure.heading, figure.meaning) for figure in figures))


@cache  # to compile them takes a tenth of a second
def templates() -> Environment:
    """The report's templates, with what they call."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = markdown
    environment.filters["as_markdown"] = tables.as_markdown
    environment.filters["inline"] = _inline
    environment.filters["capitalize_first"] = lambda words: words[:1].upper() + words[1:]
    return environment


def _inline(plot: Plot) -> Markup:
    """The plot as an element of the page, in the colours of the page's light or dark theme."""
    from bench.report.drawing import INK, PAPER

    svg = plot.svg[plot.svg.index("<svg") :]
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    name = f'<svg role="graphics-document document" aria-label="{escape(plot.title)}"'
    svg = svg.replace("<svg", name, 1)
    # groups are never referred to; other names would recur in every plot of the page
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    names = dict.fromkeys(re.findall(r'\bid="([^"]*)"', svg))
    short = {name: f"{zlib.crc32(plot.name.encode()):x}-{place}" for place, name in enumerate(names)}
    svg = re.sub(r'(\bid="|#)(\w+)(?=["\)])', lambda found: found[1] + short.get(found[2], found[2]), svg)
    return Markup(svg.replace(INK, "currentColor").replace(PAPER, "var(--paper)"))


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    """What the reader must know before the first figure."""
    machine, git = manifest.machine, manifest.git
    timed = [cell for cell in manifest.cells if cell.stage == "run"]
    gpu = machine.get("gpu")
    parts = [machine.get("name"), machine.get("cpu"), gpu.get("name") if isinstance(gpu, dict) else gpu]
    if cores := machine.get("cores"):
        quota = machine.get("cpu_quota")
        parts.append(f"{cores} cores" + (f", by a quota the time of {quota:g}" if quota else ""))
    if memory := machine.get("memory_bytes"):
        parts.append(f"{memory / 1e9:.1f} GB memory")
    commit = str(git.get("commit") or ABSENT)[:12] + (" with local changes" if git.get("dirty") else "")
    if git.get("unknown"):
        commit += f" ({git['unknown']})"
    return [
        ("Profile", manifest.profile),
        ("Date", manifest.created[:16].replace("T", " ")),
        ("Device", ", ".join([*sorted({cell.device for cell in timed}), sentences.threads(timed, manifest)])),
        ("Machine", ", ".join(str(part) for part in parts if part) or ABSENT),
        ("Commit", commit),
        ("Seeds per cell", _seeds(timed)),
    ]


def _provenance(manifest: Manifest) -> dict[str, object]:
    """Where the figures come from."""
    known: dict[str, object] = {"machine": manifest.machine}
    if peaks := manifest.peaks:
        known["copies"] = f"{peaks['bytes_per_second'] / 1e9:.3g} GB/s"
        known["multiplies"] = f"{peaks['operations_per_second'] / 1e9:.3g} GFLOP/s"
    return known | {"git": manifest.git, "order_seed": manifest.order_seed}


def _seeds(timed: Iterable[Cell]) -> str:
    groups: dict[tuple[str, str, str], set[int]] = {}
    for cell in timed:
        groups.setdefault((cell.task, cell.adapter, cell.variant), set()).add(cell.seed)
    counts = sorted({len(seeds) for seeds in groups.values()})
    if not counts:
        return ABSENT
    ends = (counts[0], counts[-1])
    return f"{' to '.join(map(str, dict.fromkeys(ends)))}{sentences.sureness_of(ends)}"


def _task(section: Section, page: Page, look: Styles, peaks: Peaks | None) -> _Task:
    from bench.report.plots import plots

    drawn = plots(section, page.plots, look)
    remarks: list[str] = []
    if drawn.made and drawn.lacking:
        remarks.append(f"Not plotted, because no cell measured it: {'; '.join(drawn.lacking)}.")
    if drawn.broken:
        remarks.append(f"Could not be drawn: {'; '.join(drawn.broken)}.")
    if not drawn.made:
        remarks.append("There is no plot: no row of this task has figures to compare.")
    left_out = [
        f"{row.adapter} {row.variant} ({_why_left_out(row)})"
        for row in section.rows
        if not row.comparable and row.status != PENDING
    ]
    if left_out:
        remarks.append(f"Not in the plots: {', '.join(left_out)}.")
    return _Task(
        section=section,
        network=network_of(section.cell),
        work=page.work(section.cell),
        noise=sentences.control(section),
        table=tables.comparison(section, page),
        tables=[(title, made) for title, make in page.tables if (made := make(section, peaks)).groups],
        plots=drawn.made,
        remarks=remarks,
    )


def _swept(sweep: sweeps.Sweep, look: Styles) -> _Swept:
    from bench.report.plots import sweep_plots

    drawn = sweep_plots(sweep, look)
    remarks = sweeps.findings(sweep)
    if drawn.broken:
        remarks.append("The plot could not be drawn.")
    return _Swept(sweep=sweep, table=sweeps.table(sweep), plots=drawn.made, remarks=remarks)


def _why_left_out(row: Row) -> str:
    if row.apart:
        return row.apart
    return row.status if row.status != "ok" else "parity wrong"
