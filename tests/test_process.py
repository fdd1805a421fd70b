from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import process
from bench.measure import limits
from bench.measure.card import Card
from bench.process import ALLOCATOR, Worker, side_by_side, worker_environment
from tasks.protocol import Environment, Job, Settings
from tests.harness import is_gone

JOB = Job(
    stage="run",
    family="classify",
    task="fc_lif",
    adapter="ok",
    adapters="",
    table="classify",
    variant="plain",
    learning="bptt",
    settings=Settings(threads=3),
)
TURN = {
    "token": "t",
    "event": "turn",
    "phase": "x",
    "seconds": 1.0,
    "epoch": 0,
    "compared": False,
    "point": None,
    "kept": False,
    "free": False,
}


ENVIRONMENTS: tuple[Environment, ...] = ("locked", "current")
SHOW = """
print(json.dumps({'token': 't', 'event': 'result', 'status': 'ok', 'seen': dict(os.environ)}), flush=True)
time.sleep(60)
"""


def worker(folder: Path, source: str, seconds: float = 60, card: Card | None = None) -> Worker:
    """A worker with a program of this source in the place of an environment's interpreter."""
    folder.mkdir(exist_ok=True)
    python = folder / "python"
    python.write_text(f"#!{sys.executable}\nimport json, os, subprocess, sys, time\n{source}\n")
    python.chmod(0o755)
    one = Worker(python, JOB, log=folder / "logs" / "cell.log", seconds=seconds, card=card)
    one._token = "t"
    return one


def run(folder: Path, source: str, seconds: float = 60) -> dict[str, Any]:
    """How the worker ends, if it is let go on after every turn."""
    one = worker(folder, source, seconds)
    while one.outcome is None:
        assert list(side_by_side([one], 1)) == [one]
    return one.outcome


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("sys.exit(3)", "exit code 3 without a result"),
        ("sys.exit()", "exit code 0 without a result"),
        ("sys.exit('first\\nlast\\n')", "exit code 1 without a result; its last words: last"),
        ("os.kill(os.getpid(), 9)", "ended by SIGKILL (often the kernel's, out of memory)"),
        ("os.write(1, b'half a line'); os.abort()", "ended by SIGABRT"),
    ],
)
def test_a_worker_that_ends_without_a_result(tmp_path: Path, source: str, reason: str) -> None:
    assert run(tmp_path, source) == {"status": "crashed", "reason": reason}


def test_a_worker_that_ends_before_it_has_read_its_job(tmp_path: Path) -> None:
    one = worker(tmp_path, "sys.exit(3)")
    one.job = replace(JOB, task_values={"more than a pipe holds": "x" * 2**20})
    list(side_by_side([one], 1))
    assert one.outcome == {"status": "crashed", "reason": "exit code 3 without a result"}


def test_a_worker_that_has_ended_between_two_turns(tmp_path: Path) -> None:
    one = worker(tmp_path, f"print(json.dumps({TURN!r}), flush=True); sys.exit(3)")
    list(side_by_side([one], 1))
    assert one.outcome is None and one.process
    with suppress(ChildProcessError):  # that it has ended may have been seen with its turn
        os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    list(side_by_side([one], 1))
    assert one.outcome == {"status": "crashed", "reason": "exit code 3 without a result"}


def test_a_worker_that_closes_its_output_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.1)
    ended = run(tmp_path, "os.close(1); time.sleep(600)")
    assert ended == {"status": "crashed", "reason": "closed its output without a result"}


def test_an_event_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LONGEST_EVENT", 2**20)
    ended = run(tmp_path, "while True: os.write(1, b'x' * 65536)")
    assert ended == {"status": "error", "reason": "an event of more than 1 MiB"}


@pytest.mark.parametrize("line", ["hello", "[1]", '{"no": "event"}', "[" * 100_000])
def test_a_line_that_is_no_event_is_an_error(tmp_path: Path, line: str) -> None:
    ended = run(tmp_path, f"print({line!r}, flush=True); time.sleep(60)")
    assert ended["status"] == "error"
    assert ended["reason"].startswith("its process printed what is no event: ")


RESULT = "{'event': 'result', 'status': 'ok'}"


