from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from tests.test_walls import PROJECT

PREPARED = ("-o", ".venv/ready", "-o", ".uv/ready")


def recipe(*words: str, **environment: str) -> list[list[str]]:
    """The commands, split as a shell would, that make would run for words on its command line."""
    done = dry_run(*words, **environment)
    done.check_returncode()
    return [shlex.split(line) for line in done.stdout.splitlines()]


def dry_run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--dry-run", *PREPARED, *words],
        cwd=PROJECT,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("target", ["bench", "parity", "report", "compare", "publish", "test", "conform"])
def test_options_are_not_taken_from_the_environment(target: str) -> None:
    names = "PROFILE ONLY DEVICE DATA ENV ADAPTERS RESULTS FRESH RUN PLOTS A B NAME ADAPTER".split()
    assert recipe(target, **dict.fromkeys(names, "elsewhere")) == recipe(target)


@pytest.mark.parametrize(
    "value", ["a b", "it's", 'say "x"', "$HOME/$(HOME)/$$", "a;b", "ö", "$(shell exit 1)"]
)
def test_values_arrive_as_they_were_typed(value: str) -> None:
    (run,) = recipe("bench", f"DATA={value}", "PROFILE=smoke")
    assert run == [".venv/bin/spikebench", "run", "--profile", "smoke", "--data", value]
    (lock,) = recipe("lock", f"ADAPTERS={value}", "NAME=mine")
    assert lock[-3:] == [f"{value}/mine/requirements.in", "--output-file", f"{value}/mine/requirements.txt"]


def test_a_report_is_printed_in_a_format() -> None:
    assert recipe("report", "FORMAT=latex", "RUN=one") == [
        [".venv/bin/spikebench", "report", "one", "--format", "latex"]
    ]
    assert recipe("report", FORMAT="latex") == [[".venv/bin/spikebench", "report"]]


def test_another_torch_than_the_locks_is_refused_in_one_line() -> None:
    done = dry_run("bench", "TORCH_BACKEND=cu126")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "TORCH_BACKEND asks for another torch" in done.stderr and "ENV=current" in done.stderr


def test_the_conformance_suite_takes_a_device() -> None:
    (run,) = recipe("conform", "DEVICE=cuda", "ADAPTER=mine")
    assert run[3:] == [
        "-rs",
        "tests/conformance/test_conformance.py",
        "--adapter",
        "mine",
        "--device",
        "cuda",
    ]
