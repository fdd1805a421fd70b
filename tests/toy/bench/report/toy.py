"""The page of the family that sorts numbers."""

from __future__ import annotations

from bench.report.pages import Page

PAGE = Page(
    quality="rmse",
    pace="epoch_seconds",
    others=("build_seconds", "host_peak_bytes"),
    proof="wrong places",
    terms=(("wrong places", "How many numbers are not where they belong."),),
)
