"""The ratios of every pair of frameworks in two runs, side by side: do figures repeat?

.venv/bin/python -m scripts.compare_runs RUN OTHER      two run folders
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from bench.records import load_manifest, load_records
from bench.report.sections import Section, sections


def pairs(one: Section, other: Section) -> Iterator[dict[str, Any]]:
    """Ratio and verdict of every pair that both compare; ``change``: how far one ratio is from the other."""
    theirs = {row.key: row for row in other.rows}
    for mine, beside in combinations([row for row in one.rows if row.key in theirs], 2):
        first = one.difference(mine, beside)
        second = other.difference(theirs[mine.key], theirs[beside.key])
        if first and second and first.ratio and second.ratio:
            ratio, again = first.ratio.ratio, second.ratio.ratio
            yield {
                "task": one.title,
                "pair": f"{mine.adapter} / {beside.adapter}",
                "ratio": round(ratio, 3),
                "again": round(again, 3),
                "change (%)": round(100 * (max(ratio, again) / min(ratio, again) - 1), 1),
                "said": first.verdict.word,
                "said again": second.verdict.word,
            }


def main() -> None:
    """Print the table and what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("other", type=Path)
    options = parser.parse_args()
    one, other = (sections(load_manifest(f), load_records(f)) for f in (options.run, options.other))
    again = {section.title: section for section in other}
    table = pd.DataFrame(row for s in one if s.title in again for row in pairs(s, again[s.title]))
    if table.empty:
        print("There is no pair that both runs compare.")
        return
    opposite = [{said, twice} == {"faster", "slower"} for said, twice in table[["said", "said again"]].values]
    print(table.to_string(index=False))
    print(f"{len(table)} pairs; largest change of a ratio: {table['change (%)'].max()} %; ")
    print(f"declared in opposite directions: {sum(opposite)}.")


if __name__ == "__main__":
    main()
