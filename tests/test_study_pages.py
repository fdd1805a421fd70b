from __future__ import annotations

from types import ModuleType

import pytest

from scripts import gray_page, printed_page


@pytest.mark.parametrize("page", [gray_page, printed_page])
def test_its_figures_are_those_that_were_found(page: ModuleType) -> None:
    text = page.TEXT.read_text(encoding="utf-8")
    assert "<!-- figures -->" in text
    assert page.renewed(text) == text


def test_a_changed_figure_would_show() -> None:
    text = gray_page.TEXT.read_text(encoding="utf-8")
    assert gray_page.renewed(text.replace("| gray | ", "| gray | 9", 1)) == gray_page.renewed(text)
    assert gray_page.renewed("no block") == "no block"
