"""The blocks of README.md and results/README.md that are made from published runs, no figure by hand.

python -m scripts.readme      (make readme) rewrites what stands between "answer:" or "results:" and its end

A block names a published run; of several that its * stands for, the newest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bench.records import Manifest, Record, load_manifest, load_records
from bench.report import overview, sentences
from bench.report.conclusion import fastest
from bench.report.formats import described
from bench.report.links import Links
from bench.report.pages import Page, page_of
from bench.report.sections import Section, sections
from bench.report.tables import Entry, Group, Table, as_markdown, brief
from bench.report.versus import versus
from scripts import compare_commit

PROJECT = Path(__file__).resolve().parent.parent
TEXTS = tuple(path for path in (PROJECT / "README.md", PROJECT / "results" / "README.md") if path.exists())
# The one picture of the README, a plot that was published with the run, and what it shows.
PICTURE = "all-speed.svg", "Time over that of the fastest, a panel a task, with 95 % intervals"
_BLOCK = re.compile(
    r"(<!-- (?P<kind>answer|results): (?P<run>\S+) -->\n).*?(<!-- end of (?P=kind) -->)", re.DOTALL
)


def answer(folder: Path) -> str:
    """What a published run says in three sentences, a picture and a table."""
    manifest, records = load_manifest(folder), load_records(folder)
    found = overview.in_order(manifest, sections(manifest, records))
    pages = {section.cell.family: page_of(section.cell.family) for section in found}
    lines = [
        _what(manifest, records, found),
        "",
        f"- **Which is fastest?** {fastest(found)}",
        f"- **Is it the same work?** {sentences.same_work(manifest, records, pages)}",
        f"- **How sure is it?** {sentences.noise(found)}",
        "",
    ]
    name, shows = PICTURE
    if (folder / name).exists():
        lines += [f"![{shows}]({folder.relative_to(PROJECT)}/{name})", ""]
    return "\n".join([*lines, as_markdown(short(found, pages)), ""])


def short(found: Sequence[Section], pages: Mapping[str, Page]) -> Table:
    """The table of a whole run as the report has it, without intervals and links."""
    whole = overview.table(found, pages, {}, Links(Path(), ""))
    *rows, fastest = [entries[:-1] for group in whole.groups for entries in group.rows]
    plain = [[name, *(Entry(entry.text) for entry in entries)] for name, *entries in rows]
    return replace(whole, headings=whole.headings[:-1], groups=[Group([*plain, fastest])])


def _what(manifest: Manifest, records: list[Record], found: list[Section]) -> str:
    """Machine, date, and how much the figures rest on."""
    rounds = [row.ratio.rounds + row.ratio.left_out for s in found for row in s.rows if row.ratio]
    counts = [len({heat.key for heat in section.heats}) for section in found if section.heats]
    sure = sentences.sureness_of((min(counts), max(counts))) if counts else ""
    minutes = _seconds(manifest, records) / 60
    threads = sentences.threads((heat.cell for section in found for heat in section.heats), manifest)
    return (
        f"`make bench PROFILE={manifest.profile}` on {manifest.machine['cpu']}, "
        f"{manifest.settings['device']}, {threads}, {manifest.created[:10]}: "
        f"{_span(rounds)} rounds a task, {_span(counts)} {'seed' if set(counts) == {1} else 'seeds'}{sure}; "
        f"it took {minutes:.0f} minutes with environments and images ready."
    )


def _span(values: list[int]) -> str:
    return " to ".join(map(str, dict.fromkeys((min(values), max(values))))) if values else "no"


def _seconds(manifest: Manifest, records: list[Record]) -> float:
    """From the beginning of a run to the end of its last heat, whose workers have worked in turns."""
    ends: dict[str, float] = {}
    for record in records:
        started = datetime.fromisoformat(record.started).timestamp()
        ends[record.cell.heat] = ends.get(record.cell.heat, started) + record.seconds
    ends.pop("", None)  # certificates, which are made side by side, and before
    return max(ends.values()) - datetime.fromisoformat(manifest.created).timestamp()


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
    return _BLOCK.sub(lambda found: f"{found[1]}{_made(found['kind'], found['run'])}{found[4]}", text)


def _made(kind: str, name: str) -> str:
    source = max(PROJECT.glob(name), key=lambda folder: folder.name) if "*" in name else PROJECT / name
    if kind == "answer":
        return answer(source)
    return compare_commit.table(source) if source.suffix == ".json" else tables(source)


if __name__ == "__main__":
    for path in TEXTS:
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
