"""The tables of README.md, made from published runs so that no figure in it is typed by hand.

python -m bench.report.readme      rewrites the blocks between "results:" and "end of results"
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.adapters import PROJECT
from bench.records import load_manifest, load_records
from bench.report.ranking import Row, sections
from bench.report.text import ABSENT, megabytes, percent, significant, whole

README = PROJECT / "README.md"
_BLOCK = re.compile(r"(<!-- results: (?P<run>\S+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
_Columns = tuple[tuple[str, str, Callable[[float], str]], ...]
_COLUMNS: dict[str, _Columns] = {
    "classify": (
        ("test accuracy (%)", "test_accuracy", percent),
        ("s/epoch", "epoch_seconds", significant),
        ("images/s", "images_per_second", whole),
        ("host peak (MB)", "host_peak_bytes", megabytes),
    ),
    "nef": (
        ("RMSE", "rmse", significant),
        ("networks × s/s", "sim_speed", significant),
        ("build (s)", "build_seconds", significant),
        ("host peak (MB)", "host_peak_bytes", megabytes),
    ),
}


def table(folder: Path) -> str:
    """The rows of a published run that have figures, in Markdown, with device, date, settings and seeds."""
    manifest = load_manifest(folder)
    lines = []
    for section in sections(manifest, load_records(folder)):
        cell, columns = section.cell, _COLUMNS[section.cell.kind]
        if cell.kind == "nef":
            work = f"{cell.batch} networks, {cell.steps:,} steps"
        else:
            work = f"{cell.train_images:,} training images, T={cell.steps}, batch {cell.batch}, "
            work += f"{cell.epochs} epochs"
        lines += [
            f"**{section.title}**, {cell.network}: {work}; {cell.device}, {cell.precision}, "
            f"{manifest.machine['cpu']}, {manifest.settings['threads']} threads, {manifest.created[:10]}.",
            "",
            "| adapter | variant | " + " | ".join(title for title, _, _ in columns) + " | parity | seeds |",
            "| --- | --- |" + " ---: |" * len(columns) + " --- | ---: |",
            *(_line(row, columns) for row in section.rows if row.status == "ok"),
            "",
        ]
    return "\n".join(lines)


def _line(row: Row, columns: _Columns) -> str:
    figures = []
    for _, name, spell in columns:
        values = row.values(name)
        figures.append(spell(median(values)) if values else ABSENT)
    parity = "; ".join(filter(None, (row.parity, row.apart)))
    return f"| {row.adapter} | {row.variant} | {' | '.join(figures)} | {parity} | {row.seeds} |"


def renewed(text: str) -> str:
    """The README's text with every block made again from the run that it names."""
    return _BLOCK.sub(lambda found: f"{found[1]}{table(PROJECT / found['run'])}{found[3]}", text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
