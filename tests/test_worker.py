from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.protocol import Unsupported
from bench import worker
from bench.adapters import PROJECT
from bench.outcomes import Diverged, Wrong
from tasks.classify import TASKS
from tests.harness import is_gone, wait_until

PACKAGES = {
    "jinja2",
    "matplotlib",
    "numpy",
    "pandas",
    "psutil",
    "pydantic",
    "pynvml",
    "rich",
    "seaborn",
    "typer",
}
BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "bench", "tasks", "adapters"}:
            raise ImportError(f"{name} is not for workers")

sys.meta_path.insert(0, Block())
try:
    import pydantic
except ImportError:
    import bench.worker
"""


def test_the_worker_needs_numpy_alone() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", BLOCKED], cwd=PROJECT, check=True)


def imported(folder: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((PROJECT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: a relative import"
                yield path, node.module or ""


@pytest.mark.parametrize(
    ("folder", "own", "packages"),
    [
        ("tasks", {"tasks"}, {"numpy"}),
        ("bench", {"bench", "tasks"}, PACKAGES | {"markupsafe"}),
    ],
)
def test_no_framework_and_no_adapter_is_imported(folder: str, own: set[str], packages: set[str]) -> None:
    names = list(imported(folder))
    assert len(names) > 20
    for path, name in names:
        top = name.partition(".")[0]
        if folder == "bench" and name in ("adapters", "adapters.protocol"):
            continue
        assert top in own | packages | sys.stdlib_module_names, f"{path} imports {name}"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (Unsupported("no kernel\nfor it"), "skipped", "no kernel"),
        (Wrong("other work"), "wrong", "other work"),
        (Diverged("not finite"), "diverged", "not finite"),
        (MemoryError(), "out_of_memory", "MemoryError"),
        (
            RuntimeError("CUDA out of memory. Tried to"),
            "out_of_memory",
            "RuntimeError: CUDA out of memory. Tried to",
        ),
        (
            RuntimeError("[enforce] can't allocate memory"),
            "out_of_memory",
            "RuntimeError: [enforce] can't allocate memory",
        ),
        (ValueError("\n first\nsecond"), "error", "ValueError: first"),
        (KeyError("x"), "error", "KeyError: 'x'"),
    ],
)
def test_an_exception_is_a_status_and_one_line(error: Exception, status: str, reason: str) -> None:
    assert (worker._status(error), worker._reason(error)) == (status, reason)


@pytest.mark.parametrize(
    ("rates", "error", "words"),
    [
        (np.full((4, 9), 0.5), Wrong, r"shape \(4, 9\), expected \(4, 10\)"),
        (np.full((3, 10), 0.5), Wrong, r"shape \(3, 10\), expected \(4, 10\)"),
        (np.full((4, 10), np.nan), Diverged, "no longer finite"),
        (np.full((4, 10), np.inf), Diverged, "no longer finite"),
        (np.full((4, 10), 1.1), Wrong, "from 1.1 to 1.1, outside 0 to 1"),
        (np.full((4, 10), -0.1), Wrong, "outside 0 to 1"),
    ],
)
def test_rates_that_are_none(rates: np.ndarray, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        worker._checked(TASKS["fc_lif"](), rates, 4)


JOB = {"kind": "certify", "adapter": "sleeper", "adapters": "", "settings": {}}
SLEEPER = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
new = pathlib.Path(__file__).with_name("new")
new.write_text(str(child.pid))
new.rename(new.with_name("pid"))
time.sleep(600)
"""


def test_a_worker_whose_harness_is_gone_ends_with_its_children(tmp_path: Path) -> None:
    adapter = tmp_path / "sleeper"
    adapter.mkdir()
    (adapter / "adapter.py").write_text(SLEEPER)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.worker"],
        cwd=PROJECT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(json.dumps(JOB | {"adapters": str(tmp_path)}) + "\n")
    process.stdin.flush()
    wait_until((adapter / "pid").exists)
    child = int((adapter / "pid").read_text())
    assert not is_gone(child)
    process.stdin.close()
    assert process.wait() != 0
    wait_until(lambda: is_gone(child))


def test_an_interpreter_at_hand_may_lack_a_framework(tmp_path: Path) -> None:
    """A locked environment may not: there it is an error of the lock."""
    (tmp_path / "lacking").mkdir()
    (tmp_path / "lacking" / "adapter.py").write_text("import no_such_framework.part\n")
    job = {"adapter": "lacking", "adapters": str(tmp_path)}
    with pytest.raises(Unsupported, match="the interpreter at hand has no no_such_framework"):
        worker.run(job | {"environment": "current"}, lambda event: None)
    with pytest.raises(ModuleNotFoundError):
        worker.run(job | {"environment": "locked"}, lambda event: None)
