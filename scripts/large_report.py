"""How long the report of a large run takes: a run's records, copied to more seeds until there are so many.

python -m scripts.large_report RUN FOLDER [CELLS]      writes the larger run into FOLDER; 500 cells otherwise
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from bench.records import Cell, Record, load_manifest, load_records, save_manifest, save_records
from bench.report.page import write_report


def enlarged(records: Sequence[Record], cells: int) -> list[Record]:
    """The records, and those that are timed again under other seeds."""
    timed = [record for record in records if record.cell.stage != "certify"]
    copies = -(-cells // sum(record.cell.stage == "run" for record in timed))
    again = [_reseeded(record, copy) for copy in range(1, copies) for record in timed]
    return [*records, *again]


def _reseeded(record: Record, copy: int) -> Record:
    cell = record.cell
    changes: dict[str, object] = {"seed": cell.seed + 1000 * copy, "cell": f"{cell.cell}-{copy}"}
    if cell.heat:
        changes["heat"] = f"{cell.heat}-{copy}"
    return record.model_copy(update={"cell": cell.model_copy(update=changes)})


def _write(folder: Path, source: Path, records: Sequence[Record]) -> list[Cell]:
    cells = [record.cell for record in records]
    save_manifest(folder, load_manifest(source).model_copy(update={"cells": cells}))
    files: dict[str, list[Record]] = {}
    for record in records:
        files.setdefault(record.cell.heat or record.cell.cell, []).append(record)
    for together in files.values():
        save_records(folder, together)
    return cells


if __name__ == "__main__":
    run, target, *count = sys.argv[1:]
    made = _write(Path(target), Path(run), enlarged(load_records(Path(run)), int(count[0]) if count else 500))
    before = perf_counter()
    page = write_report(Path(target))
    print(
        f"{sum(cell.stage == 'run' for cell in made)} cells: {perf_counter() - before:.1f} s, "
        f"{page.stat().st_size / 1e6:.2f} MB"
    )
