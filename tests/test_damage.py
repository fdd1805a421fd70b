"""What is damaged, or something else than it should be, is named; nothing else suffers."""

from __future__ import annotations

import io
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from bench import certificates, runs, session
from bench.clean import cleaned
from bench.durations import earlier
from bench.errors import UserError
from bench.progress import Progress
from bench.records import (
    PUBLISHED,
    dump_records,
    load_manifest,
    load_records,
    record_path,
    save_manifest,
)
from tests.builders import cell, control, manifest, record, save
from tests.conftest import Command
from tests.harness import FAKES, interpreter, write_profile
from tests.test_session import ADAPTERS, ANSWER, CERTIFIED, MEASURED, means
from tests.test_session import manifest as planned

ONE, OTHER = record(cell("torch"), [1.0]), record(cell("torch", "csnn"), [2.0])


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


PUT: list[Callable[[Path], object]] = [
    pipe,
    device,
    sparse,
    Path.mkdir,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"[{"),
    lambda path: path.write_bytes(b"\xff\0"),
    lambda path: path.write_bytes(b"[" * 100_000),
    lambda path: path.write_text(json.dumps([1])),
]


@pytest.mark.parametrize("put", PUT)
def test_a_damaged_record_is_named_and_deleting_it_mends_the_run(
    tmp_path: Path, put: Callable[[Path], object]
) -> None:
    save(tmp_path, [ONE, OTHER])
    path = record_path(tmp_path, ONE.cell)
    path.unlink()
    put(path)
    with pytest.raises(UserError) as said:
        load_records(tmp_path)
    assert str(said.value).startswith(f"{path} is damaged (") and ": delete it, and " in str(said.value)
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert load_records(tmp_path) == [OTHER]
    assert not runs.is_finished(tmp_path)


def test_a_record_that_is_a_copy_of_another_is_named(tmp_path: Path) -> None:
    save(tmp_path, [ONE, OTHER])
    path = record_path(tmp_path, ONE.cell)
    path.write_bytes(record_path(tmp_path, OTHER.cell).read_bytes())
    with pytest.raises(UserError, match=r"is damaged .it holds a record of run-csnn-torch"):
        load_records(tmp_path)


def test_a_record_whose_cell_was_altered_is_named(tmp_path: Path) -> None:
    save(tmp_path, [ONE, OTHER])
    path = record_path(tmp_path, ONE.cell)
    path.write_text(path.read_text().replace('"seed":0', '"seed":7'))
    with pytest.raises(UserError, match="not its own"):
        load_records(tmp_path)


