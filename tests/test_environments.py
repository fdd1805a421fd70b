from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from bench.catalogue import PROJECT, Adapter
from bench.environments import (
    find_uv,
    identify,
    interpreter_at_hand,
    prepare,
    unavailable,
    unavailable_at_hand,
)
from bench.errors import UserError

FAKE_UV = """\
#!/bin/sh
echo "$@" >> "$LOG"
case "$1 $2" in
    "cache dir") echo "$FAKE_CACHE" ;;
    venv*)
        for last; do :; done
        rm -rf "$last"; mkdir -p "$last/bin"
        printf '#!/bin/sh\nexit %s\n' "${EXITS:-0}" > "$last/bin/python"
        chmod +x "$last/bin/python"
        printf 'home = x\nversion_info = %s\n' "$FAKE_VERSION" > "$last/pyvenv.cfg" ;;
    "pip sync")
        if [ -n "$OFFLINE" ]; then case "$*" in *--offline*) ;; *) exit 2 ;; esac; fi
        if [ -n "$FAILS" ]; then printf '%b' "$FAILS" >&2; exit 2; fi ;;
esac
"""


def tiny(folder: Path, **values: Any) -> Adapter:
    """An adapter called tiny."""
    known = {"about": "", "devices": ["cpu", "cuda"], "tables": {"classify": {"plain": ""}}}
    return Adapter(name="tiny", folder=folder, **(known | values))


