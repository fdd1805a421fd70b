from __future__ import annotations

import re

from bench.adapters import PROJECT
from bench.report.readme import README, renewed


def test_its_figures_are_those_of_the_published_runs() -> None:
    text = README.read_text(encoding="utf-8")
    assert "<!-- results: results/published/" in text
    assert renewed(text) == text, "run: python -m bench.report.readme"


def test_its_links_lead_to_files() -> None:
    text = README.read_text(encoding="utf-8")
    targets = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert targets
    assert [link for link in targets if not (PROJECT / link).exists()] == []


def test_a_changed_figure_would_be_noticed() -> None:
    text = README.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if re.match(r"\| torch \| folded \| \d", line))
    assert renewed(text.replace(row, row.replace("| torch |", "| torch | 1", 1))) == text
