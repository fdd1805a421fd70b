from __future__ import annotations

import re
from pathlib import Path

from bench.adapters import PROJECT
from bench.records import save_manifest, save_record
from bench.report.readme import README, renewed, table
from tests.test_report import manifest


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


def test_a_row_that_stands_apart_says_so(tmp_path: Path) -> None:
    from tests.test_ranking import records_of

    cells, records = records_of("adapter=nengo,ok")
    save_manifest(
        tmp_path, manifest(cells, settings={"threads": 2, "device": "cpu"}, machine={"cpu": "some"})
    )
    for record in records:
        save_record(tmp_path, record)
    lines = table(tmp_path).splitlines()
    (given,) = (line for line in lines if line.startswith("| nengo | stepped |"))
    assert "exact; inference alone, with weights trained" in given
    (own,) = (line for line in lines if line.startswith("| nengo | least-squares |"))
    assert "| open division |" in own
    (plain,) = (line for line in lines if line.startswith("| ok | plain |"))
    assert "| exact |" in plain
