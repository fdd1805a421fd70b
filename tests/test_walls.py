"""The walls between the folders, read from the imports and names in their code.

python -m tests.test_walls      writes the table of walls in CONTRIBUTING.md again
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
CONTRIBUTING = PROJECT / "CONTRIBUTING.md"
FOLDERS = ("tasks", "bench", "adapters", "scripts", "tests")
HARNESS = (
    "jinja2", "markupsafe", "matplotlib", "numpy", "pandas", "psutil", "pydantic", "pynvml", "rich", "scipy",
    "seaborn", "tensorboardX", "typer",
)  # fmt: skip
# requirements.in names packages; these have modules of other names
MODULES = {"tensorflow": ("tensorflow", "keras")}
# adapters, and packages that they require, that are no framework
NO_FRAMEWORKS = {"limit", "numpy", "scipy", "threadpoolctl", "torchvision", "triton"}


@dataclass(frozen=True, slots=True)
class Wall:
    """A folder, what its code may import besides the standard library, and what else holds for it.

    ``rules`` find the violations in a copy of the project, a line each.
    """

    folder: str
    may: str
    besides: str
    rules: tuple[Callable[[Path], list[str]], ...]


def imports(path: Path, root: Path) -> tuple[str, ...]:
    """Full names of the modules that a file imports, wherever in it: ``from a import b`` is ``a.b``."""
    return _imports(path.read_text(encoding="utf-8"), path.relative_to(root).parent.parts)


@cache  # by the text: most files are the same in every copy of the project
def _imports(text: str, package: tuple[str, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [f"{base}.{alias.name}" for alias in node.names]
    return tuple(found)


def foreign(root: Path, pattern: str, may: set[str]) -> list[str]:
    """Imports, in the files of a glob pattern, of what is neither the standard library's nor in ``may``.

    Whoever may import ``a`` may import ``a.b``.
    """
    found = []
    for path in sorted(root.glob(pattern)):
        for name in imports(path, root):
            parts = name.split(".")
            prefixes = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
            if parts[0] not in sys.stdlib_module_names and not prefixes & may:
                found.append(f"{path.relative_to(root)} imports {name}")
    return found


def family_names(root: Path) -> list[str]:
    """The packages in tasks/ that have a FAMILY."""
    return sorted(
        path.parent.name for path in root.glob("tasks/*/__init__.py") if "FAMILY" in path.read_text("utf-8")
    )


def adapter_names(root: Path) -> list[str]:
    """The folders in adapters/ that are adapters, not shared code."""
    return sorted(path.parent.name for path in root.glob("adapters/*/adapter.toml"))


def requirements(folder: Path) -> set[str]:
    """Names of the packages in its requirements.in, as modules are spelt."""
    lines = (folder / "requirements.in").read_text(encoding="utf-8").splitlines()
    names = (re.match(r"[A-Za-z][\w.-]*", line.strip()) for line in lines)
    return {name[0].lower().replace("-", "_") for name in names if name}


@cache
def words(text: str, suffix: str) -> frozenset[str]:
    """Words of the names in a file's code, and of its texts without a space: no comments, no prose.

    In a template, the words between {{ }} and {% %}.
    """
    if suffix == ".j2":
        names = re.findall(r"\{[{%].*?[%}]\}", text, re.DOTALL)
    else:
        names = []
        for node in ast.walk(ast.parse(text)):
            for field, value in ast.iter_fields(node):
                if isinstance(value, str) and not (field == "value" and re.search(r"\s", value)):
                    names.append(value)
                elif isinstance(value, list):
                    names += [each for each in value if isinstance(each, str)]
    found = set[str]()
    for name in names:
        for part in re.findall(r"[A-Za-z0-9]+", name):
            found |= {part.lower(), *(bit.lower() for bit in re.findall(r"[A-Z]*[a-z0-9]+|[A-Z]+", part))}
    return frozenset(found)


def naming(root: Path, patterns: tuple[str, ...], names: Callable[[Path], set[str]]) -> list[str]:
    """Files of some glob patterns with one of the names in them that each must not have."""
    found = []
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        its = words(path.read_text(encoding="utf-8"), path.suffix)
        found += [f"{path.relative_to(root)} names {name}" for name in sorted(names(path) & its)]
    return found


def tasks_import_numpy_and_tasks(root: Path) -> list[str]:
    """tasks/*.py."""
    return foreign(root, "tasks/*.py", {"numpy", "tasks"})


def a_family_imports_no_other(root: Path) -> list[str]:
    """tasks/<family>/."""
    shared = {f"tasks.{path.stem}" for path in root.glob("tasks/*.py")}
    found = []
    for folder in sorted(root.glob("tasks/*/")):
        may = {"numpy", *shared, f"tasks.{folder.name}"}
        found += foreign(root, f"tasks/{folder.name}/**/*.py", may)
    return found


