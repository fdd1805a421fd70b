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
    parser.addoption("--device", choices=("cpu", "cuda"), default="cpu", help="where adapters compute")
    parser.addoption("--adapters", type=_folder, default=None, help="a folder with more adapters")


def _name(case: tuple[Adapter, str, str]) -> str:
    adapter, _, variant = case
    return f"{adapter.name}-{variant}"


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
        cases = [
            pytest.param(*case, check, id=f"{_name(case)}-{check}")
            for case in variants
            for check in CHECKS[case[1]]
        ]
        metafunc.parametrize(("adapter", "table", "variant", "check"), cases)
    elif "variant" in metafunc.fixturenames:
        some = [pytest.param(*case, id=_name(case)) for case in variants]
        metafunc.parametrize(("adapter", "table", "variant"), some)
    elif "adapter" in metafunc.fixturenames:
        metafunc.parametrize("adapter", chosen, ids=[adapter.name for adapter in chosen])