def test_a_record_that_stands_twice_is_named(tmp_path: Path) -> None:
    save(tmp_path, [ONE])
    record_path(tmp_path, ONE.cell).write_text(dump_records([ONE, ONE]))
    with pytest.raises(UserError, match="stands there twice"):
        load_records(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\xfd7zXZ\x00", lzma.compress(b"[{"), lzma.compress(b"[]")[:-9], b"[]"]
)
def test_a_damaged_published_run_is_named(tmp_path: Path, content: bytes) -> None:
    save_manifest(tmp_path, manifest([ONE.cell]))
    (tmp_path / PUBLISHED).write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged .*get it again"):
        load_records(tmp_path)


@pytest.mark.parametrize("put", PUT)
def test_a_damaged_manifest_is_said_and_blocks_no_other_run(
    tmp_path: Path, put: Callable[[Path], object]
) -> None:
    save(tmp_path / "2026-01", [ONE], run="2026-01", digest="a")
    (tmp_path / "2026-02").mkdir()
    put(tmp_path / "2026-02" / "manifest.json")
    said: list[str] = []
    assert runs.find(tmp_path, "a", said.append) == tmp_path / "2026-01"
    (line,) = said
    assert line.startswith("Run 2026-02 is left alone: ") and "remove its folder" in line
    assert earlier(tmp_path) == [ONE]


def test_a_damaged_record_ends_a_command_in_one_line(command: Command, tmp_path: Path, mnist: Path) -> None:
    profile = write_profile(tmp_path / "tiny.toml")
    words = ["--adapters", FAKES, "--only", "adapter=ok", "--profile", profile, "--data", mnist]
    (run,) = command("run", *words).runs
    path = record_path(run, load_manifest(run).cells[-1])
    whole = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    for said in (command("run", *words), command("report"), command("publish"), command("run", *words)):
        assert said.code == 2 and said.err.startswith(f"spikebench: {path} is damaged")
        assert said.err.count("\n") == 1
    path.unlink()
    assert command("run", *words).runs == [run]
    assert json.loads(path.read_bytes())[0]["cell"] == json.loads(whole)[0]["cell"]


@pytest.mark.parametrize("put", [*PUT, lambda path: path.write_text('{"epoch": -1, "outcomes": {}}')])
def test_a_damaged_state_of_a_heat_is_said_and_the_heat_begins_anew(
    tmp_path: Path, put: Callable[[Path], object]
) -> None:
    made = planned("a")
    save_manifest(tmp_path, made)
    path = tmp_path / "states" / made.cells[-1].heat / session.KEPT
    path.parent.mkdir(parents=True)
    put(path)
    answers = {"certify ok": CERTIFIED, "run ok": MEASURED}
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    python = interpreter(tmp_path / "python", ANSWER)
    text = io.StringIO()
    with Progress(Console(file=text, width=300), made.cells, []) as show:
        done = session.go(tmp_path, means(tmp_path, python), show)
    assert [each.status for each in done] == ["ok", "ok"]
    assert f"{session.KEPT} is damaged (" in text.getvalue()


def test_a_state_of_other_cells_is_none(tmp_path: Path) -> None:
    cells = [cell("torch"), cell("norse"), control(cell("torch"))]
    outcomes: dict[str, dict[str, object]] = {each.cell: {"turns": [], "curve": []} for each in cells}
    said: list[str] = []
    for missing in (cells[0], cells[2]):
        kept = {key: value for key, value in outcomes.items() if key != missing.cell}
        (tmp_path / session.KEPT).write_text(json.dumps({"epoch": 1, "outcomes": kept}))
        assert session._kept(tmp_path, cells, said.append) is None
    (tmp_path / session.KEPT).write_text(json.dumps({"epoch": 1, "outcomes": outcomes}))
    assert session._kept(tmp_path, cells, said.append) is not None
    outcomes[cells[1].cell]["status"] = "ok"
    (tmp_path / session.KEPT).write_text(json.dumps({"epoch": 1, "outcomes": outcomes}))
    assert session._kept(tmp_path, cells, said.append) is None
    assert len(said) == 3


@pytest.mark.parametrize("put", PUT)
def test_a_damaged_certificate_is_made_again(tmp_path: Path, put: Callable[[Path], object]) -> None:
    wanted = planned("a").cells[0]
    path = tmp_path / "certificates" / f"{wanted.cell}.json"
    path.parent.mkdir()
    put(path)
    assert certificates.find(tmp_path, wanted) is None


def test_the_newest_run_is_the_last_made_whatever_clocks_and_names_say(tmp_path: Path) -> None:
    made = [("2026-02-02", "2026-02-02", 1), ("2026-01-01", "2026-01-01", 2)]  # the clock went back
    for name, created, number in made:
        save_manifest(tmp_path / name, manifest([], run=name, digest="a", created=created, number=number))
    assert runs.find(tmp_path, "a", print) == tmp_path / "2026-01-01"
    for name in ("2026-03.9", "2026-03.11"):  # from before runs were counted
        save_manifest(tmp_path / name, manifest([], run=name, digest="b", created="2026-03"))
    assert runs.find(tmp_path, "b", print) == tmp_path / "2026-03.11"


def test_runs_are_counted(command: Command, tmp_path: Path, mnist: Path) -> None:
    profile = write_profile(tmp_path / "tiny.toml")
    words = ["--adapters", FAKES, "--only", "adapter=skip", "--profile", profile, "--data", mnist, "--fresh"]
    command("run", *words)
    assert sorted(load_manifest(run).number for run in command("run", *words).runs) == [1, 2]


@pytest.mark.parametrize(
    "settings",
    [
        {"a": "\ud800"},
        {"a": "x" * 10**6},
        {"\x1b[2J" * 100: [1]},
        {"where": str(Path.home() / "secret"), "/opt/a/b": "file:///srv/x/y"},
        {"card": "GPU-12345678-abcd-ef01-2345-6789abcdef01"},
    ],
)
def test_settings_that_cannot_be_kept_are_cleaned(settings: dict[str, object]) -> None:
    text = json.dumps(cleaned({"settings": settings}, ADAPTERS["ok"]))
    assert len(text) < 3000
    for part in ("\\ud800", "\\u001b", str(Path.home() / "secret"), "/opt", "/srv", "12345678"):
        assert part not in text


def _nested(depth: int) -> object:
    return [] if depth == 0 else [_nested(depth - 1)]


@pytest.mark.parametrize("settings", [{"a": _nested(100)}, {"a": 10**30}, {"a": [0] * 3_000_000}])
def test_settings_without_bound_are_an_error_of_the_cell(tmp_path: Path, settings: dict[str, object]) -> None:
    made = session._record(
        cell("ok"), {"status": "ok", "seconds": 1.0, "settings": settings}, means(tmp_path, Path())
    )
    assert made.status == "error" and made.reason.startswith("malformed result: ") and not made.settings
