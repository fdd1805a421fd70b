"""The report's tables, before they become HTML or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.records import Cell, Manifest, Metric, Record, dumps
from bench.report import text
from bench.report.ranking import PENDING, TIERS, Row, Section, Tier
from bench.report.scores import own_n, scores
from bench.report.text import ABSENT


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in one place of a table; ``note`` is smaller, beneath it or in brackets."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a column.

    ``numeric`` is aligned to the right.  ``below`` is a long text, mostly empty, that says more about
    the column before it: the page gives both a line of their own beneath the row.
    """

    text: str
    numeric: bool = False
    below: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together, with a title unless there is nothing to tell apart."""

    rows: list[list[Entry]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and groups of rows, every row as long as the headings."""

    headings: list[Heading]
    groups: list[Group]


@dataclass(frozen=True, slots=True)
class _Figure:
    heading: str
    column: str
    spell: Callable[[float], str]
    summary: Callable[[list[float]], float] = median


_HOST = _Figure("host peak (MB)", "host_peak_bytes", text.megabytes)
_FIGURES: tuple[_Figure, ...] = (
    _Figure("cold epoch (s)", "cold_epoch_seconds", text.significant),
    _Figure("training (s)", "train_seconds", text.significant),
    _Figure("images/s", "images_per_second", text.whole),
    _Figure("evaluation (s)", "eval_seconds", text.significant),
    _HOST,
)
_DEVICE_FIGURES = (
    _Figure("device allocated (MB)", "device_allocated_bytes", text.megabytes),
    _Figure("device used (MB)", "device_used_bytes", text.megabytes),
)
_ACCURACY = _Figure("test accuracy (%)", "test_accuracy", text.percent)
_EPOCH = _Figure("s/epoch", "epoch_seconds", text.significant)
_RMSE = _Figure("RMSE", "rmse", text.significant)
_SPEED = _Figure("networks × s/s", "sim_speed", text.significant)
_BUILD = _Figure("build (s)", "build_seconds", text.significant)
_FIRST_RUN = _Figure("first run (s)", "first_run_seconds", text.significant)
_SPIKE_RATE = _Figure("spike rate", "spike_rate", text.rate)

# of metrics and not of figures: one stimulus at a time
_SCORES = (
    _Figure("RMSE", "rmse", text.significant),
    _Figure("worst RMSE", "rmse_worst", text.significant, max),
    _Figure("bias", "bias", text.significant),
    _Figure("mean output", "mean_output", text.significant),
    _Figure("drift (1/s)", "drift", text.significant),
    _Figure("worst drift (1/s)", "drift_worst", text.significant, max),
)

_TIER_TITLES = {
    "ranked": "Ranked",
    "reduced precision": "Reduced precision, ranked apart",
    "open": "Open division: the same images and goal, the framework's own way; not ranked",
    "not ranked": "Not ranked",
}


def comparison(section: Section) -> Table:
    """All adapters and variants of one section; device memory only where there is a device."""
    quality, pace, figures = (_ACCURACY, _EPOCH, _FIGURES)
    if section.cell.kind == "nef":
        quality, pace, figures = (_RMSE, _SPEED, (_BUILD, _FIRST_RUN, _HOST))
    if section.cell.device != "cpu":
        figures += _DEVICE_FIGURES
    headings = [
        Heading("rank", True),
        Heading("adapter"),
        Heading("variant"),
        Heading(quality.heading, True),
        Heading(pace.heading, True),
        Heading("× fastest", True),
        *(Heading(figure.heading, True) for figure in figures),
        Heading(_SPIKE_RATE.heading, True),
        Heading("parity"),
        Heading("seeds", True),
        Heading("status"),
        Heading("reason", below=True),
    ]
    lines = [(row.tier, _comparison_row(row, quality, pace, figures)) for row in section.rows]
    return Table(headings, _tiers(lines, f" by {pace.heading}"))


def stimuli(section: Section) -> Table:
    """What the networks of a NEF section decoded under each stimulus, at the size that was timed.

    A score that no row has is left out: nothing drifts where nothing is remembered.
    """
    n = own_n(section.cell)
    found = [(row, stimulus, values) for row in section.rows for stimulus, values in scores(row, n).items()]
    measured = {metric for _, _, values in found for metric in values}
    columns = [score for score in _SCORES if score.column in measured]
    headings = [Heading("rank", True), Heading("adapter"), Heading("variant"), Heading("stimulus")]
    headings += [Heading(score.heading, True) for score in columns]
    lines = [
        (
            row.tier,
            [
                *_names(row),
                Entry(stimulus),
                *(_entry(values.get(score.column, []), row.seeds, score) for score in columns),
            ],
        )
        for row, stimulus, values in found
    ]
    return Table(headings, _tiers(lines))


def _tiers(lines: Sequence[tuple[Tier, list[Entry]]], order: str = "") -> list[Group]:
    """A group for each tier that has lines; ``order`` says what the ranked ones are ranked by."""
    groups = []
    for tier in TIERS:
        if rows := [line for of, line in lines if of == tier]:
            groups.append(Group(rows, _TIER_TITLES[tier] + (order if tier == "ranked" else "")))
    return groups


def _comparison_row(row: Row, quality: _Figure, pace: _Figure, figures: Sequence[_Figure]) -> list[Entry]:
    return [
        *_names(row),
        _figure(row, quality),
        _figure(row, pace),
        Entry(f"{row.ratio:.2f}" if row.ratio else ""),
        *(_figure(row, figure) for figure in figures),
        _figure(row, _SPIKE_RATE),
        Entry(row.parity or ABSENT),
        Entry(str(row.seeds) if row.seeds == row.planned else f"{row.seeds} of {row.planned}"),
        Entry(row.status),
        Entry(row.reason),
    ]


