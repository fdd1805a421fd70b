"""The page in a real browser: nothing is cut off, missing or said to a console, at any width or theme."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from bench.report.files import write_tables
from bench.report.page import write_report
from tests import browser, builders, test_report, test_report_nef
from tests.browser import Browser
from tests.test_report import PROFILE, certificate

PROGRAM = browser.found()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=f"none of {', '.join(browser.NAMES)} is installed")

# of every figure that is seen: letters that stand out of their picture, by more than rounding
CUT_OFF = """
[...document.querySelectorAll("figure svg")].filter(svg => svg.checkVisibility()).flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const own = text.getBoundingClientRect();
    return own.left < box.left - 1 || own.right > box.right + 1
      || own.top < box.top - 1 || own.bottom > box.bottom + 1;
  }).map(text => svg.getAttribute("aria-label") + ": " + text.textContent);
})
"""
WIDER = """
[...document.querySelectorAll("body *")].filter(each =>
  each.checkVisibility() && !each.closest(".scroll, svg *")
  && each.getBoundingClientRect().right > innerWidth + 1
).map(each => each.tagName + " " + each.className)
"""
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"
BAD = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Network.loadingFailed")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of two families with failures, an open row and certificates."""
    own = builders.cell("own", "csnn", variant="free", division="open", table="open", compared=False)
    records = [
        *(certificate(name) for name in ("torch", "fast")),
        *test_report.mixed(),
        test_report.done(own, 0.4, network="1,000 LIF neurons"),
        *test_report_nef.heat(test_report_nef.simulated(test_report_nef.cell("b"), seconds=2.0)),
    ]
    folder = builders.save(tmp_path_factory.mktemp("run"), records, profile_values=PROFILE)
    write_tables(folder)
    return write_report(folder)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    with browser.browser(PROGRAM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off_or_complained_of(chromium: Browser, page: Path, width: int, theme: str) -> None:
    chromium.open(page, width, prefers_color_scheme=theme)
    chromium.run(OPEN_ALL)
    assert chromium.run("document.documentElement.scrollWidth") <= width
    assert chromium.run(WIDER) == []
    assert chromium.run(CUT_OFF) == []
    assert [event for event in chromium.events if event["method"] in BAD] == []


def test_every_link_resolves(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280)
    links = chromium.run("[...document.querySelectorAll('a')].map(each => each.href)")
    ids = chromium.run("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids)) and len(links) > 20
    for link in links:
        address = urlsplit(link)
        assert address.scheme == "file" and Path(unquote(address.path)).exists(), link
        assert not address.fragment or address.fragment in ids, link


def test_the_overview_is_one_screen(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280)
    bottoms = chromium.run(
        "[...document.querySelectorAll('#overview table, #overview figure.wide')]"
        ".map(each => each.getBoundingClientRect().bottom)"
    )
    assert len(bottoms) == 2 and max(bottoms) < 900


def test_the_keyboard_goes_down_the_page_and_opens_what_is_folded(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280)
    every = chromium.run(
        "[...document.querySelectorAll('a[href], summary')].filter(each => each.checkVisibility()).length"
    )
    chromium.run(
        "window.passed = []; document.addEventListener('focusin', event => passed.push(event.target));"
    )
    for _ in range(every):
        chromium.press("Tab", 9)
    in_order = chromium.run(
        "passed.every((each, n) => !n || passed[n - 1].compareDocumentPosition(each) & 4)"
    )
    assert in_order
    assert chromium.run("passed.filter(each => each.matches('a, summary')).length") >= every - 1


def test_it_can_be_printed(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280)
    assert chromium.printed().startswith(b"%PDF")


def test_both_themes_are_drawn_in_their_own_colours(chromium: Browser, page: Path) -> None:
    grounds = set()
    for theme in ("light", "dark"):
        chromium.open(page, 1280, prefers_color_scheme=theme)
        grounds.add(chromium.run("getComputedStyle(document.body).backgroundColor"))
        width, height = struct.unpack(">II", chromium.picture()[16:24])
        assert (width, height) == (1280, 900)
    assert len(grounds) == 2
