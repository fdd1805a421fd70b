from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.catalogue import Adapter


def _folder(text: str) -> Path:
    return Path(text).expanduser()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--adapter", action="append", default=[], help="only this adapter; may be repeated")
    parser.addoption("--check", action="append", default=[], help="only this check; may be repeated")
    parser.addoption("--device", choices=("cpu", "cuda"), default="cpu", help="where adapters compute")
    parser.addoption("--adapters", type=_folder, default=None, help="a folder with more adapters")


def _name(case: tuple[Adapter, str, str]) -> str:
    adapter, _, variant = case
    return f"{adapter.name}-{variant}"


def _chosen(config: pytest.Config) -> list[Adapter]:
    from bench.catalogue import discover

    names = config.getoption("--adapter", default=[])
    found = discover(config.getoption("--adapters", default=None))
    if unknown := [name for name in names if name not in found]:
        raise pytest.UsageError(f"there is no adapter {unknown[0]!r}: choose from {', '.join(found)}")
    return [adapter for adapter in found.values() if not names or adapter.name in names]


def pytest_configure(config: pytest.Config) -> None:
    """Say what was asked wrongly before anything begins."""
    from bench.environments import unlocked
    from tests.conformance.suite import CHECKS

    for adapter in _chosen(config):
        if reason := unlocked(adapter):
            raise pytest.UsageError(reason)
    known = dict.fromkeys(check for table in CHECKS.values() for check in table)
    for check in config.getoption("--check", default=[]):
        if check not in known:
            raise pytest.UsageError(f"there is no check {check!r}: choose from {', '.join(known)}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per adapter and variant, and one per check of each."""
    from tests.conformance.suite import CHECKS

    chosen = _chosen(metafunc.config)
    checks = metafunc.config.getoption("--check", default=[])
    variants = [
        (adapter, table, variant)
        for adapter in chosen
        for table in CHECKS
        for variant in adapter.variants(table)
    ]
    if "check" in metafunc.fixturenames:
        cases = [
            pytest.param(*case, check, id=f"{_name(case)}-{check}")
            for case in variants
            for check in CHECKS[case[1]]
            if not checks or check in checks
        ]
        metafunc.parametrize(("adapter", "table", "variant", "check"), cases)
    elif "variant" in metafunc.fixturenames:
        some = [pytest.param(*case, id=_name(case)) for case in variants]
        metafunc.parametrize(("adapter", "table", "variant"), some)
    elif "adapter" in metafunc.fixturenames:
        metafunc.parametrize("adapter", chosen, ids=[adapter.name for adapter in chosen])


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """A check's own seconds beside its outcome: the suite runs them all in one process."""
    seconds = dict(report.user_properties).get("seconds")
    if report.when != "call" or not isinstance(seconds, float):
        return None
    letter = {"passed": ".", "skipped": "s"}.get(report.outcome, "F")
    return report.outcome, letter, f"{report.outcome.upper()} {seconds:.1f} s"
