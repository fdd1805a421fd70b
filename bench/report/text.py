"""How figures and reasons are spelled; what was not measured is an en dash, never 0."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping

ABSENT = "–"


def times(ratio: float) -> str:
    """A ratio of two times: 1.07, 22.3, and of what is very small its digits, 0.0038, for it is never 0."""
    if ratio >= 10:
        return significant(ratio)
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def significant(value: float) -> str:
    """Three significant digits, whole digits all kept: 0.0123, 7.41, 83.2, 1,204."""
    if not math.isfinite(value):
        return str(value)
    decimals = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, decimals)}f}"


def percent(fraction: float) -> str:
    """A fraction as a percentage with two decimals, without the sign: 0.9385 is 93.85."""
    return f"{100 * fraction:.2f}"


def gap(ratio: float) -> str:
    """How far a ratio above 1 is from it, in percent: of 1.05 "5 %", of 2.5 "150 %"."""
    share = 100 * (ratio - 1)
    return f"{share:.2g} %" if share < 99.5 else f"{share:.0f} %"


def megabytes(size: float) -> str:
    """Bytes as whole megabytes of 10^6 bytes."""
    return f"{size / 1e6:,.0f}"


def whole(value: float) -> str:
    """A whole number with thousands separated."""
    return f"{value:,.0f}"


def rate(value: float) -> str:
    """A rate with four decimals."""
    return f"{value:.4f}"


def span(values: list[float], spell: Callable[[float], str]) -> str:
    """Smallest and largest of the values."""
    separator = " to " if min(values) < 0 else "–"  # a dash before a minus is hard to read
    return f"{spell(min(values))}{separator}{spell(max(values))}"


def first_line(reason: str) -> str:
    """The first line that says anything; the others stay in the record."""
    return next((line.strip() for line in reason.splitlines() if line.strip()), "")


def flatten(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """A nested mapping as (dotted key, text) pairs, in its own order, nothing left out."""
    pairs = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            value = dict(enumerate(value))
        if isinstance(value, Mapping) and value:
            pairs += flatten(value, f"{name}.")
        else:
            pairs.append((name, plain(value)))
    return pairs


def differing(values: Mapping[str, object], peers: Iterable[Mapping[str, object]]) -> str:
    """Those of the values that any of the peers lacks or has otherwise, as "steps 5, batch 32"."""
    others = [dict(flatten(peer)) for peer in peers]
    return ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in flatten(values)
        if any(other.get(name) != value for other in others)
    )


def titled(task: str, values: Mapping[str, object], peers: Iterable[Mapping[str, object]]) -> str:
    """The task's name, with what tells this point of it from its peers."""
    words = differing(values, peers)
    return f"{task} ({words})" if words else task


def plain(value: object) -> str:
    """A value of a profile, a setting or a machine as text."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, list | Mapping) for item in value):
        return ", ".join(plain(item) for item in value) or "[]"
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def markdown(text: str) -> str:
    """Text for a Markdown table cell: nothing in it is markup, and it stays on one line."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # an underscore between letters is literal as it stands, and names are easier to read so
    return re.sub(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", text)
