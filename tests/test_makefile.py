from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.test_walls import PROJECT

PREPARED = ("-o", ".venv/ready", "-o", ".uv/ready")
SPIKEBENCH = [".venv/bin/python", "-E", "-m", "bench"]


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
    "value", ["a b", "a  b", "~me", "it's", 'say "x"', "$HOME/$(HOME)/$$", "a;b", "ö", "$(shell exit 1)"]
)
def test_values_arrive_as_they_were_typed(value: str) -> None:
    (run,) = recipe("bench", f"DATA={value}", "PROFILE=smoke")
    assert run == [*SPIKEBENCH, "run", "--profile", "smoke", "--data", value]
    (lock,) = recipe("lock", f"ADAPTERS={value}", "NAME=mine")
    assert lock[-3:] == [f"{value}/mine/requirements.in", "--output-file", f"{value}/mine/requirements.txt"]


def test_a_report_is_printed_in_a_format() -> None:
    assert recipe("report", "FORMAT=latex", "RUN=one") == [
        [*SPIKEBENCH, "report", "one", "--format", "latex"]
    ]
    assert recipe("report", FORMAT="latex") == [[*SPIKEBENCH, "report"]]


def test_another_torch_than_the_locks_is_refused_in_one_line() -> None:
    done = dry_run("bench", "TORCH_BACKEND=cu126")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "TORCH_BACKEND asks for another torch" in done.stderr and "ENV=current" in done.stderr


def test_the_conformance_suite_takes_a_device() -> None:
    (run,) = recipe("conform", "DEVICE=cuda", "ADAPTER=mine")
    assert run[4:] == [
        "-v",
        "-rs",
        "tests/conformance/test_conformance.py",
        "--adapter",
        "mine",
        "--device",
        "cuda",
    ]


def test_a_home_in_a_folder_of_adapters_is_written_out() -> None:
    (lock,) = recipe("lock", "ADAPTERS=~/my  own", "NAME=mine", HOME="/home/me")
    assert lock[-1] == "/home/me/my  own/mine/requirements.txt"


def test_what_sets_up_other_programs_does_not_reach_ours() -> None:
    """PIP_TARGET once left a folder without uv that called itself ready."""
    dropped = {
        *("PIP_TARGET", "PIP_DRY_RUN", "PIP_USER", "PIP_CONSTRAINT", "UV_TORCH_BACKEND", "UV_EXCLUDE_NEWER"),
        *(
            "UV_PYTHON",
            "UV_PROJECT_ENVIRONMENT",
            "UV_NO_BINARY",
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
        ),
        *("PYTHONINSPECT", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH", "PYTHONWARNINGS"),
    }
    kept = {
        *("PIP_INDEX_URL", "PIP_CERT", "PIP_NO_INDEX", "PIP_FIND_LINKS", "UV_CONFIG_FILE", "UV_CACHE_DIR"),
        *("UV_INDEX_MINE_PASSWORD", "UV_OFFLINE", "PYTHONPATH", "PYTHONUSERBASE", "HTTPS_PROXY"),
    }
    given = dict.fromkeys(dropped | kept, "theirs")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--eval", "show: ; @env", "show"],
        cwd=PROJECT,
        env=clean | given,
        capture_output=True,
        text=True,
        check=True,
    )
    seen = {line.partition("=")[0] for line in done.stdout.splitlines() if line.endswith("=theirs")}
    assert seen == kept
    assert "UV_PYTHON_DOWNLOADS=never" in done.stdout.splitlines()


FAKE_PYTHON = """\
#!/bin/sh
case "$*" in
    *base_prefix*) echo "VERSION" ;;
    *"-m venv"*) echo venv >> made; mkdir -p .uv/bin; cp "$0" .uv/bin/python ;;
    *"-m pip"*) [ -e no-uv ] || { (echo '#!/bin/sh'; cat uv) > .uv/bin/uv; chmod +x .uv/bin/uv; } ;;
esac
"""
FAKE_UV = """\
[ -z "$PYTHONPATH" ] || exit 1
case "$*" in
    venv*) echo uv >> made; mkdir -p .venv/bin; cp .uv/bin/python .venv/bin/python ;;
    *editable*) mkdir -p .venv/lib/python3.11/site-packages
        pwd > .venv/lib/python3.11/site-packages/spikebench.pth ;;
    *sync*) [ ! -e offline ] || case "$*" in *--offline*) ;; *) exit 1 ;; esac ;;
esac
"""


