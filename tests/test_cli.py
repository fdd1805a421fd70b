from __future__ import annotations

import errno
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import runs
from bench.__main__ import main as started
from bench.environments import identify
from bench.errors import UserError
from bench.measure import gpu, peaks
from bench.records import load_manifest, load_records
from bench.report.files import write_tables
from tests.builders import cell, record, save
from tests.cards import A, B, FakeCard, install
from tests.conftest import Command
from tests.harness import CLASSIFY, FAKES, no_peaks, table, write_profile


def refuse(command: Command, words: Sequence[object], *parts: str) -> None:
    """One line that names the thing and the way out, exit code 2, and nothing begun."""
    said = command(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("spikebench: ")
    assert said.err.count("\n") == 1
    for part in parts:
        assert part in said.err
    assert said.runs == []


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--only", "adapter=wromg"], ["unknown adapter 'wromg'", "did you mean 'wrong'?", "choose from"]),
        (["--only", "task=fc_lift"], ["unknown task 'fc_lift'", "did you mean 'fc_lif'?"]),
        (["--only", "adapter=ok variant=plane"], ["unknown variant 'plane'", "did you mean 'plain'?"]),
        (["--only", "adaptor=ok"], ["unknown key in ONLY (--only) 'adaptor'", "did you mean 'adapter'?"]),
        (["--only", "ok"], ["unknown key in ONLY (--only) 'ok'", "choose from adapter, task, variant"]),
        (["--only", "adapter=ok,"], ["ONLY (--only) adapter=ok,", "write adapter=NAME or adapter=NAME,NAME"]),
        (["--only", "adapter"], ["write adapter=NAME"]),
        (["--profile", "quik"], ["unknown profile 'quik'", "did you mean 'quick'?"]),
        (["--profile", "/some/folder"], ["no profile file /some/folder", "name a TOML file", "quick"]),
        (["--profile", "none.toml"], ["no profile file none.toml", "quick"]),
        (["--device", "gpu"], ["unknown device 'gpu'", "choose from cpu, cuda"]),
        (["--precision", "float"], ["unknown precision 'float'", "choose from amp, float32, float64"]),
        (["--env", "mine"], ["unknown env 'mine'", "choose from current, locked"]),
        (["--threads", "0"], ["--threads must be at least 1, got 0"]),
        (["--threads", "two"], ["--threads", "integer", "see spikebench --help"]),
        (["--thread", "2"], ["--thread", "see spikebench --help"]),
        (["--profile"], ["--profile", "see spikebench --help"]),
        (["--adapters", "nowhere"], ["--adapters /", "/nowhere: there is no such folder"]),
        (["--data", "nowhere"], ["DATA (--data) /", "/nowhere: ", "missing"]),
    ],
)
def test_a_word_that_is_no_word_of_it(command: Command, words: list[str], parts: list[str]) -> None:
    refuse(command, ["run", "--adapters", FAKES, *words], *parts)


def test_an_unknown_command(command: Command) -> None:
    refuse(command, ["runn"], "runn", "see spikebench --help")


