"""The result tables of README.md and results/README.md, from published runs: no figure is typed by hand.

python -m scripts.readme      rewrites the blocks between "results:" and "end of results"
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.records import load_manifest, load_records
from bench.report.formats import described
from bench.report.pages import page_of
from bench.report.sections import sections
from bench.report.tables import as_markdown, brief
from bench.report.versus import versus
from scripts import compare_commit

PROJECT = Path(__file__).resolve().parent.parent
TEXTS = tuple(path for path in (PROJECT / "README.md", PROJECT / "results" / "README.md") if path.exists())
_BLOCK = re.compile(r"(<!-- results: (?P<run>\S+) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def tables(folder: Path) -> str:
    """The rows of a published run that have figures, in Markdown, with what was run, where and when."""
    manifest = load_manifest(folder)
    lines = []
    for section in sections(manifest, load_records(folder)):
        page = page_of(section.cell.family)
        shown = brief(section, page)
        if not shown.groups:
            continue
        lines += [
            f"**{section.title}**, {described(section, page, manifest)}",
            "",
            as_markdown(shown),
            "",
        ]
        if (beside := versus(section, None)).groups:
            lines += [as_markdown(beside), ""]
    return "\n".join(lines)


def renewed(text: str) -> str:
    """The text with every block made again from what it names: a run, or a record of compare_commit."""
    return _BLOCK.sub(lambda found: f"{found[1]}{_made(PROJECT / found['run'])}{found[3]}", text)


def _made(source: Path) -> str:
    return compare_commit.table(source) if source.suffix == ".json" else tables(source)


if __name__ == "__main__":
    for path in TEXTS:
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
