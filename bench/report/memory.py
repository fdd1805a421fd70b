"""The plot of peak memory: how much of it stands before any work is done, and what the work adds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.report.drawing import Kind, Styles, bars
from bench.report.figures import FIGURES
from bench.report.sections import Row, Section

HOST = "host_peak_bytes"
# figure, colour and name of what the process had come to by then, the largest first
_EARLIER = (("built_bytes", "#6b7280", "data and network"), ("imported_bytes", "#b6bcc6", "imports"))


def _draw(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """Bars of the host and, where there is one, of the device; in grey what stood before the first turn."""
    figure = bars(rows, look, (HOST, "device_allocated_bytes", "device_used_bytes"))
    if figure is None or not any(row.values(HOST) for row in rows):
        return figure
    axes = figure.axes[0]
    pieces: list[Artist] = []
    for name, colour, words in _EARLIER:
        known = {place: median(found) for place, row in enumerate(rows) if (found := row.values(name))}
        if known:
            widths = [FIGURES[name].scale * value for value in known.values()]
            axes.barh([*known], widths, height=0.62, color=colour, linewidth=0)
            pieces.insert(0, Patch(color=colour, label=words))
    if pieces:
        rest = Patch(facecolor="none", edgecolor="#6b7280", label="in colour: what the work adds")
        figure.legend(handles=[*pieces, rest], loc="outside lower left", ncols=3)
    measured = [(row.values("imported_bytes"), row.values(HOST)) for row in rows]
    if shares := [median(imports) / median(peak) for imports, peak in measured if imports and peak]:
        share = " to ".join(dict.fromkeys(f"{100 * end:.0f}" for end in (min(shares), max(shares))))
        figure.suptitle(f"{section.title} on {section.cell.device}: imports are {share} % of peak memory")
    return figure


MEMORY = Kind("memory", "peak memory", "memory", _draw)