def shared_task_code_names_no_family(root: Path) -> list[str]:
    """tasks/*.py, the worker among them."""
    names = set(family_names(root))
    return naming(root, ("tasks/*.py",), lambda path: names)


def adapters_import_their_framework(root: Path) -> list[str]:
    """adapters/<name>/ and the folders that it uses."""
    found = []
    for name in adapter_names(root):
        folder = root / "adapters" / name
        packages = {module for each in requirements(folder) for module in MODULES.get(each, (each,))}
        own = {name, *used(folder)}
        may = {"numpy", "tasks", *packages, *(f"adapters.{each}" for each in own)}
        for each in sorted(own):
            found += foreign(root, f"adapters/{each}/**/*.py", may)
    return list(dict.fromkeys(found))


def used(folder: Path) -> set[str]:
    """What an adapter.toml says under ``uses``."""
    return set(tomllib.loads((folder / "adapter.toml").read_text(encoding="utf-8")).get("uses", []))


def uses_is_what_is_imported(root: Path) -> list[str]:
    """adapters/<name>/adapter.toml."""
    found = []
    for name in adapter_names(root):
        reached, waiting = {name}, [name]
        while waiting:
            for path in root.glob(f"adapters/{waiting.pop()}/**/*.py"):
                siblings = {p.split(".")[1] for p in imports(path, root) if p.startswith("adapters.")}
                waiting += siblings - reached
                reached |= siblings
        said = used(root / "adapters" / name)
        found += [
            f"adapters/{name} uses {each} and doesn't say so" for each in sorted(reached - said - {name})
        ]
        found += [f"adapters/{name} doesn't use {each}, as it says" for each in sorted(said - reached)]
    return found


def bench_imports_its_libraries(root: Path) -> list[str]:
    """bench/."""
    return foreign(root, "bench/**/*.py", {*HARNESS, "bench", "tasks"})


def bench_names_families_in_pages_only(root: Path) -> list[str]:
    """bench/, but for report/<family>.py."""
    names = family_names(root)

    def others(path: Path) -> set[str]:
        page = path.stem if path.parent == root / "bench" / "report" else ""
        return {name for name in names if name != page}

    return naming(root, ("bench/**/*.py", "bench/**/*.j2"), others)


def no_framework_is_named(root: Path) -> list[str]:
    """bench/ and tasks/."""
    adapters = adapter_names(root)
    packages = set[str]().union(*(requirements(root / "adapters" / name) for name in adapters))
    names = {*adapters, *packages} - NO_FRAMEWORKS
    return naming(root, ("bench/**/*.py", "bench/**/*.j2", "tasks/**/*.py"), lambda path: names)


def nobody_imports_scripts_and_tests(root: Path) -> list[str]:
    """All folders; but scripts may import scripts, and tests both."""
    may = {"tests": {"scripts", "tests"}, "scripts": {"scripts"}}
    found = []
    for folder in FOLDERS:
        barred = {"scripts", "tests"} - may.get(folder, set())
        for path in sorted((root / folder).rglob("*.py")):
            names = [name for name in imports(path, root) if name.split(".")[0] in barred]
            found += [f"{path.relative_to(root)} imports {name}" for name in names]
    return found


# The only packages that can be found from here on are these three.
BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "tasks"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
"""
IMPORT_ALL = """
import importlib
root, outsider, *modules = sys.argv[1:]
sys.path.insert(0, root)
try:
    importlib.import_module(outsider)
    print(f"the block doesn't block: {outsider} can be imported")
except ImportError:
    pass
for module in modules:
    try:
        importlib.import_module(module)
    except ImportError as error:
        print(f"{module}: {error}")
