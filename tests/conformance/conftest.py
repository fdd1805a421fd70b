from __future__ import annotations

from pathlib import Path

import pytest


def _folder(text: str) -> Path:
    return Path(text).expanduser()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--adapter", action="append", default=[], help="only this adapter; may be repeated")
    parser.addoption("--adapters", type=_folder, default=None, help="a folder with more adapters")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per adapter and variant, and one per check of each."""
    from bench.catalogue import discover
    from tests.conformance.suite import CHECKS

    names = metafunc.config.getoption("--adapter", default=[])
    extra = metafunc.config.getoption("--adapters", default=None)
    found = discover(extra)
    for name in names:
        if name not in found:
            raise pytest.UsageError(f"there is no adapter {name!r}: choose from {', '.join(found)}")
    chosen = [adapter for adapter in found.values() if not names or adapter.name in names]
    variants = [
        (adapter, table, variant)
        for adapter in chosen
        for table in CHECKS
        for variant in adapter.variants(table)
    ]
    if "check" in metafunc.fixturenames:
        cases = [(*case, check) for case in variants for check in CHECKS[case[1]]]
        ids = [f"{adapter.name}-{variant}-{check}" for adapter, _, variant, check in cases]
        metafunc.parametrize(("adapter", "table", "variant", "check"), cases, ids=ids)
    elif "variant" in metafunc.fixturenames:
        ids = [f"{adapter.name}-{variant}" for adapter, _, variant in variants]
        metafunc.parametrize(("adapter", "table", "variant"), variants, ids=ids)
    elif "adapter" in metafunc.fixturenames:
        metafunc.parametrize("adapter", chosen, ids=[adapter.name for adapter in chosen])