class Project:
    """A root with a fake uv and one adapter; ``said`` and ``calls()`` tell what happened."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.adapter, self.said = root, root / "adapters" / "tiny", list[str]()
        self.log = root / "log"
        monkeypatch.setenv("LOG", str(self.log))
        monkeypatch.setenv("FAKE_CACHE", str(root / "not" / "yet"))
        monkeypatch.setenv("FAKE_VERSION", platform.python_version())
        monkeypatch.delenv("FAILS", raising=False)
        uv = root / ".uv" / "bin" / "uv"
        uv.parent.mkdir(parents=True)
        uv.write_text(FAKE_UV)
        uv.chmod(0o755)
        self.adapter.mkdir(parents=True)
        self.lock("one==1 --hash=sha256:0\n")

    def lock(self, text: str) -> None:
        (self.adapter / "requirements.txt").write_text(text)

    def prepare(self, device: str = "cpu", **values: Any) -> Path:
        adapter = tiny(self.adapter, **values)
        return prepare(adapter, device=device, root=self.root, say=self.said.append)

    def calls(self) -> list[str]:
        text = self.log.read_text() if self.log.exists() else ""
        self.log.unlink(missing_ok=True)
        return [line.split(" --")[0] for line in text.splitlines()]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def test_environment_is_made_once(project: Project) -> None:
    python = project.prepare()
    assert python == project.root / ".envs" / "tiny" / "bin" / "python" and python.exists()
    assert project.calls() == ["cache dir", "venv", "pip sync"]
    assert len(project.said) == 1 and project.said[0].startswith("tiny: ")
    assert project.prepare() == python
    assert project.calls() == [] and len(project.said) == 1


def test_environment_follows_its_lock(project: Project) -> None:
    project.prepare()
    project.calls()
    project.lock("one==2 --hash=sha256:1\n")
    project.prepare()
    assert "pip sync" in project.calls()


def test_environment_without_its_interpreter_is_made_again(project: Project) -> None:
    project.prepare().unlink()
    assert project.prepare().exists()


def test_failed_installation_is_told_in_one_line_and_done_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "error: Request failed\\n  cause: name not resolved\\n\\nhint: try later\\n")
    with pytest.raises(UserError, match=r"^tiny: .*\(name not resolved\).*--env current$"):
        project.prepare()
    monkeypatch.delenv("FAILS")
    project.calls()
    project.prepare()
    assert project.calls() == ["cache dir", "venv", "pip sync"]


def test_an_environment_of_another_python_is_made_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VERSION", "3.9.1")
    project.prepare()
    project.calls()
    monkeypatch.setenv("FAKE_VERSION", platform.python_version())
    project.prepare()
    assert project.calls() == ["cache dir", "venv", "pip sync"]
    project.prepare()
    assert project.calls() == []


def test_an_environment_whose_python_does_not_run_is_not_ready(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXITS", "127")
    with pytest.raises(UserError, match="exit status 127"):
        project.prepare()
    monkeypatch.delenv("EXITS")
    project.calls()
    project.prepare()
    assert "venv" in project.calls()


def test_what_uv_has_in_its_cache_needs_no_network(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE", "1")
    assert project.prepare().exists()


def test_uv_installs_where_it_is_told_whatever_the_environment_says(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = ("UV_TARGET", "UV_DRY_RUN", "UV_TORCH_BACKEND", "UV_EXCLUDE_NEWER", "PYTHONHOME", "GIT_DIR")
    kept = ("UV_INDEX_URL", "UV_CACHE_DIR", "UV_OFFLINE", "UV_CONFIG_FILE", "HTTPS_PROXY", "SSL_CERT_FILE")
    for name in dropped + kept:
        monkeypatch.setenv(name, "theirs")
    uv = project.root / ".uv" / "bin" / "uv"
    uv.write_text(uv.read_text() + 'env > "$LOG.env"\n')
    project.prepare()
    seen = (project.root / "log.env").read_text().splitlines()
    assert {line.partition("=")[0] for line in seen if line.endswith("=theirs")} == {*kept}


def test_failure_without_words_is_told_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "\\n")
    with pytest.raises(UserError, match=r"exit status 2"):
        project.prepare()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc as another filesystem")
def test_cache_on_another_filesystem_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CACHE", "/proc/sys")
    project.prepare()
    assert len(project.said) == 1 and "/proc/sys" in project.said[0]


def test_cache_on_the_same_filesystem_is_not_mentioned(project: Project) -> None:
    project.prepare()
    assert "cache" not in project.said[0]


def test_adapter_without_lock_uses_the_harness(project: Project) -> None:
    (project.adapter / "requirements.txt").unlink()
    assert project.prepare() == Path(sys.executable)
    assert project.calls() == []


def test_a_lock_for_cuda_has_an_environment_of_its_own(project: Project) -> None:
    assert project.prepare("cuda") == project.prepare("cpu")
    (project.adapter / "requirements-cuda.txt").write_text("one==1.cuda --hash=sha256:2\n")
    assert project.prepare("cuda").parts[-3] == "tiny-cuda"
    assert project.prepare("cpu").parts[-3] == "tiny"
    assert project.prepare("cuda", devices=["cpu"]).parts[-3] == "tiny"


def test_a_python_that_is_not_here_is_a_reason(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tiny(project.adapter, python="3.4")
    assert unavailable(old) == "tiny needs CPython 3.4, and no python3.4 on PATH is one"
    with pytest.raises(UserError, match=r"needs CPython 3\.4.*leave tiny out"):
        project.prepare(python="3.4")
    (project.root / "python3.4").write_text("#!/bin/sh\nexit 127\n")
    (project.root / "python3.4").chmod(0o755)
    monkeypatch.setenv("PATH", f"{project.root}:{os.environ['PATH']}")
    assert unavailable(old)  # what is there is no interpreter
    (project.root / "python3.4").write_text("#!/bin/sh\necho 3.4\n")
    assert unavailable(old) == ""
    project.prepare(python="3.4")
    assert f"--python {project.root}/python3.4" in project.log.read_text()
    assert unavailable(tiny(project.adapter)) == ""


def test_an_interpreter_at_hand_of_another_version_is_a_reason(tmp_path: Path) -> None:
    found = "Python 3.12.1, packages 0123456789ab"
    reason = unavailable_at_hand(tiny(tmp_path, python="3.11"), found)
    assert reason == f"tiny needs CPython 3.11, and the interpreter at hand is {found}"
    assert unavailable_at_hand(tiny(tmp_path, python="3.12"), found) == ""
    assert unavailable_at_hand(tiny(tmp_path, python="3.1"), found)
    assert unavailable_at_hand(tiny(tmp_path), found) == ""


def test_missing_uv_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(project.root / ".uv")
    monkeypatch.setenv("PATH", str(project.root))
    with pytest.raises(UserError, match="uv is missing"):
        project.prepare()


def test_real_uv_makes_an_environment_and_explains_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    uv = tmp_path / ".uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.symlink_to(find_uv(PROJECT))
    adapter = tiny(tmp_path / "tiny")
    adapter.folder.mkdir()
    (adapter.folder / "requirements.txt").write_text("# nothing\n")
    made = prepare(adapter, device="cpu", root=tmp_path, say=print)
    assert made == tmp_path / ".envs" / "tiny" / "bin" / "python"
    (adapter.folder / "requirements.txt").write_text(f"nothing-like-this==1 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(UserError, match=r"tiny: .*nothing-like-this"):
        prepare(adapter, device="cpu", root=tmp_path, say=print)


def test_interpreter_at_hand_is_the_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", sys.executable)
    assert interpreter_at_hand() == Path(sys.executable)
    monkeypatch.setenv("PYTHON", "no-such-python")
    with pytest.raises(UserError, match="PYTHON=no-such-python"):
        interpreter_at_hand()


def test_interpreter_at_hand_is_not_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON", raising=False)
    outside = tmp_path / "python3"
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    harness = PROJECT / ".venv"
    monkeypatch.setattr(sys, "prefix", str(harness))
    monkeypatch.setenv("PATH", f"{harness / 'bin'}:{tmp_path}")
    assert interpreter_at_hand() == outside
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert interpreter_at_hand() == Path(sys.executable)


def test_a_program_that_is_named_from_where_the_person_is_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name in ("python3", "uv"):
        (tmp_path / "mine" / name).write_text("#!/bin/sh\n")
        (tmp_path / "mine" / name).chmod(0o755)
    monkeypatch.setenv("PYTHON", "mine/python3")
    assert interpreter_at_hand() == tmp_path / "mine" / "python3"
    monkeypatch.setenv("PATH", f"mine{os.pathsep}{os.environ['PATH']}")
    assert find_uv(tmp_path) == tmp_path / "mine" / "uv"
    monkeypatch.delenv("PYTHON")
    monkeypatch.setattr(sys, "prefix", str(PROJECT / ".venv"))
    assert interpreter_at_hand() == tmp_path / "mine" / "python3"


def test_of_a_version_managers_program_the_interpreter_itself_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which it finds by the person's home folder, and workers have another."""
    shim = tmp_path / "python3"
    shim.write_text(f'#!/bin/sh\n[ "$HOME" = /home/me ] && exec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PYTHON", str(shim))
    assert interpreter_at_hand() == Path(sys.executable)


class AtHand:
    """An interpreter with NumPy and one package, whose source lies elsewhere where it is editable."""

    def __init__(self, root: Path, origin: dict[str, Any]) -> None:
        venv.create(root / "env", symlinks=True)
        (own,) = (root / "env" / "lib").glob("python*/site-packages")
        (own / "numpy.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        self.python, self.info, self.source = (
            root / "env" / "bin" / "python",
            own / "net-1.0.dist-info",
            root / "src",
        )
        self.info.mkdir()
        (self.info / "METADATA").write_text("Metadata-Version: 2.1\nName: net\nVersion: 1.0\n")
        (self.info / "RECORD").write_text("net/__init__.py,sha256=aaa,3\n")
        (self.info / "direct_url.json").write_text(json.dumps(origin))
        (self.source / "net").mkdir(parents=True)
        (self.source / "net" / "__init__.py").write_text("one = 1")

    def identity(self) -> str:
        found = identify(self.python)
        assert found == identify(self.python) and str(self.source) not in found
        return found


def test_an_editable_install_is_known_by_its_content(tmp_path: Path) -> None:
    source = (tmp_path / "src").as_uri()
    at_hand = AtHand(tmp_path, {"url": source, "dir_info": {"editable": True}})
    before = at_hand.identity()
    for name in (".git/index", "net/__pycache__/x.pyc", "env/pyvenv.cfg", "env/lib/x.py"):
        (at_hand.source / name).parent.mkdir(parents=True, exist_ok=True)
        (at_hand.source / name).touch()
    assert at_hand.identity() == before
    (at_hand.source / "net" / "__init__.py").write_text("two = 2")
    edited = at_hand.identity()
    (at_hand.source / "net" / "kernel.cu").write_text("three")
    assert len({before, edited, at_hand.identity()}) == 3


@pytest.mark.parametrize(
    "origin",
    [{"url": "https://example.org/net", "vcs_info": {"vcs": "git"}}, {"url": "file:///x", "dir_info": {}}],
)
def test_an_install_of_a_version_that_says_nothing_is_known_by_its_files(
    tmp_path: Path, origin: dict[str, Any]
) -> None:
    at_hand = AtHand(tmp_path, origin)
    before = at_hand.identity()
    (at_hand.info / "RECORD").write_text("net/__init__.py,sha256=bbb,3\n")
    assert at_hand.identity() != before


def test_a_package_that_was_edited_where_it_is_installed_is_another(tmp_path: Path) -> None:
    at_hand = AtHand(tmp_path, {})
    source = at_hand.info.parent / "net" / "__init__.py"
    source.parent.mkdir()
    source.write_text("one = 1")
    before = at_hand.identity()
    source.write_text("one = 2")
    assert at_hand.identity() != before


def test_where_a_package_lies_or_came_from_does_not_make_it_another(tmp_path: Path) -> None:
    """So that a run goes on on the next machine that is lent."""
    at_hand = AtHand(tmp_path, {"url": "file:///carry/net.whl"})
    before = at_hand.identity()
    lines = ["net/__pycache__/x.pyc,,", "../../../bin/net,sha256=x,3", "bin/net,sha256=x,3"]
    lines += ["net-1.0.dist-info/direct_url.json,sha256=x,3"]
    with (at_hand.info / "RECORD").open("a") as file:
        file.write("\n".join(lines))
    assert at_hand.identity() == before


@pytest.mark.parametrize("way", ["PYTHONPATH", ".pth"])
def test_modules_without_a_package_are_known_by_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    at_hand = AtHand(tmp_path, {})
    plain = at_hand.identity()
    if way == "PYTHONPATH":
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", "src")
    else:  # as editable installs once were
        (at_hand.info.parent / "easy-install.pth").write_text(f"{at_hand.source}\n")
    before = at_hand.identity()
    (at_hand.source / "net" / "__init__.py").write_text("two = 2")
    assert len({plain, before, at_hand.identity()}) == 3


def test_variables_of_python_do_not_change_who_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_hand = AtHand(tmp_path, {})
    plain = at_hand.identity()
    for name, value in (("PYTHONHOME", "/nowhere"), ("PYTHONINSPECT", "1"), ("PYTHONSTARTUP", "/x")):
        monkeypatch.setenv(name, value)
    assert at_hand.identity() == plain


def test_what_was_never_locked_is_said_and_not_run_without(project: Project) -> None:
    (project.adapter / "requirements.txt").unlink()
    (project.adapter / "requirements.in").write_text("one\n")
    with pytest.raises(UserError, match=r"^tiny has a requirements\.in and no .* make lock NAME=tiny$"):
        project.prepare()
    assert project.calls() == []
