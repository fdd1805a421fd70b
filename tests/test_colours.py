"""Whether every colour is seen on its ground and told apart, also by readers who see no red or no green."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.report import drawing
from bench.report.drawing import COLOURS, LIMIT, PAPER, shipped_frameworks, styles
from tests.builders import cell

Float = NDArray[np.float64]

STYLE = Path(drawing.__file__).parent / "templates" / "style.css"
CONTRAST = 3.0  # of graphics to their ground, after WCAG 2.1
FAR, FAR_ENOUGH = 25.0, 15.0  # distances in CIE Lab, of what everybody sees and of what some see
# of linear RGB, after Machado, Oliveira and Fernandes 2009, at full severity
SIGHT = {
    "all": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ.sum(axis=1)


def linear(colour: str) -> Float:
    """#rrggbb as linear RGB."""
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((float((TO_XYZ @ linear(each))[1]) for each in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str, sight: str) -> Float:
    seen = np.clip(SIGHT[sight] @ linear(colour), 0, 1)
    share = TO_XYZ @ seen / WHITE
    x, y, z = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def grounds() -> list[str]:
    """What plots stand on: in the file, and in the page's light and dark theme."""
    return [PAPER, *re.findall(r"--paper: (#\w{6})", STYLE.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("colour", [*COLOURS, LIMIT])
def test_every_colour_is_seen_on_its_ground(colour: str) -> None:
    assert len(set(grounds())) == 2
    assert all(contrast(colour, ground) >= CONTRAST for ground in grounds())


@pytest.mark.parametrize("sight", SIGHT)
def test_every_two_colours_are_told_apart(sight: str) -> None:
    least = FAR if sight == "all" else FAR_ENOUGH
    for one, other in combinations([*COLOURS, LIMIT], 2):
        assert np.linalg.norm(lab(one, sight) - lab(other, sight)) >= least, (one, other)


def test_the_measure_tells_colours_that_are_confused() -> None:
    red, green = "#dd0000", "#5f7f00"
    assert np.linalg.norm(lab(red, "all") - lab(green, "all")) > FAR
    assert np.linalg.norm(lab(red, "no green") - lab(green, "no green")) < np.linalg.norm(
        lab(red, "all") - lab(green, "all")
    )
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_a_framework_has_its_colour_in_every_run() -> None:
    one, other, *_ = shipped_frameworks()
    assert len(shipped_frameworks()) <= len(COLOURS)
    alone = styles([cell(other)])[other, "plain"].colour
    assert styles([cell(other), cell(one), cell("a newcomer")])[other, "plain"].colour == alone
