"""What the records of NEF cells say of each stimulus."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.records import Cell
from bench.report.ranking import Row
from tasks.nef import TASKS

_NETWORK = re.compile(r"(?P<stimulus>.+) n=(?P<n>\d+) seed=\d+")


def own_n(cell: Cell) -> int:
    """The size n that the cell timed; those that it only scored are others."""
    n: int = cell.task_values.get("n") or TASKS[cell.task]().n
    return n


def scores(row: Row, n: int) -> dict[str, dict[str, list[float]]]:
    """Stimulus -> metric -> the value of every seed (process) that has it, at size ``n``."""
    found: dict[str, dict[str, list[float]]] = {}
    for record in row.records:
        for metric in record.metrics:
            stimulus, separator, rest = metric.key.partition(f" n={n}")
            if separator and not rest:
                found.setdefault(stimulus, {}).setdefault(metric.metric, []).append(metric.value)
    return found


def network_errors(rows: Iterable[Row]) -> dict[str, list[tuple[Row, dict[int, list[float]]]]]:
    """Stimulus -> rows that have it -> n -> RMSE of every simulated network, in the records' order."""
    found: dict[str, list[tuple[Row, dict[int, list[float]]]]] = {}
    for row in rows:
        stimuli: dict[str, dict[int, list[float]]] = {}
        for record in row.records:
            for metric in record.metrics:
                if metric.metric == "rmse_seed" and (key := _NETWORK.fullmatch(metric.key)):
                    sizes = stimuli.setdefault(key["stimulus"], {})
                    sizes.setdefault(int(key["n"]), []).append(metric.value)
        for stimulus, sizes in stimuli.items():
            found.setdefault(stimulus, []).append((row, sizes))
    return found