@pytest.mark.parametrize(
    "event",
    [
        "{'event': 'result', 'status': 'ok'}",  # a word that whoever prints by chance does not know
        "{'event': 'result', 'status': 'ok', 'token': 'x'}",
        "{'event': 'result', 'status': 'splendid', 'token': 't'}",
        "{'event': 'result', 'token': 't'}",
        "{'event': 'end', 'token': 't'}",
        "{'event': 'turn', 'token': 't'}",
        "{'event': 'turn', 'phase': 'x', 'seconds': 'soon', 'token': 't'}",
        "{'event': 'turn', 'phase': 'x', 'seconds': float('nan'), 'token': 't'}",
        "{'event': 'turn', 'phase': 'x', 'seconds': -1, 'token': 't'}",
    ],
)
def test_a_forged_event_is_an_error(tmp_path: Path, event: str) -> None:
    ended = run(tmp_path, f"print(json.dumps({event}), flush=True); time.sleep(60)")
    assert ended["status"] == "error"
    assert ended["reason"].startswith("its process printed what is no event: ")


def test_events_out_of_turn_are_an_error(tmp_path: Path) -> None:
    source = f"os.write(1, 2 * (json.dumps({TURN!r}) + '\\n').encode()); time.sleep(60)"
    ended = run(tmp_path, source)
    assert ended == {"status": "error", "reason": "its process printed more than the one event of its turn"}


def test_a_long_event_is_read_as_fast_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "print(json.dumps({'token': 't', 'event': 'result', 'status': 'ok', 'x': 'x' * 2**25}), flush=True)"
    )
    looked: list[int] = []
    monkeypatch.setattr(process, "bytearray", _counting(looked), raising=False)
    assert len(run(tmp_path, source)["x"]) == 2**25
    assert sum(looked) < 2**27  # bytes looked through for an end: each once, and none again and again


def _counting(looked: list[int]) -> type[bytearray]:
    class Counting(bytearray):
        def find(self, sign: bytes, start: int = 0) -> int:  # type: ignore[override]
            looked.append(len(self) - start)
            return super().find(sign, start)

    return Counting


def test_of_a_huge_log_the_end_is_read(tmp_path: Path) -> None:
    source = "os.ftruncate(2, 2**38); os.lseek(2, 0, 2); print('\\nlast words', file=sys.stderr); sys.exit(1)"
    assert run(tmp_path, source)["reason"].endswith("; its last words: last words")


def test_a_signal_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    assert run(tmp_path, "os.kill(os.getpid(), 40)")["reason"] == "ended by signal 40"


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open({path!r}, "w").write(str(os.getpid()))
        os.execve("/bin/sleep", ["sleep", "600"], {{}})
    os._exit(0)
os.wait()
while not os.path.exists({path!r}) or not open({path!r}).read(): time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (f"print(json.dumps({RESULT[:-1]}, 'token': 't'}}), flush=True); time.sleep(60)", "ok"),
        ("os.abort()", "crashed"),
        ("sys.exit()", "crashed"),
        ("os.close(1); os.kill(os.getpid(), 9)", "crashed"),
        ("time.sleep(60)", "timeout"),
    ],
)
def test_a_daemon_ends_with_its_worker(tmp_path: Path, end: str, status: str) -> None:
    path = tmp_path / "pid"
    seconds = 3.0 if status == "timeout" else 60.0
    assert run(tmp_path / "x", DAEMON.format(path=str(path)) + end, seconds)["status"] == status
    assert is_gone(int(path.read_text()))


def test_a_daemon_of_another_worker_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    adopt = "import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"  # as tasks/worker.py does
    one = worker(
        tmp_path / "x",
        adopt + DAEMON.format(path=str(path)) + f"print(json.dumps({TURN!r}), flush=True); time.sleep(60)",
    )
    list(side_by_side([one], 1))
    run(tmp_path / "y", "sys.exit()")
    assert not is_gone(int(path.read_text()))
    one.end()
    assert is_gone(int(path.read_text()))


@pytest.mark.parametrize(("kills", "status"), [((3, 4), "out_of_memory"), ((3, 3), "crashed")])
def test_the_kernels_kill_for_memory_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: tuple[int, int], status: str
) -> None:
    counts = iter(kills)
    monkeypatch.setattr(limits, "killed_for_memory", lambda: next(counts))
    assert run(tmp_path, "os.kill(os.getpid(), 9)")["status"] == status


def test_a_crashed_worker_whose_child_holds_its_output_is_not_waited_for(tmp_path: Path) -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    assert run(tmp_path, f"{child}\nos.abort()")["status"] == "crashed"