"""
OUTSIDER = "pydantic"  # a package that is installed and must not be found


def tasks_need_no_other_package(root: Path, block: str = BLOCK) -> list[str]:
    """tasks/, in a process in which nothing but the standard library, NumPy and tasks can be found."""
    assert find_spec(OUTSIDER)
    files = (path.relative_to(root).with_suffix("") for path in sorted(root.glob("tasks/**/*.py")))
    modules = [".".join(path.parts).removesuffix(".__init__") for path in files]
    program = f"import sys\n{block}{IMPORT_ALL}"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", program, root, OUTSIDER, *modules],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


WALLS = (
    Wall(
        "`tasks/*.py`",
        "numpy, tasks",
        "names no family; imports where every other package is blocked",
        (
            tasks_import_numpy_and_tasks,
            shared_task_code_names_no_family,
            tasks_need_no_other_package,
        ),
    ),
    Wall(
        "`tasks/<family>/`",
        "numpy, `tasks/*.py`, itself",
        "names no framework",
        (a_family_imports_no_other, no_framework_is_named),
    ),
    Wall(
        "`adapters/<name>/`",
        "numpy, tasks, what its requirements.in names, the folders beside it that it uses",
        "`uses` in adapter.toml is exactly what is imported",
        (adapters_import_their_framework, uses_is_what_is_imported),
    ),
    Wall(
        "`bench/`",
        f"{', '.join(HARNESS)}, bench, tasks",
        "never adapters; names no framework, and a family only in that family's `report/<family>.py`",
        (bench_imports_its_libraries, bench_names_families_in_pages_only, no_framework_is_named),
    ),
    Wall(
        "`scripts/`",
        "anything",
        "imported by scripts and tests alone",
        (nobody_imports_scripts_and_tests,),
    ),
    Wall("`tests/`", "anything", "imported by nobody else", (nobody_imports_scripts_and_tests,)),
)
RULES = list(dict.fromkeys(rule for wall in WALLS for rule in wall.rules))
TABLE = "\n".join(
    [
        "| folder | imports, besides the standard library | and |",
        "| --- | --- | --- |",
        *(f"| {wall.folder} | {wall.may} | {wall.besides} |" for wall in WALLS),
    ]
)
_BLOCK = re.compile(r"(<!-- walls -->\n).*?(\n<!-- end of walls -->)", re.DOTALL)


def renewed(text: str) -> str:
    """The text of CONTRIBUTING.md with the present table."""
    return _BLOCK.sub(lambda found: f"{found[1]}{TABLE}{found[2]}", text)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps(rule: Callable[[Path], list[str]]) -> None:
    assert rule(PROJECT) == []


def test_contributing_has_this_table() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    assert _BLOCK.search(text)
    assert renewed(text) == text, "run: python -m tests.test_walls"


# rule, a file of the copy, what is added to it, the violation
PLANTED: list[tuple[Callable[[Path], list[str]], str, str, str]] = [
    (tasks_import_numpy_and_tasks, "tasks/measuring.py", "import pandas", "imports pandas"),
    (
        tasks_import_numpy_and_tasks,
        "tasks/new.py",
        "def f() -> None:\n    from bench.records import Cell",
        "imports bench.records.Cell",
    ),
    (a_family_imports_no_other, "tasks/nef/new.py", "from tasks.classify import spec", "tasks.classify.spec"),
    (a_family_imports_no_other, "tasks/nef/new.py", "from ..classify import spec", "tasks.classify.spec"),
    (a_family_imports_no_other, "tasks/classify/new.py", "import scipy.stats", "imports scipy.stats"),
    (shared_task_code_names_no_family, "tasks/worker.py", 'USUAL = "nef"', "worker.py names nef"),
    (shared_task_code_names_no_family, "tasks/worker.py", "def run_nef() -> None: ...", "names nef"),
    (shared_task_code_names_no_family, "tasks/protocol.py", "from .classify import spec", "names classify"),
    (
        tasks_need_no_other_package,
        "tasks/nef/__init__.py",
        "__import__('yaml')",
        "yaml is blocked",
    ),
    (tasks_need_no_other_package, "tasks/worker.py", "import adapters", "adapters is blocked"),
    (adapters_import_their_framework, "adapters/norse/new.py", "import snntorch", "imports snntorch"),
    (adapters_import_their_framework, "adapters/torch/new.py", "from bench import run", "imports bench.run"),
    (adapters_import_their_framework, "adapters/torch_family/new.py", "import norse", "imports norse"),
    (
        adapters_import_their_framework,
        "adapters/torch/new.py",
        "from adapters.nengo_family import nef",
        "imports adapters.nengo_family.nef",
    ),
    (
        uses_is_what_is_imported,
        "adapters/torch/new.py",
        "from adapters.nengo_family import nef",
        "adapters/torch uses nengo_family and doesn't say so",
    ),
    (
        uses_is_what_is_imported,
        "adapters/torch_family/new.py",
        "import adapters.nengo_family.nef",
        "adapters/norse uses nengo_family and doesn't say so",
    ),
    (bench_imports_its_libraries, "bench/new.py", "import adapters.torch", "imports adapters.torch"),
    (bench_imports_its_libraries, "bench/report/new.py", "import torch", "imports torch"),
    (bench_imports_its_libraries, "bench/new.py", "from scripts import readme", "imports scripts.readme"),
    (bench_names_families_in_pages_only, "bench/plan.py", 'KIND = "nef"', "plan.py names nef"),
    (bench_names_families_in_pages_only, "bench/new.py", "import tasks.classify", "names classify"),
    (bench_names_families_in_pages_only, "bench/new.py", "class NefPage: ...", "names nef"),
    (bench_names_families_in_pages_only, "bench/report/nef.py", "CLASSIFY = 1", "nef.py names classify"),
    (bench_names_families_in_pages_only, "bench/nef.py", "NEF = 1", "bench/nef.py names nef"),
    (bench_names_families_in_pages_only, "bench/report/x.j2", "{% if task.nef %}", "x.j2 names nef"),
    (no_framework_is_named, "bench/new.py", 'FIRST = "torch"', "names torch"),
    (no_framework_is_named, "tasks/classify/new.py", "uses_norse = True", "names norse"),
    (no_framework_is_named, "tasks/new.py", "NengoSimulator = None", "names nengo"),
    (
        nobody_imports_scripts_and_tests,
        "scripts/new.py",
        "from tests import harness",
        "tests.harness",
    ),
    (nobody_imports_scripts_and_tests, "tasks/new.py", "import scripts.readme", "scripts.readme"),
    (nobody_imports_scripts_and_tests, "adapters/torch/new.py", "from tests import x", "tests.x"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Path, bytes]]:
    """A copy of the project's code, and what its files hold."""
    root = tmp_path_factory.mktemp("project")
    for folder in FOLDERS:
        shutil.copytree(
            PROJECT / folder,
            root / folder,
            ignore=shutil.ignore_patterns("__pycache__", "*.npz", "*.txt"),
        )
    return root, {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def copy(whole: tuple[Path, dict[Path, bytes]]) -> Iterator[Path]:
    """The folder of that copy, which is as it was again after every test."""
    root, files = whole
    yield root
    for path in root.rglob("*"):
        if path.is_file() and path not in files:
            path.unlink()
    for path, content in files.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("rule", "file", "text", "violation"),
    PLANTED,
    ids=[f"{rule.__name__}-{file}-{number}" for number, (rule, file, _, _) in enumerate(PLANTED)],
)
def test_a_planted_violation_is_found(
    copy: Path, rule: Callable[[Path], list[str]], file: str, text: str, violation: str
) -> None:
    with (copy / file).open("a", encoding="utf-8") as target:
        target.write(f"\n{text}\n")
    assert violation in "\n".join(rule(copy))


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, *_ in PLANTED} == set(RULES)


def test_what_an_adapter_no_longer_uses_is_found(copy: Path) -> None:
    path = copy / "adapters" / "torch" / "adapter.toml"
    path.write_text(path.read_text().replace('uses = ["', 'uses = ["nengo_family", "'))
    assert uses_is_what_is_imported(copy) == ["adapters/torch doesn't use nengo_family, as it says"]


def test_prose_may_name_frameworks_and_families(copy: Path) -> None:
    (copy / "bench" / "new.py").write_text(
        '"""As in torch, and the nef tasks."""\n# torch, nef\nX = "a nef cell"\n'
    )
    assert "new.py" not in "".join(no_framework_is_named(copy) + bench_names_families_in_pages_only(copy))


def test_a_block_that_does_not_block_is_found() -> None:
    found = tasks_need_no_other_package(PROJECT, block="")
    assert f"the block doesn't block: {OUTSIDER} can be imported" in found


def test_a_family_is_called_as_its_folder() -> None:
    from tasks.families import families

    assert list(families()) == family_names(PROJECT)


if __name__ == "__main__":
    CONTRIBUTING.write_text(renewed(CONTRIBUTING.read_text(encoding="utf-8")), encoding="utf-8")