def test_cuda_without_a_gpu(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    refuse(command, ["run", "--device", "cuda"], "--device cuda", "no NVIDIA GPU", "use --device cpu")


@pytest.mark.parametrize(
    ("visible", "words"),
    [("", "is empty, which hides every GPU"), ("7", "names none of the 2 on this machine")],
)
@pytest.mark.parametrize("name", ["run", "parity"])
def test_cuda_without_a_visible_card(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, visible: str, words: str
) -> None:
    install(monkeypatch, FakeCard(A), FakeCard(B))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    refuse(command, [name, "--device", "cuda"], "--device cuda", f"CUDA_VISIBLE_DEVICES={visible}", words)


def test_two_cards_are_two_runs_whose_files_name_no_uuid(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mnist: Path
) -> None:
    monkeypatch.setattr(gpu, "idle_watts", lambda card: 60.0)
    install(monkeypatch, FakeCard(A), FakeCard(B))
    words = ["--profile", write_profile(tmp_path / "tiny.toml"), "--only", "adapter=skip", "--data", mnist]
    for number in "011":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", number)
        done = command("run", "--adapters", FAKES, "--device", "cuda", *words)
        assert done.code == 0 and f"On CUDA this is Some GPU, GPU {number} in bus order." in done.out
    assert len(done.runs) == 2
    for path in (path for run in done.runs for path in run.rglob("*") if path.is_file()):
        assert A[4:12] not in path.read_text() and B[4:12] not in path.read_text()
    manifest = load_manifest(done.runs[0])
    assert manifest.machine["gpu"]["idle_watts"] == 60.0


def classify(**values: Any) -> dict[str, Any]:
    return {"classify": {**CLASSIFY, **values}}


def task(**values: Any) -> dict[str, Any]:
    return classify(fc_lif={**CLASSIFY["fc_lif"], **values})


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (task(steps=0), ["classify.fc_lif: steps must be at least 1, got 0"]),
        (task(batch=0), ["classify.fc_lif: batch must be at least 1, got 0"]),
        (task(epochs=-1), ["classify.fc_lif: epochs must be at least 1, got -1"]),
        (task(steps="8"), ["classify.fc_lif.steps must be int, got '8'"]),
        (task(epochs=1.5), ["classify.fc_lif.epochs must be int, got 1.5"]),
        (task(batch=True), ["classify.fc_lif.batch must be int, got True"]),
        (task(step=8), ["classify.fc_lif: unknown value 'step'", "did you mean 'steps'?"]),
        (classify(fc_lift={}), ["classify: unknown task 'fc_lift'", "did you mean 'fc_lif'?"]),
        (classify(epoch=2), ["classify.fc_lif: unknown value 'epoch'", "did you mean 'epochs'?"]),
        ({"classifi": {}}, ["unknown key 'classifi'", "did you mean 'classify'?"]),
        ({"tasks": ["fc_lift"]}, ["unknown task 'fc_lift'", "did you mean 'fc_lif'?"]),
        ({"tasks": []}, ["tasks"]),
        ({"seeds": []}, ["seeds"]),
        ({"seeds": [-1]}, ["seeds.0"]),
        ({"seeds": ["1"]}, ["seeds.0", "integer"]),
        (classify(train_images=0), ["classify: train_images must be from 1 to 60000, got 0"]),
        (classify(train_images="24"), ["classify.train_images must be int, got '24'"]),
        (classify(test_images=10_001), ["classify: test_images must be from 1 to 10000, got 10001"]),
        (classify(curve_images=21), ["classify: curve_images 21 exceed test_images 20"]),
        (classify(turns=0), ["classify: turns must be from 1 to 60000, got 0"]),
        ({"nef": {"repeats": 0}}, ["nef: repeats must be"]),
        ({"variants": "some"}, ["variants", "'first' or 'all'"]),
        ({"timeout_minutes": 0}, ["timeout_minutes", "greater than 0"]),
        ({"timeout_minutes": 1e99}, ["timeout_minutes", "less than or equal"]),
        ({"seed": [1]}, ["unknown key 'seed'", "did you mean 'seeds'?"]),
    ],
)
def test_a_profile_out_of_range(
    command: Command, tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    path = write_profile(tmp_path / "mine.toml", **changes)
    words = ["run", "--adapters", FAKES, "--only", "adapter=ok", "--profile", path]
    refuse(command, words, "mine.toml", *parts)


def test_a_batch_larger_than_the_training_set(command: Command, tmp_path: Path) -> None:
    path = write_profile(tmp_path / "mine.toml", **task(batch=25))
    words = ["run", "--adapters", FAKES, "--only", "adapter=ok", "--profile", path]
    refuse(command, words, "fc_lif", "24 training images make no batch of 25", "lower batch")


@pytest.mark.parametrize("content", [b"tasks = [", b"\xff"])
def test_a_profile_that_is_no_toml(command: Command, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    refuse(command, ["run", "--profile", path], "mine.toml is not valid TOML")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"devices = [", ["is not valid TOML"]),
        (b"\xff", ["is not valid TOML"]),
        (b"about = 'x'", ["devices", "Field required"]),
        (b"about = 'x'\ndevices = ['cpu']", ["no variant", "[classify]"]),
        (b"[nef]\nplain = 'as it is'", ["variant 'plain' stands in two tables: rename one"]),
        (b'uses = ["nothing"]', ["uses names no folder 'nothing'"]),
        (b'device = "cpu"', ["unknown key 'device'", "did you mean 'devices'?"]),
        (b"[classifi]\nplain = 'as it is'", ["unknown key 'classifi'", "did you mean 'classify'?"]),
        (b"[open]\nown = 'as it is'", ["open.own"]),
        (b"[nef]\n'a/b' = 'as it is'", ["nef: variant 'a/b' must be letters"]),
        (b'python = "three"', ["python", "match pattern"]),
    ],
)
def test_an_adapter_toml_that_says_nothing_of_use(
    command: Command, tmp_path: Path, content: bytes, parts: list[str]
) -> None:
    path = tmp_path / "mine" / "adapter.toml"
    path.parent.mkdir()
    key = content.partition(b" = ")[0]
    lines = (FAKES / "ok" / "adapter.toml").read_bytes().splitlines()
    if key in (b"uses", b"device", b"python"):
        content = b"\n".join([content, *(line for line in lines if not line.startswith(key + b" "))])
    if content.startswith(b"["):
        content = b"\n".join([*lines, content])
    path.write_bytes(content)
    words = ["run", "--adapters", tmp_path, "--only", "adapter=mine", "--profile", "smoke"]
    refuse(command, words, "mine/adapter.toml", *parts)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is no regular file"),
        ("x = " + "[" * 100_000, "is nested too deep"),
        ("x = " + "9" * 10_000, "is not valid TOML"),
        ("x = 99999999999999999999", "a whole number has more than 64 bits"),
        ("x = 1\0", "is not valid TOML"),
        ("'[/]' = 1", "unknown key '[/]'"),
        ('"\\u001b[2J" = 1', "unknown key"),
        ('[classify]\n"../../x" = "y"', "variant '../../x' must be letters"),
        ('[open."../../x"]\nabout = "y"\nlearning = "bptt"', "variant '../../x' must be letters"),
    ],
)
@pytest.mark.parametrize("what", ["adapter", "profile"])
def test_a_toml_file_that_would_hang_or_end_in_a_traceback(
    command: Command, tmp_path: Path, what: str, content: str | None, words: str
) -> None:
    path = tmp_path / "mine" / f"{what}.toml"
    path.parent.mkdir()
    if content is None:
        os.mkfifo(path)
    else:
        path.write_text(content if what == "profile" else f'about = "x"\ndevices = ["cpu"]\n{content}')
    said = ["--adapters", tmp_path, "--only", "adapter=mine"] if what == "adapter" else ["--profile", path]
    if what == "profile":
        words = "there is no profile file" if content is None else "profile" if "variant" in words else words
    refuse(command, ["run", *said], "mine/", words)


