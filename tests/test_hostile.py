"""One adapter that tries everything, from its import to what is published."""

from __future__ import annotations

import csv
import getpass
import gzip
import json
import lzma
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import clean
from bench.catalogue import PROJECT
from bench.records import load_records
from tests.conftest import Command, Said
from tests.harness import FAKES, is_gone, write_profile

UUID = "GPU-12345678-abcd-ef01-2345-6789abcdef01"
TEXT = (
    "=HYPERLINK(1) \x1b]0;owned\x07\x1b[2J\x1b[31m\x9b2J\x07\r\u202e<script>alert(1)</script>"
    " <img src=x onerror=a(1)> [x](javascript:a) ![p](http://x/y) | **b** `c` $z$ \\input{/etc/passwd}"
    " % & # {1} {{2}} {% x %} [/]"
    f" file:///srv/a/b.so '/srv/some where/c.so' {PROJECT}/bench/x {UUID} alicebox.lan alice7 \ud800"
)
LEAKS = (str(PROJECT), "/srv", "some where", UUID[4:12], "alicebox", "alice7")

SOURCE = """
import json, os, subprocess
from pathlib import Path
from adapters.numpy_family import classifier
from adapters.numpy_family.classifier import NumpyClassifier, device_memory, sync

here = Path(__file__).parent.parent.parent
with (here / "pids").open("a") as file:
    file.write(f"{os.getpid()}\\n")
TEXT = json.loads((here / "text").read_text()) + f" {here}/mine/x {Path.home()}/y"
print(json.dumps({"event": "result", "status": "ok", "figures": {"test_accuracy": 1.0}}), flush=True)
os.write(1, TEXT.encode(errors="replace") + b"\\n" + b"\\xff" * 2**20)

def versions():
    return {TEXT: TEXT, "=1+2": "=1+2", **classifier.versions()}

def configure(settings):
    return {"note": TEXT, TEXT: [TEXT, {"deep": TEXT}], **classifier.configure(settings)}

class Works(NumpyClassifier):
    network = TEXT

    def train_batch(self, inputs, codes):
        if self.settings.seed and not (here / "daemon").exists():
            child = subprocess.Popen(["sleep", "600"], start_new_session=True)
            (here / "daemon").write_text(str(child.pid))
        return super().train_batch(inputs, codes)

class Fails(NumpyClassifier):
    def train_batch(self, inputs, codes):
        if self.settings.seed:
            raise RuntimeError(TEXT)
        return super().train_batch(inputs, codes)

VARIANTS = {"works": Works, "fails": Fails}
"""
TOML = """
about = "\\u001b[2J<script>alert(1)</script> =1+2"
devices = ["cpu"]
uses = ["numpy_family"]

[classify]
works = "\\u001b[2J<script>alert(1)</script>"
fails = "[/] \\u0000"
"""


UNPACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".xz": lzma.decompress}


@dataclass(frozen=True)
class Ended:
    folder: Path
    said: list[Said]
    run: Path
    published: Path

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Every file of the run but its logs, and every one that is published."""
        for path in (*self.run.rglob("*"), *self.published.rglob("*")):
            if path.is_file() and path.parent.name != "logs" and path.suffix != ".npz":
                content = path.read_bytes()
                yield path, UNPACK.get(path.suffix, bytes)(content).decode()


@pytest.fixture
def hostile(
    command: Command, reports: None, tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ended]:
    monkeypatch.setattr(platform, "node", lambda: "alicebox.lan")
    monkeypatch.setattr(getpass, "getuser", lambda: "alice7")
    clean._names.cache_clear()
    mine = tmp_path / "mine"
    shutil.copytree(FAKES / "numpy_family", mine / "numpy_family")
    (mine / "hostile").mkdir()
    (mine / "hostile" / "adapter.py").write_text(SOURCE)
    (mine / "hostile" / "adapter.toml").write_text(TOML)
    (tmp_path / "text").write_text(json.dumps(TEXT))
    profile = write_profile(tmp_path / "tiny.toml", variants="all")
    words = ["--adapters", mine, "--only", "adapter=hostile", "--profile", profile, "--data", mnist]
    said = [command("run", *words), command("list", "--adapters", mine), command("publish")]
    said += [command("report", "--format", form) for form in ("md", "csv", "latex")]
    (run,) = said[0].runs
    (published,) = (tmp_path / "results" / "published").glob("*/*")
    yield Ended(tmp_path, said, run, published)
    clean._names.cache_clear()


def test_a_hostile_adapter_gets_nowhere(hostile: Ended) -> None:
    assert [each.code for each in hostile.said] == [1, 0, 0, 0, 0, 0], hostile.said
    ended = {r.cell.variant: r for r in load_records(hostile.run) if r.cell.stage == "run"}
    assert {name: each.status for name, each in ended.items()} == {"works": "ok", "fails": "error"}

    # its code runs in children alone, what it prints is no result, and what it leaves behind ends
    pids = {int(line) for line in (hostile.folder / "pids").read_text().split()}
    assert pids and os.getpid() not in pids
    assert 0 <= ended["works"].figures["test_accuracy"] < 1
    assert is_gone(int((hostile.folder / "daemon").read_text()))

    leaks = (*LEAKS, str(hostile.folder), str(Path.home()) + "/")
    texts = list(hostile.texts())
    assert {path.suffix for path, _ in texts} >= {".html", ".md", ".svg", ".csv", ".json"}
    for path, text in texts:
        for leak in leaks:
            assert leak not in text, (path, leak)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]|\\u001b|\\ud800", text), path
        if path.suffix in (".html", ".md", ".svg"):
            assert "<script>alert" not in text and "<img src=x" not in text, path
        if path.suffix == ".md":
            assert "[x](javascript" not in text and "![p](" not in text, path
        if ".csv" in path.name:
            for row in csv.reader(text.splitlines()):
                assert not any(re.match(r"[=@\t\r]|[+-](?![\d.])", each) for each in row), path

    for each in hostile.said:
        assert each.err == "" and not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", each.out)
        for leak in LEAKS:
            assert leak not in each.out
    assert "\\input{" not in hostile.said[-1].out
