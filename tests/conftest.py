from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import cli, session
from tasks import images
from tests.harness import Bench, checksums, write_mnist


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
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(
    tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """The command in the test's own process, for what ends before a worker starts."""
    monkeypatch.setattr(session, "RUNS", tmp_path / "runs")
    for name, checksum in checksums(mnist).items():
        monkeypatch.setitem(images.CHECKSUMS, name, checksum)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["spikebench", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, *capfd.readouterr())

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
