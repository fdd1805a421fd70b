"""The table of docs/as-printed.md, from the trainings of scripts/as_printed.py: no figure is typed by hand.

python -m scripts.printed_page      rewrites the block between "figures" and "end of figures"
"""

from __future__ import annotations

import json
from typing import Any

from scripts.study_tables import PROJECT, spell, table, with_figures

FOLDER = PROJECT / "results" / "published" / "as-printed"
TEXT = PROJECT / "docs" / "as-printed.md"


def tables(found: list[dict[str, Any]]) -> str:
    """What was trained, and a line for every framework and way."""
    first = found[0]
    rows = [
        [
            each["framework"],
            way["reset"],
            way["loss"],
            spell(way["accuracies"]) if way["accuracies"] else "–",
            str(len(way["accuracies"])),
            f"ends with: {way['error']}" if way["error"] else "runs",
        ]
        for each in found
        for way in each["ways"]
    ]
    return (
        f"{first['network']}; step by step, {first['training images']:,} training and "
        f"{first['test images']:,} test images, batch {first['batch']}, {first['epochs']} epochs, "
        f"{first['device']}, {first['date']}. Test accuracy in %: the mean over seeds and its 95 % interval."
        f"\n\n{table(['framework', 'reset', 'loss', 'test accuracy', 'seeds', 'what happens'], rows)}\n"
    )


def renewed(text: str) -> str:
    """The text with its block made again from what is kept."""
    paths = sorted(FOLDER.glob("*.json"))
    return with_figures(text, tables([json.loads(path.read_text(encoding="utf-8")) for path in paths]))


if __name__ == "__main__":
    TEXT.write_text(renewed(TEXT.read_text(encoding="utf-8")), encoding="utf-8")
