"""What the report says in words: whether it is the same work, how sure its figures are, what is finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bench.records import Cell, Manifest, Metric, Record
from bench.report.pages import Page
from bench.report.sections import PENDING, Section
from bench.report.statistics import DISTURBED, NOTABLE, Ratio, floor, reach, sureness
from bench.report.text import gap, times

_MOST = 6  # controls that are named one by one


def same_work(manifest: Manifest, records: Sequence[Record], pages: Mapping[str, Page]) -> str:
    """How many certificates passed, and how near the closest ones came to their bounds.

    What cannot run needs none.
    """
    found = [record for record in records if record.cell.stage == "certify"]
    needless = {record.cell.cell for record in found if record.status == "skipped"}
    needless |= {cell.cell for cell in manifest.cells if cell.skip}
    found = [record for record in found if record.cell.cell not in needless]
    planned = sum(cell.stage == "certify" and cell.cell not in needless for cell in manifest.cells)
    if not planned:
        return "No certificate was asked for."
    passed = [record for record in found if record.status == "ok"]
    others: Counter[str] = Counter(record.status for record in found if record.status != "ok")
    if len(found) < planned:
        others[PENDING] = planned - len(found)
    left = ", ".join(f"{count} {status}" for status, count in others.items())
    word = "Yes" if len(passed) == planned else "Not all"
    parts = [f"{word}: {len(passed)} of {planned} certificates passed" + (f" ({left})" if left else "")]
    metrics = [(record.cell.family, metric) for record in passed for metric in record.metrics]
    exact = [m for _, m in metrics if m.metric == "spike difference" and m.of.get("precision") == "float64"]
    if exact:
        most = max(metric.value for metric in exact)
        parts.append(
            "float64: 0 spikes differ" if most == 0 else f"float64: at most {most:.2g} of the spikes differ"
        )
    closest = {
        page.proof: worst
        for family, page in pages.items()
        if (worst := _closest(m for f, m in metrics if f == family and m.metric == page.proof))
    }
    if closest:
        words = (f"worst {name} {m.value:.2g} of {m.bound:.2g} allowed" for name, m in closest.items())
        parts.append("float32: " + ", ".join(words))
    return "; ".join(parts) + "."


def threads(cells: Iterable[Cell], manifest: Manifest) -> str:
    """On how many CPU threads the cells work; one of an older record does not say its own."""
    asked = manifest.settings.get("threads", "unknown")
    found = sorted({cell.work.get("threads", asked) for cell in cells} or {asked}, key=str)
    return f"{' or '.join(map(str, found))} {'thread' if found == [1] else 'threads'}"


def sureness_of(counts: Iterable[int]) -> str:
    """In brackets, what so few seeds are, of the fewest and of the most; empty where all are enough."""
    words = dict.fromkeys(word for count in counts if (word := sureness(count)))
    return f" ({' to '.join(words)})" if words else ""


def _closest(metrics: Iterable[Metric]) -> Metric | None:
    """Of the judged float32 deviations that which is nearest to its bound."""
    judged = [m for m in metrics if m.bound and m.of.get("precision") == "float32"]
    return max(judged, key=lambda m: m.value / (m.bound or 1.0), default=None)


def noise(sections: Sequence[Section]) -> str:
    """What the controls of all sections say: which differences are none."""
    moves = {
        section.title: moved
        for section in sections
        if section.control is not None and (moved := reach(section.control)) is not None
    }
    if not moves:
        return "There is no control with enough rounds, so that no difference of times counts."
    adapters = {heat.cell.adapter for section in sections for heat in section.heats}
    name = f"{adapters.pop()} beside itself" if len(adapters) == 1 else "the baseline beside itself"
    by_task = ", ".join(f"{title} {gap(moved)}" for title, moved in moves.items())
    if len(moves) > _MOST:
        least, most = (choose(moves, key=moves.__getitem__) for choose in (min, max))
        by_task = f"{least} {gap(moves[least])} and up to {gap(moves[most])}, {most}"
    return (
        f"The control ({name}) moves {by_task}: "
        f"smaller differences, and any below {gap(NOTABLE)}, do not count."
    )


def how_sure(sections: Sequence[Section]) -> str:
    """What the controls of all sections say, and how many turns were left out."""
    heats = [(section, heat) for section in sections for heat in section.heats]
    parts = [noise(sections)]
    compared = [turn for _, heat in heats for r in heat.records for turn in r.turns if turn.compared]
    throttled = sum((turn.throttled or 0.0) > DISTURBED for turn in compared)
    if any(heat.turns for _, heat in heats):
        disturbed, turns = sum(heat.disturbed for _, heat in heats), sum(heat.turns for _, heat in heats)
        parts.append(
            f"Left out, because others{' or a quota' if throttled else ''} took more than "
            f"{100 * DISTURBED:.0f} % of the cores in use: "
            f"{disturbed:,} of {turns:,} turns."
        )
    if throttled:
        parts.append(
            f"In {throttled:,} turns a quota of CPU time (cgroup) held the threads back as much: "
            "run with fewer THREADS, or raise it."
        )
    if unknown := sum(turn.foreign is None for turn in compared):
        parts.append(f"In {unknown:,} turns the load of others is unknown.")
    return " ".join(parts)


def control(section: Section) -> str:
    """What the control of one section says; empty where it has none."""
    if section.control is None:
        return ""
    counts = floor(section.control)
    end = "too few rounds to say what counts" if counts is None else f"only gaps above {gap(counts)} count"
    said = f"{section.control.ratio:.2f} ({interval(section.control)})"
    return f"Control ({section.baseline} once more) / baseline: {said}; {end}."


def interval(ratio: Ratio) -> str:
    """The 95 % interval of a ratio and what it is made of."""
    seeds = f", {ratio.seeds} seeds" if ratio.seeds > 1 else ""
    rounds = f"{ratio.rounds} of {ratio.rounds + ratio.left_out} rounds{seeds}"
    if ratio.low is None or ratio.high is None:
        return f"no interval, {rounds}"
    return f"{times(ratio.low)}–{times(ratio.high)}, {rounds}"


def progress(manifest: Manifest, records: Iterable[Record]) -> str:
    """How much of what was asked for has been done, and whether on a GPU.

    Controls are spoken of elsewhere, and so are certificates, unless there is nothing else.
    """
    stage = "run" if any(cell.stage == "run" for cell in manifest.cells) else "certify"
    total = sum(cell.stage == stage for cell in manifest.cells)
    done = [record for record in records if record.cell.stage == stage]
    endings = Counter(record.status for record in done)
    counted = ", ".join(f"{count} {status}" for status, count in endings.most_common())
    what = "cell" if stage == "run" else "certificate"
    state = f"All {total} {what}s are finished" if total != 1 else f"The only {what} is finished"
    if len(done) < total:
        state = f"Partial run: {len(done)} of {total} {what}s are finished"
    said = f"{state} ({counted})." if counted else f"{state}."
    if any(cell.device == "cuda" for cell in manifest.cells):
        return said
    return f"{said} No GPU was measured: make bench DEVICE=cuda would do that (docs/gpu.md)."
