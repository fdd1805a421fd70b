"""docs/reliability.md names tests that exist, so that whoever runs all tests runs them."""

from __future__ import annotations

import ast
import re

from bench.catalogue import PROJECT

PAGE = PROJECT / "docs" / "reliability.md"
NAMED = re.compile(r"`(tests/\w+\.py)::(\w+)`")


def _tests(path: str) -> set[str]:
    """The functions of a file that pytest takes for tests."""
    file = PROJECT / path
    if not file.exists():
        return set()
    tree = ast.parse(file.read_text())
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    }


def test_every_fault_has_a_test_that_exists() -> None:
    text = PAGE.read_text()
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith(("| fault", "| ---"))
    ]
    assert len(rows) > 50
    assert all(NAMED.search(row.rpartition(" | ")[2]) for row in rows)
    missing = {f"{path}::{name}" for path, name in NAMED.findall(text) if name not in _tests(path)}
    assert not missing
