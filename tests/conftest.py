from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from bench import cli
from bench.measure import peaks
from bench.measure.limits import usable_cores
from bench.report.files import write_tables
from tasks import images as sets
from tasks.classify import images
from tests.harness import Bench, no_peaks, small_dataset, write_mnist


class OneProcessAModule(LoadScopeScheduling):
    """One process tests a module, or of the conformance suite a variant: fixtures are made once."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        if not module.endswith("test_conformance.py"):
            return module
        adapter_and_variant = test.partition("[")[2].rstrip("]").split("-")[:2]
        return f"{module} {adapter_and_variant}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessAModule:
    return OneProcessAModule(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: many tests wait for processes and time limits."""
    return usable_cores() + 1


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic MNIST."""
    return write_mnist(tmp_path_factory.mktemp("mnist"))


@pytest.fixture
def bench(tmp_path: Path, mnist: Path) -> Iterator[Bench]:
    """The command in processes of its own."""
    with Bench(tmp_path, mnist) as bench:
        yield bench


@dataclass(frozen=True)
class Said:
    """How a command ended; ``runs`` are the run folders that there are then, oldest first."""

    code: int
    out: str
    err: str
    runs: list[Path]


Command = Callable[..., Said]
WHOLE_REPORT = cli._report
WITH_RESULTS = ("run", "parity", "report", "compare", "publish")


@pytest.fixture
def command(
    tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """The command in the test's own process, with its results in ``tmp_path``/results.

    Runs end with their tables, unless the test takes ``reports`` as well.
    """
    monkeypatch.setattr(peaks, "measure", no_peaks)
    monkeypatch.setattr(cli, "_report", write_tables)
    for module in (images, sets):
        monkeypatch.setattr(module, "MNIST", small_dataset(mnist))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    results = tmp_path / "results"

    def call(name: str, *words: object) -> Said:
        words = ("--results", results, *words) if name in WITH_RESULTS else words
        monkeypatch.setattr(sys, "argv", ["spikebench", name, *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, *capfd.readouterr(), runs=sorted((results / "runs").glob("2*")))

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def reports(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of ``command`` ends with its report, which takes longer than all else."""
    monkeypatch.setattr(cli, "_report", WHOLE_REPORT)
