from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bench import catalogue
from bench.environments import prepare
from bench.errors import UserError
from bench.scaffold import write_adapter
from tests.conformance import test_conformance
from tests.conformance.suite import CHECKS
from tests.conftest import Command


def test_a_new_adapter_is_found_and_compiles(tmp_path: Path) -> None:
    folder = write_adapter("mynet", tmp_path)
    found = catalogue.discover(tmp_path)["mynet"]
    assert found.folder == folder and found.deviations == {} and found.variants("classify")
    compile((folder / "adapter.py").read_text(), "adapter.py", "exec")
    constraints = (folder / "requirements.in").read_text().splitlines()[0].removeprefix("-c ")
    assert (folder / constraints).resolve() == catalogue.SHIPPED / "torch_family" / "constraints.txt"
    assert "@" not in "".join(path.read_text() for path in folder.iterdir())


def test_the_example_of_a_deviation_names_a_check(tmp_path: Path) -> None:
    text = (write_adapter("mynet", tmp_path) / "adapter.toml").read_text()
    example = tomllib.loads(text.replace('# "amp"', '"amp"'))["deviations"]
    assert example and example.keys() <= CHECKS["classify"].keys()


@pytest.mark.parametrize("name", ["", "My-Net", "9lives", "a/b", "torch"])
def test_a_bad_or_taken_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"NAME|already"):
        write_adapter(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_next(command: Command, tmp_path: Path) -> None:
    said = command("new-adapter", "mynet", "--adapters", tmp_path / "mine")
    assert said.code == 0 and "make conform ADAPTER=mynet" in said.out
    again = command("new-adapter", "mynet", "--adapters", tmp_path / "mine")
    assert again.code == 2 and again.err.count("\n") == 1


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"KIND='jax'.*cells, plain"):
        write_adapter("mynet", tmp_path, "jax")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.frameworks
@pytest.mark.parametrize(("table", "variant"), [("classify", "folded"), ("nef", "batched")])
def test_a_plain_adapter_conforms_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, variant: str
) -> None:
    write_adapter("mynet", tmp_path, "plain")
    # the environment of another has all that it needs, so that none is locked and made for a test
    python = prepare(catalogue.discover(None)["nengo"], device="cpu", root=catalogue.PROJECT, say=print)
    monkeypatch.setattr(test_conformance, "prepare", lambda *_, **__: python)
    found = test_conformance.outcomes("mynet", tmp_path, table, variant, "cpu")
    assert {check: each.reason for check, each in found.items() if each.outcome == "failed"} == {}
    skipped = {check for check, each in found.items() if each.outcome == "skipped"}
    assert skipped <= {"amp", "split"} and found.keys() == CHECKS[table].keys()
