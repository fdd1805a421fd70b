"""The comparison report: a pure function of a run folder's records."""

from bench.report.page import write_report

__all__ = ["write_report"]