def test_a_byte_order_mark_is_no_fault(command: Command, tmp_path: Path) -> None:
    shutil.copytree(FAKES / "ok", tmp_path / "mine")
    shutil.copytree(FAKES / "numpy_family", tmp_path / "numpy_family")
    path = tmp_path / "mine" / "adapter.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert "adapter  mine" in command("list", "--adapters", tmp_path).out


def test_a_second_only_adds_to_the_first(command: Command, tmp_path: Path, mnist: Path) -> None:
    profile = write_profile(tmp_path / "tiny.toml")
    words = ["--adapters", FAKES, "--profile", profile, "--data", mnist]
    only = ["--only", "adapter=skip", "--only", "task=fc_lif adapter=old"]
    (run,) = command("run", *words, *only).runs
    assert {cell.adapter for cell in load_manifest(run).cells} == {"skip", "old"}


def test_what_the_machine_can_do_is_measured_on_as_many_threads_as_the_work_uses(
    command: Command, tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def measured(threads: int) -> peaks.Peaks:
        asked.append(threads)
        return no_peaks(threads)

    monkeypatch.setattr(peaks, "measure", measured)
    profile = write_profile(tmp_path / "tiny.toml", classify=CLASSIFY | {"threads": 2})
    words = ["--adapters", FAKES, "--profile", profile, "--data", mnist, "--only", "adapter=ok"]
    command("run", *words, "--threads", 3)
    assert asked == [2]


def finished(folder: Path, **changes: Any) -> Path:
    """A run that can be published."""
    return save(folder / "results" / "runs" / "2026-01-01", [record(cell("torch"), [1.0] * 9)], **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "../../x"},
        {"run": ".."},
        {"run": "a\0b"},
        {"machine": {"name": "../../x"}},
        {"machine": {"name": "/tmp/x"}},
        {"machine": {"name": 3}},
        {"cells": [{"heat": "../../../x"}]},
    ],
)
def test_names_of_a_foreign_manifest_lead_nowhere_else(
    command: Command, tmp_path: Path, changes: dict[str, Any]
) -> None:
    run = finished(tmp_path)
    path = run / "manifest.json"
    known = json.loads(path.read_text())
    if "cells" in changes:
        changes = {"cells": [known["cells"][0] | changes["cells"][0]]}
    path.write_text(json.dumps(known | changes))
    before = sorted(tmp_path.rglob("*"))
    for word in ("publish", "report"):
        said = command(word, run)
        assert said.code == 2 and said.err.count("\n") == 1 and f"{path} is damaged" in said.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("part", ["cpu", "threads"])