class House:
    """A copy of the Makefile in a folder of its own, with a Python and a uv that only pretend."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bench").mkdir(parents=True)
        for name in ("Makefile", "bench/uv.txt", "bench/requirements.txt", "pyproject.toml"):
            shutil.copy(PROJECT / name, folder / name)
        (folder / "uv").write_text(FAKE_UV)
        self.write_python("python3", "one 3.11")

    def write_python(self, name: str, version: str) -> Path:
        path = self.folder / name
        path.write_text(FAKE_PYTHON.replace("VERSION", version))
        path.chmod(0o755)
        return path

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.run(
            ["make", *words, ".venv/ready"],
            cwd=self.folder,
            env=clean | {"PATH": f"{self.folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    def made(self, *words: str) -> list[str]:
        """What a make has made."""
        done = self.make(*words)
        assert (done.returncode, done.stderr) == (0, "")
        made = self.folder / "made"
        found = made.read_text().split() if made.exists() else []
        made.unlink(missing_ok=True)
        return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "it's a house")


def test_the_harness_is_made_once(house: House) -> None:
    assert house.made() == ["venv", "uv"]
    assert house.made() == []
    assert (house.folder / ".venv" / "ready").read_text() == f"{house.folder / '.venv'}\none 3.11\n"


def test_a_harness_that_was_moved_is_made_again(house: House, tmp_path: Path) -> None:
    house.made()
    house.folder = house.folder.rename(tmp_path / "elsewhere")
    assert house.made() == ["venv", "uv"]
    assert house.made() == []


@pytest.mark.parametrize("name", [".uv", ".venv"])
def test_a_harness_whose_python_has_gone_or_changed_is_made_again(house: House, name: str) -> None:
    house.made()
    (house.folder / name / "bin" / "python").unlink()
    assert "uv" in house.made() and house.made() == []
    house.write_python(f"{name}/bin/python", "one 3.12")
    assert "uv" in house.made() and house.made() == []


def test_a_python_that_is_named_makes_the_harness_unless_it_is_the_one_at_hand(house: House) -> None:
    house.made()
    other = house.write_python("my python", "two 3.12")
    assert house.made(f"PYTHON={other}", "ENV=current") == []
    assert house.made("PYTHON=~/my python", f"HOME={house.folder}") == ["venv", "uv"]
    assert house.made("PYTHON=~/python3", f"HOME={house.folder}") == ["venv", "uv"]
    assert house.made(f"PYTHON={other}") == ["venv", "uv"]
    assert house.made(f"PYTHON={other}") == house.made() == []


def test_a_pip_that_installs_elsewhere_leaves_no_stamp(house: House) -> None:
    (house.folder / "no-uv").touch()
    done = house.make()
    assert done.returncode == 2 and "pip has installed no uv that runs" in done.stderr
    assert not (house.folder / ".uv" / "ready").exists()
    (house.folder / "no-uv").unlink()
    assert house.made() == ["venv", "venv", "uv"]


def test_what_uv_has_in_its_cache_needs_no_network(house: House) -> None:
    (house.folder / "offline").touch()
    assert house.made() == ["venv", "uv"]


def test_the_python_that_uv_compiles_with_sees_no_junk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/junk")
    assert house.made() == ["venv", "uv"]


def test_a_place_that_the_locale_cannot_spell_is_not_spelled(tmp_path: Path) -> None:
    house = House(tmp_path / "schöner wohnen")
    house.made()
    (found,) = (house.folder / ".venv").rglob("spikebench.pth")
    line = found.read_text(encoding="ascii").strip()
    assert (found.parent / line).resolve() == house.folder


def test_an_environment_that_is_a_link_loses_nothing(house: House, tmp_path: Path) -> None:
    house.made()
    shared = (house.folder / ".venv").rename(tmp_path / "shared")
    (house.folder / ".venv").symlink_to(shared)
    assert house.made() == ["uv"]
    assert (shared / "bin" / "python").exists() and not (house.folder / ".venv").is_symlink()


@pytest.mark.parametrize(
    ("value", "said"), [("1", True), ("yes", True), ("0", False), ("no", False), ("", False)]
)
@pytest.mark.parametrize("switch", ["FRESH", "RETRY"])
def test_a_switch_may_say_no(switch: str, value: str, said: bool) -> None:
    assert (f"--{switch.lower()}" in recipe("bench", f"{switch}={value}")[-1]) == said


def test_an_adapter_that_has_no_lock_is_one_line() -> None:
    done = subprocess.run(
        ["make", "lock", "NAME=no such", *PREPARED], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    said, end = done.stderr.splitlines()
    assert said.startswith("adapters/no such has no requirements.in") and "NAME" in said
    assert "Error 2" in end
