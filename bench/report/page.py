"""From a run folder to the files under ``report/``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from bench.records import Cell, Manifest, Record, load_manifest, load_records, write_atomically
from bench.report import tables
from bench.report.drawing import INK, PAPER, Styles, styles
from bench.report.glossary import GLOSSARY, STATUSES
from bench.report.plots import Plot, plots
from bench.report.ranking import PENDING, Row, Section, sections
from bench.report.tables import Table
from bench.report.text import ABSENT, markdown

QUIET = 0.05  # the largest share of the CPU that others may use without a warning


@dataclass(frozen=True, slots=True)
class _Task:
    """A section as the templates need it."""

    section: Section
    table: Table
    stimuli: Table | None
    warning: str
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
    look = styles([cell for cell in manifest.cells if cell.kind != "certify"])
    found = sections(manifest, records)
    shown = [_task(section, look) for section in found]
    content: dict[str, object] = {
        "manifest": manifest,
        "facts": _facts(manifest),
        "progress": _progress(manifest, records),
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
        "glossary": GLOSSARY,
        "statuses": STATUSES,
    }
    target = folder / "report"
    target.mkdir(exist_ok=True)
    for task in shown:
        for plot in task.plots:
            write_atomically(target / f"{plot.name}.svg", plot.svg)
            (target / f"{plot.name}.png").write_bytes(plot.png)
    templates = _templates()
    write_atomically(target / "report.md", templates.get_template("report.md.j2").render(content))
    page = target / "index.html"
    write_atomically(page, templates.get_template("index.html.j2").render(content))
    return page


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = markdown
    environment.filters["inline"] = _inline
    return environment


def _inline(plot: Plot) -> Markup:
    """The plot as an element of the page, in the colours of the page's light or dark theme."""
    svg = plot.svg[plot.svg.index("<svg") :]
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    # groups are never referred to, and the same names would recur in every plot of the page
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return Markup(svg.replace(INK, "currentColor").replace(PAPER, "var(--paper)"))


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    """What the reader must know before the first figure."""
    machine, git = manifest.machine, manifest.git
    timed = [cell for cell in manifest.cells if cell.kind != "certify"]
    gpu = machine.get("gpu")
    parts = [machine.get("name"), machine.get("cpu"), gpu.get("name") if isinstance(gpu, dict) else gpu]
    if cores := machine.get("cores"):
        parts.append(f"{cores} cores")
    if memory := machine.get("memory_bytes"):
        parts.append(f"{memory / 1e9:.1f} GB memory")
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


def _progress(manifest: Manifest, records: Sequence[Record]) -> str:
    total = len(manifest.cells)
    endings = Counter(record.status for record in records)
    counted = ", ".join(f"{count} {status}" for status, count in endings.most_common())
    state = (
        f"All {total} cells are finished"
        if len(records) == total
        else (f"Partial run: {len(records)} of {total} cells are finished")
    )
    return f"{state} ({counted})." if counted else f"{state}."


def _task(section: Section, look: Styles) -> _Task:
    made, lacking = plots(section, look)
    remarks: list[str] = []
    if made and lacking:
        remarks.append(f"Not plotted, because no cell measured it: {'; '.join(lacking)}.")
    left_out = [
        f"{row.adapter} {row.variant} ({_why_left_out(row)})"
        for row in section.rows
        if not row.comparable and row.status != PENDING
    ]
    if not made:
        remarks.append("There is no plot: no row of this task has figures to compare.")
    if left_out:
        remarks.append(f"Not in the plots: {', '.join(left_out)}.")
    return _Task(
        section=section,
        table=tables.comparison(section),
        stimuli=tables.stimuli(section) if section.cell.kind == "nef" else None,
        warning=_warning(section),
        plots=made,
        remarks=remarks,
    )


def _why_left_out(row: Row) -> str:
    if row.apart:
        return row.apart
    return row.status if row.status != "ok" else "parity wrong"


def _warning(section: Section) -> str:
    """Which rows were measured on a busy machine; empty if none was."""
    busy = []
    for row in section.rows:
        metrics = (metric for record in row.records for metric in record.metrics)
        share = max((m.value for m in metrics if m.metric == "foreign_cpu_share"), default=0)
        if share > QUIET:
            busy.append(f"{row.adapter} {row.variant} ({share:.0%})")
    if not busy:
        return ""
    return f"Measured while other processes used the CPU, so that the times are too long: {', '.join(busy)}."
