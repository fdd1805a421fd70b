"""From a run folder to the files under ``report/``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from bench.measure.peaks import Peaks
from bench.records import Cell, Manifest, load_manifest, load_records, write_atomically
from bench.report import sentences, sweeps, tables
from bench.report.glossary import STATUSES, glossary
from bench.report.pages import Page, network_of, page_of
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


def write_report(folder: Path) -> Path:
    """Write ``report/report.md``, ``report/index.html`` and the plots of a run folder.

    The same records give the same bytes.  A run may be unfinished and its cells may have failed.

    Returns:
        The path of ``index.html``, which needs no other file.

    Raises:
        FileNotFoundError: the folder is no run.
    """
    manifest, records = load_manifest(folder), load_records(folder)
    found = sections(manifest, records)
    pages = {section.cell.family: page_of(section.cell.family) for section in found}
    # only now: page_of has settled how matplotlib is imported
    from bench.report.drawing import styles

    look = styles([cell for cell in manifest.cells if cell.stage == "run"])
    peaks = Peaks(**manifest.peaks) if manifest.peaks else None
    shown = [_task(section, pages[section.cell.family], look, peaks) for section in found]
    swept = [_swept(sweep, look) for sweep in sweeps.sweeps(manifest, found, pages)]
    content: dict[str, object] = {
        "manifest": manifest,
        "facts": _facts(manifest),
        "answers": [
            ("Same work?", sentences.same_work(manifest, records, pages)),
            ("How sure?", sentences.how_sure(found)),
        ],
        "progress": sentences.progress(manifest, records),
        "sweeps": [each for each in swept if each.table.groups],
        "tasks": shown,
        "certificates": tables.certificates(manifest, records),
        "asked": tables.tasks(found),
        "values": [
            tables.pairs(manifest.profile_values, "profile value"),
            tables.pairs(manifest.settings, "setting"),
            tables.pairs(
                {"machine": manifest.machine, "git": manifest.git, "order_seed": manifest.order_seed},
                "provenance",
            ),
        ],
        "read_back": tables.settings_read_back(records),
        "versions": tables.versions(records),
        "glossary": glossary(pages.values(), (name for record in records for name in record.figures)),
        "statuses": STATUSES,
    }
    target = folder / "report"
    target.mkdir(exist_ok=True)
    for old in (*target.glob("*.svg"), *target.glob("*.png")):  # of an earlier report
        old.unlink()
    plots = [plot for part in swept for plot in part.plots] + [plot for task in shown for plot in task.plots]
    for plot in plots:
        write_atomically(target / f"{plot.name}.svg", plot.svg)
    made = templates()
    write_atomically(target / "report.md", made.get_template("report.md.j2").render(content))
    page = target / "index.html"
    write_atomically(page, made.get_template("index.html.j2").render(content))
    return page


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
    return environment


def _inline(plot: Plot) -> Markup:
    """The plot as an element of the page, in the colours of the page's light or dark theme."""
    from bench.report.drawing import INK, PAPER

    svg = plot.svg[plot.svg.index("<svg") :]
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    # groups are never referred to, and the same names would recur in every plot of the page
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return Markup(svg.replace(INK, "currentColor").replace(PAPER, "var(--paper)"))


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    """What the reader must know before the first figure."""
    machine, git = manifest.machine, manifest.git
    timed = [cell for cell in manifest.cells if cell.stage == "run"]
    gpu = machine.get("gpu")
    parts = [machine.get("name"), machine.get("cpu"), gpu.get("name") if isinstance(gpu, dict) else gpu]
    if cores := machine.get("cores"):
        parts.append(f"{cores} cores")
    if memory := machine.get("memory_bytes"):
        parts.append(f"{memory / 1e9:.1f} GB memory")
    if known := manifest.peaks:
        parts.append(f"copies {known['bytes_per_second'] / 1e9:.3g} GB/s")
        parts.append(f"multiplies {known['operations_per_second'] / 1e9:.3g} GFLOP/s")
    commit = str(git.get("commit") or ABSENT) + (" with local changes" if git.get("dirty") else "")
    return [
        ("Profile", manifest.profile),
        ("Date", manifest.created),
        ("Device", ", ".join(sorted({cell.device for cell in manifest.cells})) or ABSENT),
        ("Machine", ", ".join(str(part) for part in parts if part) or ABSENT),
        ("Commit", commit),
        ("Seeds per cell", _seeds(timed)),
    ]


def _seeds(timed: Iterable[Cell]) -> str:
    groups: dict[tuple[str, str, str], set[int]] = {}
    for cell in timed:
        groups.setdefault((cell.task, cell.adapter, cell.variant), set()).add(cell.seed)
    counts = sorted({len(seeds) for seeds in groups.values()})
    if not counts:
        return ABSENT
    fewest = counts[0]
    word = "single run" if fewest == 1 else "indicative" if fewest < 5 else ""
    return " to ".join(map(str, dict.fromkeys((fewest, counts[-1])))) + (f" ({word})" if word else "")


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