def test_a_worker_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    assert run(tmp_path, "time.sleep(600)", seconds=0.5) == {
        "status": "timeout",
        "reason": "no result within 0.5 s of work",
    }


def test_a_result_that_is_there_is_no_timeout(tmp_path: Path) -> None:
    source = f"print(json.dumps({RESULT[:-1]}, 'token': 't'}}), flush=True); time.sleep(600)"
    one = worker(tmp_path, source, seconds=0.1)
    one.begin()
    assert one.process and one.process.stdout
    select.select([one.process.stdout], [], [], 60)
    time.sleep(0.2)  # as if this process had been stopped
    assert one.listen(readable=False) and one.outcome == {"status": "ok"}


def test_a_worker_that_says_something_now_and_then_is_ended_too(tmp_path: Path) -> None:
    source = "while True: os.write(1, b'x'); time.sleep(0.01)"
    assert run(tmp_path, source, seconds=0.5)["status"] == "timeout"


def test_only_its_own_work_counts_against_the_time_of_a_worker(tmp_path: Path) -> None:
    source = f"sys.stdin.readline(); print(json.dumps({TURN!r}), flush=True); sys.stdin.readline()\n"
    source += "print(json.dumps({'token': 't', 'event': 'result', 'status': 'ok'}), flush=True)"
    one = worker(tmp_path, source, seconds=30)
    assert list(side_by_side([one], 1)) == [one]
    assert one.turn == {key: value for key, value in TURN.items() if key not in ("event", "token")}
    worked = one.worked
    subprocess.run(["sleep", "0.3"], check=True)
    list(side_by_side([one], 1))
    assert one.outcome == {"status": "ok"}
    assert one.worked - worked < 0.3


def test_workers_side_by_side_are_no_more_than_asked_for(tmp_path: Path) -> None:
    source = f"os.chdir({str(tmp_path)!r}); open(str(os.getpid()), 'w').close(); time.sleep(0.2)\n"
    source += "alive = len([name for name in os.listdir() if name.isdigit()])\n"
    source += "os.unlink(str(os.getpid()))\n"
    source += (
        "print(json.dumps({'token': 't', 'event': 'result', 'status': 'ok', 'seen': alive}), flush=True)"
    )
    workers = [worker(tmp_path / name, source) for name in "abcde"]
    assert {id(one) for one in side_by_side(workers, 2)} == {id(one) for one in workers}
    assert max((one.outcome or {})["seen"] for one in workers) <= 2


