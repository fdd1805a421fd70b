"""The CSV files of a run, a pure function of its records; what was not measured is empty, never 0."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.measure.gpu import held_back
from bench.records import Manifest, Metric, Record, load_manifest, load_records, write_atomically
from bench.report.figures import FIGURES
from bench.report.sections import Heat, heats
from bench.report.statistics import Ratio, disturbed

_CELL = "family adapter variant task".split()
_RESULTS = [
    *"run cell profile".split(),
    *_CELL,
    *"network division learning device precision seed status reason parity certified_on certified_at".split(),
    *FIGURES,
    *"ratio ratio_low ratio_high rounds".split(),
    # of the families' work these stand first, and in every run
    *"train_images test_images curve_images steps batch epochs".split(),
]
_HEATS = (
    "heat task seed device precision baseline control_ratio control_low control_high rounds turns disturbed"
).split()
_TURNS = "cell heat round phase epoch seconds compared foreign throttled disturbed".split()
_METRICS = "cell metric value bound".split()
_CURVES = "cell epoch loss test_loss train_accuracy test_accuracy seconds train_seconds".split()
_PARITY = ["cell", *_CELL, *"device precision status parity reason metric probe value bound".split()]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet takes a cell for a formula

Line = dict[str, Any]


def write_tables(folder: Path) -> None:
    """Write results, heats, turns, metrics, curves and parity of a run folder as CSV.

    Raises:
        FileNotFoundError: the folder is no run.
    """
    manifest, records = load_manifest(folder), load_records(folder)
    timed = [record for record in records if record.cell.stage != "certify"]
    found = heats(records)
    tables = {
        "results": (_RESULTS, _results(manifest, timed, found)),
        "heats": (_HEATS, map(_heat, found)),
        "turns": (_TURNS, _turns(timed)),
        "metrics": (_METRICS, _metrics(timed)),
        "curves": (_CURVES, ({"cell": r.cell.cell} | p.model_dump() for r in timed for p in r.curve)),
        "parity": (_PARITY, _parity(record for record in records if record.cell.stage == "certify")),
    }
    for name, (columns, lines) in tables.items():
        write_atomically(folder / f"{name}.csv", _text(columns, list(lines)))


def results(folder: Path) -> str:
    """The text of results.csv.

    Raises:
        FileNotFoundError: the folder is no run.
    """
    records = load_records(folder)
    timed = [record for record in records if record.cell.stage != "certify"]
    return _text(_RESULTS, _results(load_manifest(folder), timed, heats(records)))


def _results(manifest: Manifest, records: Iterable[Record], found: Iterable[Heat]) -> list[Line]:
    """A line per cell but controls; its ratio is that to the baseline of its heat."""
    by_key = {heat.key: heat for heat in found}
    lines = []
    for record in records:
        cell = record.cell
        if cell.stage != "run":
            continue
        heat = by_key.get(cell.heat)
        work = dict(cell.work)
        network = record.network or work.pop("network", "")
        lines.append(
            {"run": manifest.run, "profile": manifest.profile, "network": network}
            | cell.model_dump(include={"cell", *_CELL, *"division learning device precision seed".split()})
            | record.model_dump(include={"status", "reason", "parity"})
            | {"certified_on": record.machine, "certified_at": record.made}
            | {name: _whole_bytes(name, value) for name, value in record.figures.items()}
            | _ratio(heat.ratio(record) if heat else None)
            | _held_back(record)
            | work
        )
    return lines


def _whole_bytes(name: str, value: float) -> float:
    return round(value) if FIGURES[name].unit == "bytes" else value


def _ratio(ratio: Ratio | None) -> Line:
    if ratio is None:
        return {}
    return {"ratio": ratio.ratio, "ratio_low": ratio.low, "ratio_high": ratio.high, "rounds": ratio.rounds}


def _held_back(record: Record) -> Line:
    reasons = held_back(turn.gpu for turn in record.turns if turn.gpu)
    return {} if reasons is None else {"throttle_reasons": reasons}


def _heat(heat: Heat) -> Line:
    line = heat.cell.model_dump(include={"task", "seed", "device", "precision"})
    line |= {"heat": heat.key, "turns": heat.turns, "disturbed": heat.disturbed}
    if heat.baseline:
        line["baseline"] = f"{heat.cell.adapter}/{heat.cell.variant}"
    if control := heat.control:
        line |= {"control_ratio": control.ratio, "control_low": control.low, "control_high": control.high}
        line["rounds"] = control.rounds
    return line


def _turns(records: Iterable[Record]) -> Iterable[Line]:
    for record in records:
        for turn in record.turns:
            known = {"cell": record.cell.cell, "heat": record.cell.heat} | turn.model_dump(exclude={"gpu"})
            if turn.gpu:
                told = asdict(turn.gpu) | {"throttled": held_back([turn.gpu])}
                known |= {f"gpu_{name}": value for name, value in told.items()}
            unknown = turn.foreign is turn.throttled is None
            yield known | {"disturbed": None if unknown else disturbed(turn)}


def _metrics(records: Iterable[Record]) -> Iterable[Line]:
    return ({"cell": record.cell.cell} | _metric(metric) for record in records for metric in record.metrics)


def _metric(metric: Metric) -> Line:
    return {**metric.of, "metric": metric.metric, "value": metric.value, "bound": metric.bound}


def _parity(records: Iterable[Record]) -> Iterable[Line]:
    """A line per comparison of each certificate; one without any has a line with its reason."""
    for record in records:
        known = record.cell.model_dump(include={"cell", *_CELL, "device", "precision"})
        known |= record.model_dump(include={"status", "parity", "reason"})
        # each comparison has a precision of its own, which stands in the place of the one asked for
        yield from (known | _metric(metric) for metric in record.metrics)
        if not record.metrics:
            yield known


def _text(columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> str:
    """These columns and then any others, in the order in which they first occur."""
    every = list(dict.fromkeys([*columns, *(name for line in lines for name in line)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, every, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in line.items()} for line in lines)
    return text.getvalue()


def _plain(value: object) -> object:
    """Text that a spreadsheet would take for a formula, marked as text."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
