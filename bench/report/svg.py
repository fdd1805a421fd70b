"""The SVG of matplotlib, said in fewer words: a page holds dozens of them."""

from __future__ import annotations

import re

_FONT = re.compile(r" font-family: [^;\"]*;")
_MARKS = re.compile(r'<g(?P<clip>( clip-path="[^"]*")?)>\n(?P<marks>(\s*<use [^>]*/>\n)+)')
_NO_ROTATION = re.compile(r' transform="rotate\(-0 [^"]*"')
_PLACES = re.compile(r'(?<= [xy]=")-?\d+\.\d+(?=")')
_STYLE = re.compile(r'(?<= style=")[^"]*')


def compact(svg: str) -> str:
    """The same picture; to a hundredth of a point, which is finer than any screen."""
    svg = re.sub(r'(?<= d=")[^"]*', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    svg = _PLACES.sub(lambda value: f"{float(value[0]):.2f}", _NO_ROTATION.sub("", svg))
    if font := _FONT.search(svg):  # said once, and not with every word
        svg = _FONT.sub("", svg).replace("</style>", f"text{{{font[0].strip()}}}</style>", 1)
    svg = _MARKS.sub(_styled_together, svg)
    svg = _STYLE.sub(lambda style: style[0].replace(": ", ":").replace("; ", ";"), svg)
    return re.sub(r"\n +", "\n", svg).replace(" xlink:href=", " href=")


def _styled_together(marks: re.Match[str]) -> str:
    """The markers of one line with their style said once."""
    styles = set(re.findall(r' style="([^"]*)"', marks[0]))
    if len(styles) != 1:
        return marks[0]
    bare = re.sub(r' style="[^"]*"', "", marks["marks"])
    return f'<g{marks["clip"]} style="{styles.pop()}">\n{bare}'