def test_a_manifest_that_lacks_a_part_can_be_published(command: Command, tmp_path: Path, part: str) -> None:
    run = finished(tmp_path)
    path = run / "manifest.json"
    known = json.loads(path.read_text())
    known["machine" if part == "cpu" else "settings"].pop(part)
    path.write_text(json.dumps(known))
    said = command("publish", run)
    assert said.code == 0, said.err
    assert command("report", run, "--format", "md").code == 0


def test_what_names_no_machine_is_not_published(command: Command, tmp_path: Path) -> None:
    said = command("publish", finished(tmp_path, machine={}))
    assert said.code == 2 and "names no run or no machine" in said.err and said.err.count("\n") == 1


def test_publishing_follows_no_link(command: Command, tmp_path: Path) -> None:
    run = finished(tmp_path)
    (tmp_path / "secret").write_text("a person's own")
    (run / "more.csv").symlink_to(tmp_path / "secret")
    said = command("publish", run)
    assert said.code == 2 and "is a link" in said.err and said.err.count("\n") == 1
    (run / "more.csv").unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results" / "published").mkdir()
    (tmp_path / "results" / "published" / "two-cores").symlink_to(tmp_path / "elsewhere")
    assert command("publish", run).code == 2
    assert not list((tmp_path / "elsewhere").iterdir())


def test_publishing_that_ends_half_way_has_published_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        said = command("publish", run)
    assert said.code == 2 and "No space left" in said.err and said.err.count("\n") == 1
    assert not list((tmp_path / "results" / "published").glob(f"*/{load_manifest(run).run}"))
    assert command("publish", run).code == 0


def test_what_is_published_is_made_anew_whatever_the_clock_says(command: Command, tmp_path: Path) -> None:
    run = finished(tmp_path)
    assert command("report", run).code == 0
    table = run / "results.csv"
    whole = table.read_bytes()
    table.write_text("of another run\n")
    os.utime(table, (2**32, 2**32))
    assert command("publish", run).code == 0
    (published,) = (tmp_path / "results" / "published").glob("*/*/results.csv")
    assert published.read_bytes() == table.read_bytes() == whole