STRANGERS = (
    *("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_THREAD_LIMIT", "GOMP_CPU_AFFINITY", "KMP_BLOCKTIME"),
    *("MKL_CBWR", "OPENBLAS_CORETYPE", "NUMEXPR_MAX_THREADS", "GLIBC_TUNABLES", "LD_PRELOAD", "LD_AUDIT"),
    *("MALLOC_ARENA_MAX", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"),
    *("TF_DETERMINISTIC_OPS", "TF_XLA_FLAGS", "XLA_FLAGS", "TORCH_LOGS", "PYTORCH_CUDA_ALLOC_CONF"),
    *("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "TRITON_CACHE_DIR", "KERAS_HOME", "KERAS_BACKEND"),
    *("MPLBACKEND", "MPLCONFIGDIR", "MATPLOTLIBRC", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "CFLAGS", "CPATH"),
    *("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONDEVMODE", "PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONHOME"),
)


def test_a_worker_starts_from_known_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    before = worker_environment(Settings(threads=3), home=home)
    monkeypatch.setenv("LC_ALL", "en_US.ISO-8859-1")
    for name in STRANGERS:
        monkeypatch.setenv(name, "1")
    found = worker_environment(Settings(threads=3), home=home)
    assert {name: value for name, value in found.items() if name != "SPIKEBENCH_CACHE"} == {
        name: value for name, value in before.items() if name != "SPIKEBENCH_CACHE"
    }
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("3", "3")
    assert found["CUDA_VISIBLE_DEVICES"] == "" and found["PYTHONUTF8"] == "1"
    assert {name: found[name] for name in ALLOCATOR} == ALLOCATOR


def test_a_worker_gets_these_surroundings_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    found = run(tmp_path, SHOW)["seen"]
    expected = worker_environment(JOB.settings, home=Path(found["HOME"]))
    assert {name: value for name, value in found.items() if name in expected} == expected
    assert found.keys() - expected.keys() <= {"LC_CTYPE"}  # which Python may set itself


def test_folders_of_programs_and_libraries_are_seen_from_where_the_person_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, f"own{os.pathsep}/opt/it{os.pathsep}")
        found = worker_environment(Settings(), home=tmp_path)[name]
        assert found == os.pathsep.join([str(tmp_path / "own"), "/opt/it", str(tmp_path)])


@pytest.mark.parametrize("home", [None, "/nowhere"])
def test_a_worker_has_a_home_where_the_person_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    if home:
        monkeypatch.setenv("HOME", home)
    else:
        monkeypatch.setattr(Path, "home", unknown)
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for environment in ENVIRONMENTS:
        found = worker_environment(Settings(), environment, home=tmp_path)
        assert (found["HOME"], found["TMPDIR"]) == (str(tmp_path), str(tmp_path))
        assert found["USER"] == found["LOGNAME"] != ""
        assert found.get("SPIKEBENCH_CACHE") == (f"{home}/.cache/spikebench" if home else None)


def test_a_worker_on_cuda_sees_one_card_and_may_be_asked_to_be_deterministic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    card = Card(uuid="GPU-b", name="", place="")
    one = worker(tmp_path, SHOW, card=card)
    one.job = replace(JOB, settings=Settings(device="cuda"))
    list(side_by_side([one], 1))
    found = (one.outcome or {})["seen"]
    assert (found["CUDA_VISIBLE_DEVICES"], found["CUDA_DEVICE_ORDER"]) == ("GPU-b", "PCI_BUS_ID")
    assert "CUBLAS_WORKSPACE_CONFIG" not in found
    asked = worker_environment(Settings(device="cuda", deterministic=True), card=card, home=tmp_path)
    assert asked["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert worker_environment(Settings(), card=card, home=tmp_path)["CUDA_VISIBLE_DEVICES"] == ""


def test_the_interpreter_at_hand_keeps_the_folders_of_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"wheels{os.pathsep}/opt/modules")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("PYTHONUSERBASE", raising=False)
    kept = worker_environment(Settings(), "current", home=tmp_path)
    assert kept["PYTHONUSERBASE"] == "/home/me/.local"
    assert kept["PYTHONPATH"] == f"{Path.cwd() / 'wheels'}{os.pathsep}/opt/modules"
    assert "PYTHONSAFEPATH" not in kept
    assert "PYTHONPATH" not in worker_environment(Settings(), "locked", home=tmp_path)
    monkeypatch.delenv("PYTHONPATH")
    assert "PYTHONPATH" not in worker_environment(Settings(), "current", home=tmp_path)


def test_a_worker_at_hand_keeps_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/modules")
    one = worker(tmp_path, SHOW)
    one.job = replace(JOB, environment="current")
    list(side_by_side([one], 1))
    assert (one.outcome or {})["seen"]["PYTHONPATH"] == "/opt/modules"


def test_every_worker_has_a_home_of_its_own_that_goes_with_all_that_it_leaves(tmp_path: Path) -> None:
    source = "import tempfile\nfolders = [os.path.expanduser('~'), tempfile.gettempdir()]\n"
    source += "found = [os.listdir(folder) for folder in folders]\n"
    source += "for folder in folders: os.makedirs(folder + '/.keras/deep', exist_ok=True)\n"
    source += "tempfile.mkstemp(prefix='__autograph_generated_file')\n"
    source += "print(json.dumps({'token': 't', 'event': 'result', 'status': 'ok', 'seen': [folders, found]}),"
    source += " flush=True)"
    seen = [run(tmp_path, source)["seen"] for _ in range(2)]
    assert len({folder for folders, _ in seen for folder in folders}) == 2
    for folders, found in seen:
        assert found == [[], []] and not any(Path(folder).exists() for folder in folders)


def test_a_second_interruption_still_ends_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN)\n"
    stubborn += f"print(json.dumps({TURN!r}), flush=True); time.sleep(600)"
    one = worker(tmp_path, stubborn)
    list(side_by_side([one], 1))
    started = one.process
    assert started

    def interrupted(timeout: float | None = None) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(started, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.end()
    monkeypatch.undo()
    assert started.wait() == -9


def test_a_job_is_the_same_at_both_ends() -> None:
    assert Job.loads(JOB.dumps()) == JOB
    assert "\n" not in JOB.dumps()
    assert json.loads(JOB.dumps())["settings"]["threads"] == 3
    assert os.sep not in JOB.adapters
