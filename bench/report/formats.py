"""The comparison of a run for another program: Markdown, CSV, or tables of LaTeX that need no package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bench.errors import unknown
from bench.records import Manifest, load_manifest, load_records
from bench.report import sentences
from bench.report.files import results
from bench.report.pages import Page, network_of, page_of
from bench.report.sections import Section, sections
from bench.report.tables import Entry, Heading, Table, as_markdown, comparison, deciding
from bench.report.text import markdown as as_text


def printed(folder: Path, form: str) -> str:
    """What a run has measured, in the format of that name.

    Raises:
        UserError: there is no such format.
        FileNotFoundError: the folder is no run.
    """
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    return FORMATS[form](folder)


def described(section: Section, page: Page, manifest: Manifest) -> str:
    """What a section's table is of: work, device, machine, date, and what the control says."""
    cell = section.cell
    machine = manifest.machine.get("cpu", manifest.machine.get("name", "unknown machine"))
    return (
        f"{network_of(cell)}: {page.work(cell)}; {cell.device}, {cell.precision}, "
        f"{machine}, {sentences.threads([cell], manifest)}, "
        f"{manifest.created[:10]}. {sentences.control(section)}"
    ).strip()


def _sections(folder: Path) -> Iterator[tuple[Section, Page, str]]:
    """Each section with its page, and with what its table is of."""
    manifest = load_manifest(folder)
    for section in sections(manifest, load_records(folder)):
        page = page_of(section.cell.family)
        yield section, page, described(section, page, manifest)


def _markdown(folder: Path) -> str:
    parts = [
        f"**{as_text(section.title)}**, {as_text(about)}\n\n{as_markdown(comparison(section, page))}\n"
        for section, page, about in _sections(folder)
    ]
    return "\n".join(parts)


def _latex(folder: Path) -> str:
    parts = [
        "\\begin{table}[htbp]\n\\centering\\scriptsize\\setlength{\\tabcolsep}{2pt}\n"
        f"\\caption{{{escaped(f'{section.title}: {about}')}}}\\label{{tab:{section.slug}}}\n"
        f"{as_latex(deciding(section, page))}\\end{{table}}\n"
        for section, page, about in _sections(folder)
    ]
    return "\n".join(parts)


FORMATS: dict[str, Callable[[Path], str]] = {"md": _markdown, "csv": results, "latex": _latex}


def as_latex(table: Table) -> str:
    """The table as a tabular; titles stand in it where there are several groups, long texts below a row."""
    short = [place for place, heading in enumerate(table.headings) if not heading.below]
    long = [place for place, heading in enumerate(table.headings) if heading.below]
    kinds = "".join("r" if table.headings[place].numeric else "l" for place in short)
    heads = (table.headings[place] for place in short)
    lines = [
        f"\\begin{{tabular}}{{{kinds}}}",
        "\\hline",
        _row(_heading(heading) for heading in heads),
        "\\hline",
    ]
    for group in table.groups:
        if len(table.groups) > 1:
            lines.append(_across(len(short), f"\\textbf{{{escaped(group.title)}}}"))
        for row in group.rows:
            lines.append(_row(_of(row[place]) for place in short))
            lines += [
                _across(len(short), f"\\quad {escaped(table.headings[place].text)}: {_of(row[place])}")
                for place in long
                if row[place].text
            ]
    return "\n".join([*lines, "\\hline", "\\end{tabular}", ""])


def _row(parts: Iterable[str]) -> str:
    return f"{' & '.join(parts)} \\\\"


def _across(columns: int, text: str) -> str:
    return f"\\multicolumn{{{columns}}}{{p{{0.9\\linewidth}}}}{{{text}}} \\\\"


def _of(entry: Entry) -> str:
    return _noted(entry.text, entry.note)


def _heading(heading: Heading) -> str:
    """A word a line."""
    lines = [escaped(word) for word in heading.text.split()]
    return _stacked([*lines, *_tiny(heading.note)])


def _noted(text: str, note: str) -> str:
    """The note below the text: beside it, no table would fit on a page."""
    return _stacked([escaped(text), *_tiny(note)])


def _tiny(note: str) -> list[str]:
    return [f"\\tiny {escaped(note)}"] if note else []


def _stacked(lines: list[str]) -> str:
    together = "\\\\".join(lines)
    return f"\\shortstack{{{together}}}" if lines[1:] else together


_SPELLED = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "[": "{[}",  # after the end of a row it would be an option
    "*": "{*}",
    "–": "--",
    "×": "$\\times$",
    "²": "$^2$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_SIGNS = re.compile(f"[{re.escape(''.join(_SPELLED))}]")


def escaped(text: str) -> str:
    """Text of which nothing is a command; a sign that plain LaTeX has not is a question mark."""
    spelled = _SIGNS.sub(lambda found: _SPELLED[found[0]], " ".join(text.split()))
    return spelled.encode("ascii", "replace").decode()