def _names(row: Row) -> list[Entry]:
    mark = "R" if row.tier == "reduced precision" else ""
    return [Entry(f"{mark}{row.rank}" if row.rank else ""), Entry(row.adapter), Entry(row.variant)]


def _figure(row: Row, figure: _Figure) -> Entry:
    return _entry(row.values(figure.column), row.seeds, figure)


def _entry(values: list[float], seeds: int, figure: _Figure) -> Entry:
    """The figure's summary of the seeds that have it, with their range."""
    if not values:
        return Entry(ABSENT)
    notes = []
    if len(values) > 1:
        notes.append(text.span(values, figure.spell))
    if len(values) < seeds:
        notes.append(f"n = {len(values)}")
    return Entry(figure.spell(figure.summary(values)), ", ".join(notes))


def certificates(manifest: Manifest, records: Iterable[Record]) -> Table:
    """The parity certificate of every adapter, variant and task, with what it measured."""
    finished = {record.cell.cell: record for record in records}
    cells = [cell for cell in manifest.cells if cell.kind == "certify"]
    cells.sort(key=lambda cell: (cell.task, cell.adapter, cell.variant, cell.precision))
    found = [finished[cell.cell] for cell in cells if cell.cell in finished]
    metrics = list(dict.fromkeys(metric.metric for record in found for metric in record.metrics))
    headings = [Heading(title) for title in ("task", "adapter", "variant", "precision", "parity")]
    headings += [Heading(metric.replace("_", " "), True) for metric in metrics]
    headings += [Heading("status"), Heading("reason", below=True)]
    rows = [_certificate_row(cell, finished.get(cell.cell), metrics) for cell in cells]
    return Table(headings, [Group(rows)])


def _certificate_row(cell: Cell, record: Record | None, metrics: Sequence[str]) -> list[Entry]:
    names = [Entry(name) for name in (cell.task, cell.adapter, cell.variant, cell.precision)]
    if record is None:
        return [*names, *[Entry(ABSENT)] * (1 + len(metrics)), Entry(PENDING), Entry("")]
    return [
        *names,
        Entry(record.parity or ABSENT),
        *(_largest([m for m in record.metrics if m.metric == metric]) for metric in metrics),
        Entry(record.status),
        Entry(text.first_line(record.reason)),
    ]


def _largest(metrics: Sequence[Metric]) -> Entry:
    if not metrics:
        return Entry(ABSENT)
    largest = max(metrics, key=lambda metric: metric.value)
    note = f"{largest.key}, largest of {len(metrics)}" if len(metrics) > 1 else largest.key
    return Entry(f"{largest.value:.3g}", note)


def tasks(found: Iterable[Section]) -> Table:
    """What each section asks for."""
    headings = [
        Heading("task"),
        Heading("network"),
        Heading("time steps", True),
        Heading("batch", True),
        Heading("epochs", True),
        Heading("training images", True),
        Heading("test images", True),
        Heading("test images per epoch", True),
        Heading("precision"),
        Heading("task values"),
    ]
    rows = []
    for section in found:
        cell = section.cell
        trained = (cell.epochs, cell.train_images, cell.test_images, cell.curve_images)
        counts = [text.whole(count) for count in (cell.steps, cell.batch)]
        counts += [ABSENT if cell.kind == "nef" else text.whole(count) for count in trained]
        values = ", ".join(f"{key} {value}" for key, value in text.flatten(cell.task_values))
        rows.append(
            [
                Entry(section.title),
                Entry(cell.network),
                *(Entry(count) for count in counts),
                Entry(cell.precision),
                Entry(values or "the task's own"),
            ]
        )
    return Table(headings, [Group(rows)])


def pairs(values: Mapping[str, object], title: str) -> Table:
    """Every value of a nested mapping, one a row."""
    rows = [[Entry(key), Entry(value)] for key, value in text.flatten(values)]
    return Table([Heading(title), Heading("value")], [Group(rows)])


def versions(records: Iterable[Record]) -> Table:
    """Packages of each adapter; a variant has its own row where its packages differ."""
    variants: dict[tuple[str, str], dict[str, None]] = {}
    spelled: dict[tuple[str, str], str] = {}
    for record in records:
        if record.versions:
            key = (record.cell.adapter, dumps(record.versions))
            variants.setdefault(key, {})[record.cell.variant] = None
            spelled[key] = ", ".join(f"{name} {value}" for name, value in sorted(record.versions.items()))
    rows = [
        [Entry(key[0]), Entry(", ".join(sorted(variants[key]))), Entry(spelled[key])]
        for key in sorted(spelled)
    ]
    return Table([Heading("adapter"), Heading("variants"), Heading("packages")], [Group(rows)])


def settings_read_back(records: Iterable[Record]) -> Table:
    """Settings as the adapters read them back, all values that occurred in their timed cells."""
    adapters: dict[str, dict[str, dict[str, None]]] = {}
    for record in records:
        if record.cell.kind == "certify":
            continue
        for key, value in text.flatten(record.settings):
            values = adapters.setdefault(record.cell.adapter, {}).setdefault(key, {})
            values[value] = None
    keys = sorted({key for values in adapters.values() for key in values})
    rows = [
        [Entry(adapter), *(Entry(", ".join(sorted(values.get(key, {ABSENT: None})))) for key in keys)]
        for adapter, values in sorted(adapters.items())
    ]
    return Table([Heading("adapter"), *(Heading(key) for key in keys)], [Group(rows)])