def test_a_disk_that_is_full_is_one_line_and_loses_nothing(
    command: Command, tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = write_profile(tmp_path / "tiny.toml")
    words = ["--adapters", FAKES, "--only", "adapter=ok", "--profile", profile, "--data", mnist]
    sync = os.fsync
    written: list[int] = []

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 4:  # manifest, certificate kept, certificate; then the state or the heat
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        said = command("run", *words)
    assert said.code == 2 and "No space left" in said.err and said.err.count("\n") == 1
    (run,) = said.runs
    kept = load_records(run)
    assert command("run", *words).runs == [run]
    assert load_records(run)[: len(kept)] == kept and len(load_records(run)) == 2


def test_two_adapters_of_one_name(command: Command, tmp_path: Path) -> None:
    shutil.copytree(FAKES / "ok", tmp_path / "torch")
    refuse(command, ["run", "--adapters", tmp_path], "two adapters are called 'torch'", "rename")


def test_an_image_file_that_is_not_mnist(command: Command, tmp_path: Path, mnist: Path) -> None:
    folder = tmp_path / "images"
    shutil.copytree(mnist, folder)
    with (folder / "t10k-labels-idx1-ubyte").open("ab") as file:
        file.write(b"\0")
    words = ["run", "--adapters", FAKES, "--only", "adapter=ok", "--profile", "smoke", "--data", folder]
    refuse(command, words, str(folder / "t10k-labels-idx1-ubyte"), "MD5", "mend that folder")


@pytest.mark.parametrize("place", ["results", "results/runs"])
def test_a_runs_folder_that_cannot_be_written(command: Command, tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    words = ["run", "--adapters", FAKES, "--only", "adapter=ok", "--profile", "smoke"]
    refuse(command, words, f"{tmp_path / 'results' / 'runs'} cannot be written", "make it writable")


@pytest.mark.parametrize("words", [["report"], ["publish"], ["compare", "ok", "noisy"]])
def test_a_run_that_is_not_there(command: Command, words: list[str]) -> None:
    refuse(command, words, "there is no run latest", "make bench")
    refuse(command, [*words, "yesterday"], "there is no run yesterday", "make bench")


def test_publishing_is_for_finished_runs(
    command: Command, reports: None, tmp_path: Path, mnist: Path
) -> None:
    profile = write_profile(tmp_path / "tiny.toml")
    words = ["--adapters", FAKES, "--only", "adapter=ok", "--profile", profile, "--data", mnist]
    done = command("run", *words)
    assert done.code == 0, done.out + done.err
    (run,) = done.runs
    records = sorted((run / "records").iterdir())
    (run / "records" / ".left.json.1.tmp").write_text("{")

    page = run / "report" / "index.html"
    kept, written = records[0].read_bytes(), page.stat().st_mtime_ns
    records[0].unlink()
    said = command("publish")
    assert (said.code, said.err) == (
        2,
        f"spikebench: run {run.name} is not finished: go on with it before you publish it\n",
    )
    assert page.stat().st_mtime_ns == written  # a report takes seconds: what is refused waits for none
    records[0].write_bytes(kept)
    said = command("publish", "--plots", "nothing")
    assert said.code == 2 and "has no plot nothing: choose from " in said.err
    plot = sorted((run / "report").glob("*.svg"))[0]
    assert not list((tmp_path / "results" / "published").rglob("*.json"))

    assert command("publish", "--plots", plot.stem).code == 0
    (published,) = (tmp_path / "results" / "published").glob(f"*/{run.name}")
    tables = {path.name for path in run.glob("*.csv")} - {"turns.csv"}  # the records have them
    assert {path.name for path in published.iterdir()} == {
        "manifest.json",
        "records.json.xz",
        plot.name,
        *tables,
    }
    assert load_records(published) == load_records(run)
    written = page.stat().st_mtime_ns
    assert "published already" in command("publish").err
    assert page.stat().st_mtime_ns == written

    before = {path: path.read_bytes() for path in published.glob("*.csv")}
    assert command("report", published).code == 0
    assert {path: path.read_bytes() for path in before} == before
    assert (published / "turns.csv").read_bytes() == (run / "turns.csv").read_bytes()
    assert (published / "report" / "index.html").exists()


def test_long_tables_are_published_compressed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = save(
        tmp_path / "results" / "runs" / "2026-01-01T10-00-00-quick", [record(cell("torch"), [1.0] * 9)]
    )
    write_tables(run)
    tables = {path for path in run.glob("*.csv") if path.name != "turns.csv"}
    short, long = sorted(tables, key=lambda path: path.stat().st_size)[-2:]
    monkeypatch.setattr(runs, "LONG_TABLE", short.stat().st_size)
    assert command("publish", run).code == 0
    (published,) = (tmp_path / "results" / "published").glob(f"*/{run.name}")
    assert (published / short.name).exists() and not (published / long.name).exists()
    assert gzip.decompress((published / f"{long.name}.gz").read_bytes()) == long.read_bytes()


def test_the_command_parity_says_what_failed_that_is_not_declared(command: Command, tmp_path: Path) -> None:
    for name in ("numpy_family", "ok", "wrong"):
        shutil.copytree(FAKES / name, tmp_path / "mine" / name)
    words = ["parity", "--adapters", tmp_path / "mine", "--only", "adapter=ok,wrong task=fc_lif"]
    said = command(*words)
    assert said.code == 1, said.out + said.err
    failed = [line for line in said.out.splitlines() if line.startswith("certify-fc_lif-wrong-")]
    assert len(failed) == 2 and all(": wrong: spike difference " in line for line in failed)  # by either loss
    assert "2 certificates failed that are not declared." in said.out
    assert re.search(r"^ ok +plain +fc_lif \(loss cross_entropy\) +exact", said.out, re.MULTILINE), said.out
    (run,) = said.runs
    rows = table(run / "parity.csv")
    assert {(row["adapter"], row["parity"]) for row in rows} == {("ok", "exact"), ("wrong", "wrong")}
    assert table(run / "results.csv") == []

    with (tmp_path / "mine" / "wrong" / "adapter.toml").open("a") as file:
        file.write('\n[deviations]\ncertificate-fc_lif = "it fires above the threshold alone"\n')
    said = command(*words)
    assert said.code == 0, said.out + said.err
    assert "0 certificates failed that are not declared." in said.out


def test_a_tilde_is_the_home_folder(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert command("new-adapter", "mynet", "--adapters", "~/mine").code == 0
    assert (tmp_path / "mine" / "mynet" / "adapter.toml").exists()
    assert "adapter  mynet" in command("list", "--adapters", "~/mine").out


def test_workers_find_a_folder_that_is_named_from_where_the_person_is(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy_family", "ok"):
        shutil.copytree(FAKES / name, tmp_path / "mine" / name)
    monkeypatch.chdir(tmp_path)
    said = command("parity", "--adapters", "mine", "--only", "adapter=ok task=fc_lif")
    assert said.code == 0, said.out + said.err


def test_the_list_names_what_can_be_asked_for(command: Command) -> None:
    said = command("list", "--adapters", FAKES)
    assert said.code == 0
    for line in (
        "adapter  noisy: Prints wherever it can",
        "  classify   plain: as it is",
        "profile  quick: minutes on two CPU cores: small enough to wait for, large enough to learn",
    ):
        assert line in said.out.splitlines()
    assert "task     fc_lif: Flatten - Linear 10 - LIF(tau 2)" in said.out.splitlines()


def test_another_interpreter_is_another_run(tmp_path: Path) -> None:
    own = identify(Path(sys.executable))
    assert own.startswith("Python 3.") and str(Path.home()) not in own
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    with pytest.raises(UserError, match="numpy"):
        identify(bare / "bin" / "python")
    with pytest.raises(UserError, match="no Python interpreter"):
        identify(Path("/bin/true"))


@pytest.mark.parametrize("line", ['name = "torch"', 'folder = "/tmp"'])
def test_an_adapter_cannot_pass_for_another(command: Command, tmp_path: Path, line: str) -> None:
    folder = tmp_path / "mine" / "net"
    shutil.copytree(FAKES / "ok", folder)
    path = folder / "adapter.toml"
    path.write_text(f"{line}\n{path.read_text()}")
    said = command("list", "--adapters", tmp_path / "mine")
    assert said.code == 2 and "delete the line" in said.err and said.err.count("\n") == 1


def test_a_damaged_manifest_is_one_line(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "runs" / "broken"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    said = command("report", "broken")
    assert said.code == 2 and "damaged" in said.err and said.err.count("\n") == 1


def test_ctrl_c_while_the_command_is_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "bench.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "bench.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        started()
    assert ended.value.code == 130
    assert capsys.readouterr() == ("Interrupted before anything began.\n", "")
